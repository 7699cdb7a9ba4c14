// Results on their way out: what one turn writes is gathered and handed on in one call. To standard output that call waits
// until it is taken: a reader that is slow holds up the whole program that way, its reading from job servers included, so
// nothing piles up.

import { writeSync } from "node:fs";
import { reasonOf } from "../reason.ts";

const BUFFER_BYTES = 64 * 1024;
const STDOUT = 1;

/** Takes bytes that are valid during the call only. */
export type Put = (bytes: Uint8Array) => void;

export class Output {
	readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
	#used = 0;
	#isFlushDue = false;
	readonly #put: Put;

	constructor(put: Put) {
		this.#put = put;
	}

	write(bytes: Uint8Array | string): void {
		if (typeof bytes === "string") {
			this.write(Buffer.from(bytes, "utf8"));
			return;
		}
		if (bytes.length > BUFFER_BYTES - this.#used) this.flush();
		if (bytes.length > BUFFER_BYTES) {
			this.#put(bytes);
			return;
		}
		this.#buffer.set(bytes, this.#used);
		this.#used += bytes.length;
		if (this.#isFlushDue) return;
		this.#isFlushDue = true;
		process.nextTick(() => this.flush());
	}

	flush(): void {
		this.#isFlushDue = false;
		const used = this.#used;
		this.#used = 0;
		if (used > 0) this.#put(this.#buffer.subarray(0, used));
	}
}

/** `onError` is called once, when nobody takes the output any more (EPIPE) or it cannot be written. */
export function stdoutOutput(onError: (error: NodeJS.ErrnoException) => void): Output {
	let isBroken = false;
	return new Output((bytes) => {
		for (let at = 0; at < bytes.length && !isBroken; ) {
			try {
				at += writeSync(STDOUT, bytes, at);
			} catch (error) {
				if (!(error instanceof Error)) throw error;
				// Another process made the pipe or terminal we share non-blocking.
				if ("code" in error && error.code === "EAGAIN") rest(5);
				else {
					isBroken = true;
					onError(error);
				}
			}
		}
	});
}

/** For programs that have nothing to do but print: they end when nobody reads on, and fail when it cannot be written. */
export function endingOutput(): Output {
	return stdoutOutput((error) => {
		if (error.code === "EPIPE") process.exit(0);
		process.stderr.write(`gearman: could not write the output: ${reasonOf(error)}\n`);
		process.exit(1);
	});
}

function rest(ms: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

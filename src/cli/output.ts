// Standard output for results: gathers what one turn writes, then writes it in one call and waits until it is taken. A
// reader that is slow holds up the whole program that way, its reading from job servers included, so nothing piles up.

import { writeSync } from "node:fs";

const BUFFER_BYTES = 64 * 1024;
const STDOUT = 1;

export class Output {
	readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
	#used = 0;
	#isFlushDue = false;
	#error: NodeJS.ErrnoException | undefined;
	readonly #onError: (error: NodeJS.ErrnoException) => void;

	/** `onError` is called once, when nobody takes the output any more (EPIPE) or it cannot be written. */
	constructor(onError: (error: NodeJS.ErrnoException) => void) {
		this.#onError = onError;
	}

	write(bytes: Uint8Array | string): void {
		if (this.#error !== undefined) return;
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

	#put(bytes: Uint8Array): void {
		let at = 0;
		while (at < bytes.length && this.#error === undefined) {
			try {
				at += writeSync(STDOUT, bytes, at);
			} catch (error) {
				if (!(error instanceof Error)) throw error;
				// Another process made the pipe or terminal we share non-blocking.
				if ("code" in error && error.code === "EAGAIN") rest(5);
				else this.#fail(error);
			}
		}
	}

	#fail(error: Error): void {
		this.#error = error;
		this.#onError(error);
	}
}

/** For programs that have nothing to do but print: they end when nobody reads on, and fail when it cannot be written. */
export function endingOutput(): Output {
	return new Output((error) => {
		if (error.code === "EPIPE") process.exit(0);
		process.stderr.write(`gearman: could not write the output: ${error.message}\n`);
		process.exit(1);
	});
}

function rest(ms: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

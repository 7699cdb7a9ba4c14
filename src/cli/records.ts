// Input cut into records at each LF or NUL, byte by byte as it came. Records are taken one at a time (the window of jobs
// may be full in the middle of a chunk), are of any length a job can have, and the last one needs no separator.

import { GearmanError } from "../errors.ts";
import type { Cutter } from "./input.ts";

export const LF = 0x0a;
export const NUL = 0x00;

/** No job server takes more in one packet. */
const MAX_RECORD_BYTES = 255 * 1024 * 1024;
const EMPTY = Buffer.alloc(0);

export class Records implements Cutter {
	readonly #separator: number;
	readonly #keepsSeparator: boolean;
	#chunk: Buffer = EMPTY;
	#at = 0;
	/** Chunks behind #chunk. */
	#more: Buffer[] = [];
	/** The start of a record that goes on. */
	#parts: Buffer[] = [];
	#partsBytes = 0;
	#hasEnded = false;

	constructor(separator: typeof LF | typeof NUL, keepsSeparator: boolean) {
		this.#separator = separator;
		this.#keepsSeparator = keepsSeparator;
	}

	write(chunk: Buffer): void {
		this.#more.push(chunk);
	}

	end(): void {
		this.#hasEnded = true;
	}

	/** The next whole record. */
	next(): Buffer | undefined | null {
		for (;;) {
			if (this.#at < this.#chunk.length) {
				const found = this.#chunk.indexOf(this.#separator, this.#at);
				if (found >= 0) {
					const record = this.#chunk.subarray(this.#at, this.#keepsSeparator ? found + 1 : found);
					this.#at = found + 1;
					return this.#join(record);
				}
				this.#parts.push(this.#chunk.subarray(this.#at));
				this.#partsBytes += this.#chunk.length - this.#at;
				if (this.#partsBytes > MAX_RECORD_BYTES) {
					throw new GearmanError("BAD_ARGUMENT", "a record of the input is larger than a job can be (255 MB)");
				}
			}
			const chunk = this.#more.shift();
			this.#chunk = chunk ?? EMPTY;
			this.#at = 0;
			if (chunk === undefined) break;
		}
		if (!this.#hasEnded) return undefined;
		return this.#parts.length > 0 ? this.#join(EMPTY) : null;
	}

	#join(last: Buffer): Buffer {
		if (this.#parts.length === 0) return last;
		const parts = this.#parts;
		this.#parts = [];
		this.#partsBytes = 0;
		return parts.length === 1 && last.length === 0 ? parts[0] : Buffer.concat([...parts, last]);
	}
}

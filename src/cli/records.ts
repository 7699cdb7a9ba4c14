// Input cut into records at each LF or NUL, byte by byte as it came. Records are taken one at a time (the window of jobs
// may be full in the middle of a chunk), are of any length, and the last one needs no separator.

export const LF = 0x0a;
export const NUL = 0x00;

const EMPTY = Buffer.alloc(0);

export class Records {
	readonly #separator: number;
	readonly #keepsSeparator: boolean;
	#chunk: Buffer = EMPTY;
	#at = 0;
	/** Chunks behind #chunk. */
	#more: Buffer[] = [];
	/** The start of a record that goes on. */
	#parts: Buffer[] = [];
	#hasEnded = false;

	constructor(separator: typeof LF | typeof NUL, keepsSeparator: boolean) {
		this.#separator = separator;
		this.#keepsSeparator = keepsSeparator;
	}

	/** Takes the chunk over: records may be views of it. */
	write(chunk: Buffer): void {
		this.#more.push(chunk);
	}

	/** No more chunks. */
	end(): void {
		this.#hasEnded = true;
	}

	/** The next whole record; undefined: more input is needed; null: that was all. */
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
		return parts.length === 1 && last.length === 0 ? parts[0] : Buffer.concat([...parts, last]);
	}
}

// Input cut into pieces of whole records: one each (-n, -N, -0) or many (--split, --split-bytes). Put one behind the
// other, the pieces are the input again, byte for byte. A record ends with its LF or NUL, the last one of the input may go
// without. Pieces are taken one at a time: the window of jobs may be full in the middle of a chunk.
//
//   chunk   ……records of the piece……│……the next record……│…
//           pieceStart              at                   what indexOf finds

import { GearmanError } from "../errors.ts";
import type { Cutter } from "./input.ts";

export const LF = 0x0a;
export const NUL = 0x00;

/** No job server takes more in one packet. */
const MAX_PIECE_BYTES = 255 * 1024 * 1024;
const EMPTY = Buffer.alloc(0);

export interface PieceOptions {
	/** Records of a piece at most. */
	readonly records?: number | undefined;
	/** Bytes of a piece at most, save that a longer record is a piece by itself. */
	readonly bytes?: number | undefined;
	/** Without the separator at its end. */
	readonly isStripped?: boolean | undefined;
}

export class Pieces implements Cutter {
	readonly #separator: typeof LF | typeof NUL;
	readonly #isStripped: boolean;
	readonly #maxRecords: number;
	readonly #maxBytes: number;
	/** Chunks behind #chunk. */
	#more: Buffer[] = [];
	#chunk: Buffer = EMPTY;
	#pieceStart = 0;
	#at = 0;
	/** Whole records of this piece in chunks before. */
	#parts: Buffer[] = [];
	#pieceBytes = 0;
	#records = 0;
	/** The next record's beginning in chunks before. */
	#open: Buffer[] = [];
	#openBytes = 0;
	#hasEnded = false;

	constructor(separator: typeof LF | typeof NUL, { records, bytes, isStripped = false }: PieceOptions) {
		this.#separator = separator;
		this.#isStripped = isStripped;
		this.#maxRecords = records ?? Number.POSITIVE_INFINITY;
		this.#maxBytes = bytes ?? Number.POSITIVE_INFINITY;
	}

	write(chunk: Buffer): void {
		this.#more.push(chunk);
	}

	end(): void {
		this.#hasEnded = true;
	}

	/** The next piece. Throws a GearmanError when it is larger than any job can be. */
	next(): Buffer | undefined | null {
		for (;;) {
			while (this.#at < this.#chunk.length) {
				const found = this.#chunk.indexOf(this.#separator, this.#at);
				if (found < 0) break;
				const end = found + 1;
				if (this.#isFull(this.#openBytes + end - this.#at)) return this.#take();
				this.#accept(end);
				if (this.#records === this.#maxRecords) return this.#take();
			}
			this.#leaveChunk();
			if (this.#pieceBytes + this.#openBytes > MAX_PIECE_BYTES) {
				// What is whole need not wait for what is too large with it.
				if (this.#records > 0 && this.#maxBytes < MAX_PIECE_BYTES) return this.#take();
				const what = this.#maxRecords === 1 ? "record" : "piece";
				throw new GearmanError("BAD_ARGUMENT", `a ${what} of the input is larger than a job can be (255 MB)`);
			}
			const chunk = this.#more.shift();
			if (chunk === undefined) break;
			this.#chunk = chunk;
		}
		if (!this.#hasEnded) return undefined;
		if (this.#openBytes > 0) {
			if (this.#isFull(this.#openBytes)) return this.#take();
			this.#accept(0);
		}
		return this.#records > 0 ? this.#take() : null;
	}

	#isFull(recordBytes: number): boolean {
		return this.#records > 0 && this.#pieceBytes + recordBytes > this.#maxBytes;
	}

	/** The record that ends at `end` belongs to this piece. */
	#accept(end: number): void {
		if (this.#openBytes > 0) {
			for (const part of this.#open) this.#parts.push(part);
			this.#pieceBytes += this.#openBytes;
			this.#open = [];
			this.#openBytes = 0;
		}
		this.#pieceBytes += end - this.#at;
		this.#records++;
		this.#at = end;
	}

	/** All of the chunk has been seen. */
	#leaveChunk(): void {
		if (this.#pieceStart < this.#at) this.#parts.push(this.#chunk.subarray(this.#pieceStart, this.#at));
		if (this.#at < this.#chunk.length) {
			this.#open.push(this.#chunk.subarray(this.#at));
			this.#openBytes += this.#chunk.length - this.#at;
		}
		this.#chunk = EMPTY;
		this.#pieceStart = 0;
		this.#at = 0;
	}

	/** The piece up to here; the next one begins. */
	#take(): Buffer {
		if (this.#pieceStart < this.#at) this.#parts.push(this.#chunk.subarray(this.#pieceStart, this.#at));
		const parts = this.#parts;
		this.#pieceStart = this.#at;
		this.#parts = [];
		this.#pieceBytes = 0;
		this.#records = 0;
		const piece = parts.length === 1 ? parts[0] : Buffer.concat(parts);
		return this.#isStripped && piece[piece.length - 1] === this.#separator ? piece.subarray(0, -1) : piece;
	}
}

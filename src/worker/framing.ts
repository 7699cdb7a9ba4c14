// Where a workload ends on a kept command's stdin, and an answer on its stdout. Called by kept.ts. One workload, one
// answer, both ended alike:
//
//   lines, stripped   …LF       added where it is missing; `stripped` takes the answer's away
//   null              …NUL      never part of workload or answer
//   frames            4 bytes of length, big-endian, then as many bytes: any bytes at all
//
// What must stay true: a workload that would be taken for two never reaches the command, for every answer behind it would
// go to the wrong job.

import { GearmanError } from "../errors.ts";

export type Framing = "lines" | "stripped" | "null" | "frames";

/** Largest answer; a command that never ends its line must not fill our memory. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
const EMPTY = Buffer.alloc(0);
const NEWLINE = Buffer.from("\n");
const LENGTH_BYTES = 4;

/** What an Answer is after some more bytes. */
export type Progress = "more" | "whole" | "excess" | "too large";

/** The workload as the command reads it. Throws COMMAND_FAILED when it would be read as more than one. */
export function frame(workload: Buffer, framing: Framing): readonly Buffer[] {
	if (framing === "frames") {
		const head = Buffer.alloc(LENGTH_BYTES);
		head.writeUInt32BE(workload.length);
		return [head, workload];
	}
	const end = framing === "null" ? 0 : 0x0a;
	const at = workload.indexOf(end);
	if (framing === "null") {
		if (at >= 0) throw new GearmanError("COMMAND_FAILED", "the workload holds a NUL, which ends a workload here");
		return [workload, Buffer.alloc(1)];
	}
	if (at >= 0 && at < workload.length - 1) {
		throw new GearmanError("COMMAND_FAILED", "the workload holds a newline, and one line is one job here");
	}
	return at < 0 ? [workload, NEWLINE] : [workload];
}

/** Takes a command's stdout up to the end of one answer. */
export class Answer {
	readonly #framing: Framing;
	#parts: Buffer[] = [];
	#bytes = 0;
	/** Frames: of the whole, once its first bytes are here. */
	#length: number | undefined;

	constructor(framing: Framing) {
		this.#framing = framing;
	}

	write(chunk: Buffer): Progress {
		this.#parts.push(chunk);
		this.#bytes += chunk.length;
		if (this.#framing === "frames") return this.#writeFrame();
		if (this.#bytes > MAX_ANSWER_BYTES) return "too large";
		const end = chunk.indexOf(this.#framing === "null" ? 0 : 0x0a);
		if (end < 0) return "more";
		return end === chunk.length - 1 ? "whole" : "excess";
	}

	/** The answer, once it is whole. The next one begins. */
	take(): Buffer {
		const whole = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
		this.clear();
		if (this.#framing === "frames") return whole.subarray(LENGTH_BYTES);
		return this.#framing === "lines" ? whole : whole.subarray(0, -1);
	}

	clear(): void {
		this.#parts = [];
		this.#bytes = 0;
		this.#length = undefined;
	}

	#writeFrame(): Progress {
		if (this.#length === undefined) {
			if (this.#bytes < LENGTH_BYTES) return "more";
			if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts)];
			this.#length = LENGTH_BYTES + (this.#parts[0] ?? EMPTY).readUInt32BE();
			if (this.#length > MAX_ANSWER_BYTES) return "too large";
		}
		if (this.#bytes < this.#length) return "more";
		return this.#bytes === this.#length ? "whole" : "excess";
	}
}

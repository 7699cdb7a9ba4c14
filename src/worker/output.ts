// What a command's stdout becomes: collected into one result, or sent to the client as it comes, in chunks or in lines.
// Lines are found by their newline byte alone; nothing is decoded.

import type { Job } from "./job.ts";

/** Takes a command's stdout. */
export interface Output {
	/** The next bytes. Returns a promise when the rest should wait until it resolves. */
	write(chunk: Buffer): Promise<void> | undefined;
	/** No more comes; the job's result, where the bytes were not sent already. */
	end(): Promise<Buffer | undefined>;
}

const LF = 0x0a;

/** All of it is the result. */
export function collect(): Output {
	const chunks: Buffer[] = [];
	return {
		write(chunk) {
			chunks.push(chunk);
			return undefined;
		},
		async end() {
			return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
		},
	};
}

/** WORK_DATA at once, in the pieces the command happened to write. */
export function sendChunks(job: Job): Output {
	return {
		write: (chunk) => job.sendData(chunk),
		end: async () => undefined,
	};
}

/** One WORK_DATA a line, with its newline or, `isStripped`, without. A last line without newline keeps all its bytes. */
export function sendLines(job: Job, isStripped: boolean): Output {
	/** The beginning of an unfinished line, joined once when its end is here. */
	let parts: Buffer[] = [];

	function send(end: Buffer): Promise<void> {
		const line = parts.length === 0 ? end : Buffer.concat([...parts, end]);
		parts = [];
		return job.sendData(line);
	}

	return {
		write(chunk) {
			let sent: Promise<void> | undefined;
			let start = 0;
			for (let lf = chunk.indexOf(LF); lf >= 0; lf = chunk.indexOf(LF, start)) {
				sent = send(chunk.subarray(start, isStripped ? lf : lf + 1));
				start = lf + 1;
			}
			if (start < chunk.length) parts.push(chunk.subarray(start));
			return sent;
		},
		async end() {
			if (parts.length > 0) await send(Buffer.alloc(0));
			return undefined;
		},
	};
}

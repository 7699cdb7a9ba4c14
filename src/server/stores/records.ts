// Changes as bytes: what the SQLite store hands its thread, and what the file store appends. Numbers are little-endian,
// names latin1, each with its length in front:
//
//   add      1 | priority u8 | due f64 | submitted f64 | retries u32 | handle | function | unique | reducer+1 | workload
//   retry    2 | retries u32 | handle
//   remove   3 | handle
//   reserve  4 | number f64

import type { Change, StoredJob } from "./index.ts";

/** A change read back: only an added job is there in full. */
export type Entry =
	| { readonly kind: "add"; readonly job: StoredJob }
	| { readonly kind: "retry"; readonly handle: string; readonly retries: number }
	| { readonly kind: "remove"; readonly handle: string }
	| { readonly kind: "reserve"; readonly number: number };

const ADD = 1;
const RETRY = 2;
const REMOVE = 3;
const RESERVE = 4;

/** Bytes of an added job that are not names or workload. */
const ADD_BYTES = 1 + 1 + 8 + 8 + 4 + 5 * 4;

/** The changes in a memory of their own, which can be given to a thread, behind `headBytes` left free. */
export function encodeChanges(changes: readonly Change[], headBytes = 0): Buffer<ArrayBuffer> {
	let size = headBytes;
	for (const change of changes) size += sizeOf(change);
	const bytes = Buffer.from(new ArrayBuffer(size));
	let at = headBytes;
	for (const change of changes) at = writeChange(bytes, at, change);
	return bytes;
}

/** Reads back what encodeChanges() wrote. Workloads are views. Throws RangeError on bytes that are something else. */
export function* decodeChanges(bytes: Buffer): Generator<Entry> {
	const reader = new Reader(bytes);
	while (reader.at < bytes.length) {
		switch (reader.u8()) {
			case ADD:
				yield { kind: "add", job: readJob(reader) };
				break;
			case RETRY: {
				const retries = reader.u32();
				yield { kind: "retry", retries, handle: reader.text() };
				break;
			}
			case REMOVE:
				yield { kind: "remove", handle: reader.text() };
				break;
			case RESERVE:
				yield { kind: "reserve", number: reader.f64() };
				break;
			default:
				throw new RangeError("not a change");
		}
	}
}

/** The change as decodeChanges() would give it back. */
export function entryOf(change: Change): Entry {
	if (change.kind === "add" || change.kind === "reserve") return change;
	const { handle, retries } = change.job;
	return change.kind === "remove" ? { kind: "remove", handle } : { kind: "retry", handle, retries };
}

/** The number a handle ends with: jobs of one server are told apart and ordered by it. */
export function numberOf(handle: string): number {
	const number = Number(handle.slice(handle.lastIndexOf(":") + 1));
	if (!Number.isSafeInteger(number)) throw new RangeError(`the handle ${handle} does not end with a number`);
	return number;
}

function sizeOf(change: Change): number {
	switch (change.kind) {
		case "add": {
			const { handle, functionName, unique, reducer, workload } = change.job;
			const names = handle.length + functionName.length + unique.length + (reducer?.length ?? 0);
			return ADD_BYTES + names + workload.length;
		}
		case "retry":
			return 1 + 4 + 4 + change.job.handle.length;
		case "remove":
			return 1 + 4 + change.job.handle.length;
		case "reserve":
			return 1 + 8;
	}
}

function writeChange(bytes: Buffer, start: number, change: Change): number {
	let at = start;
	switch (change.kind) {
		case "add": {
			const job = change.job;
			at = bytes.writeUInt8(ADD, at);
			at = bytes.writeUInt8(job.priority, at);
			at = bytes.writeDoubleLE(job.dueMs, at);
			at = bytes.writeDoubleLE(job.submittedMs, at);
			at = bytes.writeUInt32LE(job.retries, at);
			at = writeText(bytes, at, job.handle);
			at = writeText(bytes, at, job.functionName);
			at = writeText(bytes, at, job.unique);
			// No reducer at all is 0, an empty one 1.
			at = bytes.writeUInt32LE(job.reducer === undefined ? 0 : job.reducer.length + 1, at);
			at += bytes.write(job.reducer ?? "", at, "latin1");
			at = bytes.writeUInt32LE(job.workload.length, at);
			return at + job.workload.copy(bytes, at);
		}
		case "retry":
			at = bytes.writeUInt8(RETRY, at);
			at = bytes.writeUInt32LE(change.job.retries, at);
			return writeText(bytes, at, change.job.handle);
		case "remove":
			at = bytes.writeUInt8(REMOVE, at);
			return writeText(bytes, at, change.job.handle);
		case "reserve":
			at = bytes.writeUInt8(RESERVE, at);
			return bytes.writeDoubleLE(change.number, at);
	}
}

function writeText(bytes: Buffer, at: number, text: string): number {
	const start = bytes.writeUInt32LE(text.length, at);
	return start + bytes.write(text, start, "latin1");
}

function readJob(reader: Reader): StoredJob {
	const priority = reader.u8();
	const dueMs = reader.f64();
	const submittedMs = reader.f64();
	const retries = reader.u32();
	const handle = reader.text();
	const functionName = reader.text();
	const unique = reader.text();
	const reducerLength = reader.u32();
	const reducer = reducerLength === 0 ? undefined : reader.bytes(reducerLength - 1).toString("latin1");
	const workload = reader.bytes(reader.u32());
	return { handle, functionName, unique, workload, priority, dueMs, reducer, retries, submittedMs };
}

class Reader {
	readonly #bytes: Buffer;
	at = 0;

	constructor(bytes: Buffer) {
		this.#bytes = bytes;
	}

	u8(): number {
		return this.#bytes.readUInt8(this.#skip(1));
	}

	u32(): number {
		return this.#bytes.readUInt32LE(this.#skip(4));
	}

	f64(): number {
		return this.#bytes.readDoubleLE(this.#skip(8));
	}

	text(): string {
		const length = this.u32();
		const start = this.#skip(length);
		return this.#bytes.toString("latin1", start, start + length);
	}

	bytes(length: number): Buffer {
		const start = this.#skip(length);
		return this.#bytes.subarray(start, start + length);
	}

	#skip(length: number): number {
		const start = this.at;
		if (start + length > this.#bytes.length) throw new RangeError("the change is cut off");
		this.at += length;
		return start;
	}
}

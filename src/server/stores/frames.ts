// The bytes of the file store: a line that says what the file is, then one frame a batch, little-endian:
//
//   "GJ1\n" | length u32 | CRC-32 of length and body | body: changes, see records.ts
//
// A frame is whole or it is nothing. Only the last one can have been cut by a crash, for the next is not begun before it
// is on the disk.

import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { crc32 } from "node:zlib";
import type { Change, StoredJob } from "./index.ts";
import { decodeChanges, encodeChanges } from "./records.ts";

export const FILE_HEAD = Buffer.from("gearman journal 1\n");

const FRAME_MAGIC = Buffer.from("GJ1\n");
const HEAD_BYTES = 12;
/** Copied at a time. */
export const COPY_BYTES = 1 << 20;
/** Read at a time. */
const READ_BYTES = 1 << 20;
/** At a time: a system call takes 2 GB at most. */
const MAX_CALL = 1 << 30;

export interface Frame {
	/** Where it begins in the file, and where the next one does. */
	readonly start: number;
	readonly end: number;
	readonly body: Buffer;
}

export function encodeFrame(changes: readonly Change[]): Buffer<ArrayBuffer> {
	const bytes = encodeChanges(changes, HEAD_BYTES);
	FRAME_MAGIC.copy(bytes);
	bytes.writeUInt32LE(bytes.length - HEAD_BYTES, 4);
	bytes.writeUInt32LE(checksum(bytes), 8);
	return bytes;
}

/** The whole frames from `start` up to `end`, up to the first that is broken or cut off. */
export async function* readFrames(file: FileHandle, start: number, end: number): AsyncGenerator<Frame> {
	let buffer: Buffer = Buffer.alloc(0);
	let at = start;
	/** Makes the buffer hold `count` bytes from `at` on; false when the file ends before. */
	const fill = async (count: number): Promise<boolean> => {
		if (buffer.length >= count) return true;
		if (at + count > end) return false;
		const larger = Buffer.allocUnsafe(Math.min(end - at, Math.max(count, READ_BYTES)));
		buffer.copy(larger);
		const wanted = larger.subarray(buffer.length);
		if ((await readFully(file, wanted, at + buffer.length)) < wanted.length) return false;
		buffer = larger;
		return true;
	};
	while (await fill(HEAD_BYTES)) {
		if (!buffer.subarray(0, 4).equals(FRAME_MAGIC)) return;
		const size = HEAD_BYTES + buffer.readUInt32LE(4);
		if (!(await fill(size))) return;
		const bytes = buffer.subarray(0, size);
		if (checksum(bytes) !== bytes.readUInt32LE(8)) return;
		yield { start: at, end: at + size, body: bytes.subarray(HEAD_BYTES) };
		at += size;
		buffer = buffer.subarray(size);
	}
}

/**
 * Begins a new file with the jobs in the frames of an old one up to `end`, each as `current` has it or not at all.
 * Resolves to the new one's size.
 */
export async function copyJobs(
	old: FileHandle,
	end: number,
	file: FileHandle,
	reserved: number,
	current: (job: StoredJob) => StoredJob | undefined,
): Promise<number> {
	let size = 0;
	const put = async (bytes: Buffer): Promise<void> => {
		await writeFully(file, bytes, size);
		size += bytes.length;
	};
	await put(FILE_HEAD);
	await put(encodeFrame([{ kind: "reserve", number: reserved }]));
	let jobs: Change[] = [];
	let bytes = 0;
	for await (const { body } of readFrames(old, FILE_HEAD.length, end)) {
		for (const entry of decodeChanges(body)) {
			const job = entry.kind === "add" ? current(entry.job) : undefined;
			if (job === undefined) continue;
			jobs.push({ kind: "add", job });
			bytes += job.workload.length;
		}
		if (bytes < COPY_BYTES && jobs.length < 1000) continue;
		await put(encodeFrame(jobs));
		jobs = [];
		bytes = 0;
	}
	if (jobs.length > 0) await put(encodeFrame(jobs));
	return size;
}

/** True when a whole frame lies somewhere behind `start`: what is broken there is not just the end of the file. */
export async function hasFrameBehind(file: FileHandle, start: number, end: number): Promise<boolean> {
	const window = Buffer.allocUnsafe(Math.min(end - start, READ_BYTES));
	for (let from = start; from < end; from += window.length - FRAME_MAGIC.length + 1) {
		const bytes = window.subarray(0, await readFully(file, window.subarray(0, end - from), from));
		for (let at = bytes.indexOf(FRAME_MAGIC); at >= 0; at = bytes.indexOf(FRAME_MAGIC, at + 1)) {
			for await (const _ of readFrames(file, from + at, end)) return true;
		}
		if (from + bytes.length >= end || bytes.length < window.length) break;
	}
	return false;
}

/** Reads until the buffer is full or the file ends; resolves to the bytes read. */
export async function readFully(file: FileHandle, buffer: Buffer, position: number): Promise<number> {
	let read = 0;
	while (read < buffer.length) {
		const { bytesRead } = await file.read(buffer, read, Math.min(MAX_CALL, buffer.length - read), position + read);
		if (bytesRead === 0) break;
		read += bytesRead;
	}
	return read;
}

export async function writeFully(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
	let written = 0;
	while (written < bytes.length) {
		const length = Math.min(MAX_CALL, bytes.length - written);
		written += (await file.write(bytes, written, length, position + written)).bytesWritten;
	}
}

/** Of a frame: its length and its body. */
function checksum(frame: Buffer): number {
	return crc32(frame.subarray(HEAD_BYTES), crc32(frame.subarray(4, 8)));
}

/** Makes a file's name in its folder survive a power cut; Windows cannot, and need not. */
export async function syncFolder(path: string): Promise<void> {
	if (process.platform === "win32") return;
	const folder = await open(dirname(path), "r");
	try {
		await folder.sync();
	} finally {
		await folder.close();
	}
}

// The one file that reaches below Node's documented API: to the handle inside a socket. Where that is not to be had
// (TLS, another runtime, a later Node) the same is done the documented way, and callers need not know.
//
// Reading: Node allocates 64 KiB for every read of an accepted socket. A socket made with `onread` reads into a given
// buffer, and one buffer does for all of them, since its bytes are used up before the next read, except that the rest of a
// large packet goes where it is wanted; Node documents that for sockets that connect only, so an accepted one's handle is
// moved into a new socket.
// Writing: what the kernel takes at once needs no request, callback and tick of a stream around it.

import { writevSync } from "node:fs";
import { type Server as Listener, Socket } from "node:net";
import { getSystemErrorName } from "node:util";

interface WriteRequest {
	oncomplete: (status: number) => void;
	/** What is being written: kept alive until the kernel has it. */
	bytes: unknown;
}

interface Handle {
	readonly fd?: number;
	reading: boolean;
	readStop(): number;
	writeBuffer(request: WriteRequest, bytes: Buffer): number;
	writev(request: WriteRequest, pieces: readonly Buffer[], areAllBuffers: boolean): number;
}

interface StreamWrap {
	readonly WriteWrap: new () => WriteRequest;
	readonly streamBaseState: Int32Array;
	readonly kLastWriteWasAsync: number;
}

/** A socket's or listener's inside, as far as it is used here. */
interface Inside {
	_handle: Handle | null | undefined;
	_server: unknown;
}

/** Where a connection's bytes go. */
export interface Reader {
	/** Takes what was read; must be done with the bytes when it returns. */
	receive(bytes: Buffer): void;
	/** Memory of its own the next bytes had better be read into; asked before each read. */
	readonly room: Buffer | undefined;
	/** It copes with more at a time than usual. */
	readonly isBulky: boolean;
	/** So many bytes were read into `room`. */
	filled(count: number): void;
}

/** Four thousand small packets are long enough a turn. */
const READ_BYTES = 1 << 16;
/** The server's CPU time for a foreground job of 64 KiB: 55 µs so, 68 with READ_BYTES for all, 64 with 1 << 20. */
const BULKY_BYTES = 1 << 18;

const streamWrap = findStreamWrap();
/** Not touched by a write that ends at once, so one does for all of these. */
let spare = streamWrap && new streamWrap.WriteWrap();
/** The same memory for all sockets, as much of it as is read at a time. */
let usual: Buffer | undefined;
let bulky: Buffer | undefined;

/** The descriptor of a listener; undefined where it cannot be had. */
export function descriptorOf(listener: Listener): number | undefined {
	const fd = inside(listener)._handle?.fd;
	return fd === undefined || fd < 0 ? undefined : fd;
}

/** Has what arrives on a socket, just accepted, given to `reader`. Gives back the socket to use from here on. */
export function readInto(socket: Socket, reader: Reader): Socket {
	const { _handle: handle, _server: listener } = inside(socket);
	if (streamWrap === undefined || !handle || !isPlain(socket) || socket.bytesRead > 0) {
		socket.on("data", (bytes: Buffer) => reader.receive(bytes));
		return socket;
	}
	bulky ??= Buffer.allocUnsafeSlow(BULKY_BYTES);
	usual ??= bulky.subarray(0, READ_BYTES);
	const [small, large] = [usual, bulky];
	let current = small;
	let hasBegun = false;
	handle.readStop();
	handle.reading = false;
	const moved = new Socket({
		handle,
		allowHalfOpen: socket.allowHalfOpen,
		onread: {
			// Called before the first read, when the reader may not be ready yet, and after each; undefined: no change.
			buffer: () => {
				const next = hasBegun ? (reader.room ?? (reader.isBulky ? large : small)) : small;
				if (hasBegun && next === current) return undefined;
				hasBegun = true;
				current = next;
				return next;
			},
			callback: (count: number, bytes: Buffer) => {
				if (bytes.buffer !== small.buffer) reader.filled(count);
				else reader.receive(count === bytes.length ? bytes : bytes.subarray(0, count));
				return true;
			},
		},
	} as object);
	// The listener's count of open connections goes with the handle.
	inside(moved)._server = listener;
	inside(socket)._server = null;
	inside(socket)._handle = null;
	// Whoever waits for the end of the one waits for the other's.
	for (const listener of socket.rawListeners("close")) moved.on("close", listener as () => void);
	return moved;
}

/** True when writeNow() can do better than the socket's own write. */
export function canWriteNow(socket: Socket): boolean {
	return streamWrap !== undefined && isPlain(socket);
}

/**
 * Writes to a socket on which no other write is under way. True: the kernel has all of it, `done` is not called.
 * Otherwise `done` is called once it has, or never when the connection breaks, which the socket's events tell.
 */
export function writeNow(socket: Socket, bytes: Buffer, done: () => void): boolean {
	const handle = inside(socket)._handle;
	if (spare === undefined || !handle) return false;
	return isWritten(socket, handle.writeBuffer(spare, bytes), bytes, done);
}

/** As writeNow(), in one system call. */
export function writeAllNow(socket: Socket, pieces: readonly Buffer[], done: () => void): boolean {
	const handle = inside(socket)._handle;
	if (spare === undefined || !handle) return false;
	return isWritten(socket, handle.writev(spare, pieces, true), pieces, done);
}

/**
 * Writes what the kernel takes at once to a socket on which no other write is under way, and returns how much that was. The
 * bytes may be used for something else afterwards: nothing goes on in the background. What is wrong with the socket is
 * left for the next write to find.
 */
export function writeSome(socket: Socket, pieces: readonly Buffer[]): number {
	const fd = inside(socket)._handle?.fd ?? -1;
	if (fd < 0) return 0;
	try {
		return writevSync(fd, pieces);
	} catch {
		return 0;
	}
}

function isWritten(socket: Socket, status: number, bytes: unknown, done: () => void): boolean {
	if (status !== 0) {
		socket.destroy(errorOf(status));
		return false;
	}
	if (streamWrap === undefined || spare === undefined) return false;
	if (streamWrap.streamBaseState[streamWrap.kLastWriteWasAsync] === 0) return true;
	const request = spare;
	spare = new streamWrap.WriteWrap();
	request.bytes = bytes;
	request.oncomplete = (later) => {
		request.bytes = undefined;
		if (later === 0) done();
		else socket.destroy(errorOf(later));
	};
	return false;
}

function errorOf(status: number): Error {
	const code = getSystemErrorName(status);
	return Object.assign(new Error(`write ${code}`), { code, errno: status, syscall: "write" });
}

function inside(socket: Socket | Listener): Inside {
	return socket as unknown as Inside;
}

/** Not TLS, and a handle of the shape known here. */
function isPlain(socket: Socket): boolean {
	const handle = inside(socket)._handle;
	const name = handle?.constructor.name;
	return (name === "TCP" || name === "Pipe") && typeof handle?.writeBuffer === "function";
}

function findStreamWrap(): StreamWrap | undefined {
	try {
		const wrap = (process as unknown as { binding(name: string): Partial<StreamWrap> }).binding("stream_wrap");
		const isKnown =
			typeof wrap.WriteWrap === "function" &&
			wrap.streamBaseState instanceof Int32Array &&
			typeof wrap.kLastWriteWasAsync === "number";
		return isKnown ? (wrap as StreamWrap) : undefined;
	} catch {
		return undefined; // not in this runtime
	}
}

// The one file that reaches below Node's documented API: to the handle inside a socket. Where that is not to be had
// (TLS, another runtime, a later Node) the same is done the documented way, and callers need not know.
//
// Reading: Node allocates 64 KiB for every read of an accepted socket. A socket made with `onread` reads into a given
// buffer, and one buffer does for all of them, since its bytes are used up before the next read; Node documents that for
// sockets that connect only, so an accepted one's handle is moved into a new socket.
// Writing: what the kernel takes at once needs no request, callback and tick of a stream around it.

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

const READ_BYTES = 65_536;

const streamWrap = findStreamWrap();
/** Not touched by a write that ends at once, so one does for all of these. */
let spare = streamWrap && new streamWrap.WriteWrap();
let readBuffer: Buffer | undefined;

/** The descriptor of a listener; undefined where it cannot be had. */
export function descriptorOf(listener: Listener): number | undefined {
	const fd = inside(listener)._handle?.fd;
	return fd === undefined || fd < 0 ? undefined : fd;
}

/**
 * Has what arrives on a socket, just accepted, given to `receive`, which must be done with the bytes when it returns.
 * Gives back the socket to use from here on.
 */
export function readInto(socket: Socket, receive: (bytes: Buffer) => void): Socket {
	const { _handle: handle, _server: listener } = inside(socket);
	if (streamWrap === undefined || !handle || !isPlain(socket) || socket.bytesRead > 0) {
		socket.on("data", receive);
		return socket;
	}
	readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
	const bytes = readBuffer;
	handle.readStop();
	handle.reading = false;
	const moved = new Socket({
		handle,
		allowHalfOpen: socket.allowHalfOpen,
		onread: {
			buffer: bytes,
			callback: (count: number) => {
				receive(count === READ_BYTES ? bytes : bytes.subarray(0, count));
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

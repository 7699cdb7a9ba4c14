// Bytes → packets and text lines, in the order they came. No socket, no timer, no log: the owner of a connection calls
// write() with what it read and is called back. What must stay true:
// - a chunk belongs to the caller and is valid only during write(): what has to wait is copied, once, to where its packet
//   will be whole (never a concat a chunk);
// - a size is checked against the limit before a byte is kept; an oversized packet is skipped, not buffered;
// - the size field alone delimits a packet: missing arguments can never eat the next packet.

import { fieldCount } from "./commands.ts";
import { FRAME_BYTES, giveBack, holdFrame, lendFrame } from "./frames.ts";
import { HEADER_BYTES, MAGIC_REQUEST, MAGIC_RESPONSE } from "./packet.ts";

/** Longest text line in bytes, its end not counted. */
export const MAX_LINE_BYTES = 8192;
/** Default limit of one packet's body in bytes. */
export const MAX_PACKET_BYTES = 256 * 1024 * 1024;

/**
 * Up to here a packet gets the memory it says it needs at its first byte; a larger one when it has sent so much. A workload
 * of 1 MiB and its arguments are still within.
 */
const BELIEVED_BYTES = (1 << 20) + 4096;
/** Smaller frames share Node's pool of memory; the others are lent. */
const POOLED_BYTES = 2048;
/**
 * A packet that lacks no less is read straight into its frame: a foreground job of 100 MB, result and all, costs the server
 * 208 ms instead of 280.
 */
const DIRECT_BYTES = 32_768;
/** Mean size of the packets in a read that make a stream bulky; a read has to be so long to tell. */
const BULKY_PACKET = 8192;
const BULKY_READ = 32_768;
/** Larger packets do not: most of one is read straight into its frame, the sooner the better. */
const BULKY_LIMIT = 1 << 18;
const EMPTY = Buffer.alloc(0);
const MAX_FIELDS = 8;
const LF = 0x0a;
/** First byte of a TLS ClientHello. */
const TLS_HANDSHAKE = 0x16;

/** Who is called with what was read. Each call is made inside Parser.write() or Parser.resume(). */
export interface Receiver {
	/** A whole packet. It is a view, reused for the next packet: take what you keep before you return. */
	onPacket(packet: Packet): void;
	/** A text line without its LF or CRLF, as latin1. */
	onLine(line: string): void;
	/** A packet over the limit began; its `size` bytes are being skipped, the stream goes on behind it. */
	onOversized(type: number, size: number): void;
	/** The stream cannot be trusted from here on (wrong magic, endless line): close it. Nothing more is parsed. */
	onGarbage(reason: string): void;
}

/** Who is told how much is kept of a packet or line that is not whole yet. */
export interface Account {
	/** So many bytes of it came, and took so much more memory: none where an oversized packet is thrown away. */
	grew(bytes: number, memory: number): void;
	/** It is whole, or given up. */
	ended(): void;
}

/** One packet: a view of the bytes it came in. */
export class Packet {
	type = 0;
	isRequest = true;
	/** False when the body has fewer NULs than its packet needs; then only `type` means anything. */
	isComplete = false;
	bytes: Buffer = EMPTY;
	/** The body is bytes[start … end). */
	start = 0;
	end = 0;
	/** The bytes are the packet's own (not a read buffer's): views of them may be kept. */
	isOwned = false;
	#count = 0;
	#name = "";
	readonly #starts = new Int32Array(MAX_FIELDS + 1);

	/** Field `index` as latin1. */
	text(index: number): string {
		const start = this.#starts[index];
		const end = this.#starts[index + 1] - 1;
		return start === end ? "" : this.bytes.toString("latin1", start, end);
	}

	/** Field 0 as latin1, where it tends to be what it was: comparing takes a fifth of what making a string of it does. */
	name(): string {
		const known = this.#name;
		const start = this.#starts[0];
		const length = this.#starts[1] - 1 - start;
		if (length === known.length) {
			let same = 0;
			while (same < length && this.bytes[start + same] === known.charCodeAt(same)) same++;
			if (same === length) return known;
		}
		this.#name = this.text(0);
		return this.#name;
	}

	/** Length of field `index` in bytes. */
	lengthOf(index: number): number {
		return this.#starts[index + 1] - 1 - this.#starts[index];
	}

	/** Field `index` as a view, valid until the callback returns. */
	view(index: number): Buffer {
		return this.bytes.subarray(this.#starts[index], this.#starts[index + 1] - 1);
	}

	/** The last field, the data, is bytes[dataStart … end). */
	get dataStart(): number {
		return this.#starts[this.#count - 1];
	}

	/** Nothing else came with it. */
	get isAlone(): boolean {
		return this.start === HEADER_BYTES && this.end === this.bytes.length;
	}

	/** The data as bytes that may be kept. */
	keepData(): Buffer {
		return this.keep(this.dataStart);
	}

	/** The whole body as bytes that may be kept. */
	keepBody(): Buffer {
		return this.keep(this.start);
	}

	/** bytes[from … end) as bytes that may be kept. They may be of a frame (see frames.ts) that the caller now holds. */
	keep(from: number): Buffer {
		if (from === this.end) return EMPTY;
		const view = this.bytes.subarray(from, this.end);
		if (!this.isOwned) {
			if (view.length < FRAME_BYTES) return Buffer.from(view);
			const copy = lendFrame(view.length).subarray(0, view.length);
			copy.set(view);
			return copy;
		}
		if (this.bytes.length >= FRAME_BYTES) holdFrame(view);
		return view;
	}

	/** How many fields there are, the data counted as one. */
	get count(): number {
		return this.#count;
	}

	/** Points the view at a frame and finds its fields. Parser only. */
	set(type: number, isRequest: boolean, bytes: Buffer, start: number, end: number, isOwned: boolean): void {
		this.type = type;
		this.isRequest = isRequest;
		this.bytes = bytes;
		this.start = start;
		this.end = end;
		this.isOwned = isOwned;
		const count = fieldCount(type);
		const starts = this.#starts;
		starts[0] = start;
		let at = start;
		let field = 1;
		// A loop over the bytes beats indexOf() here: arguments are a few bytes long, a native call costs more.
		for (; field < count; field++) {
			while (at < end && bytes[at] !== 0) at++;
			if (at === end) break;
			starts[field] = ++at;
		}
		this.isComplete = field >= count;
		starts[field] = end + 1;
		this.#count = this.isComplete ? Math.max(count, 0) : field;
	}
}

/** A state machine over one connection's incoming bytes. */
export class Parser {
	readonly #receiver: Receiver;
	readonly #maxPacketBytes: number;
	readonly #account: Account | undefined;
	readonly #packet = new Packet();
	/** Begins with the #kept bytes of an unfinished header, packet or line. */
	#frame: Buffer = EMPTY;
	#kept = 0;
	/** Bytes the unfinished packet has in all, header included; 0 while that is unknown. */
	#needed = 0;
	/** Bytes of an oversized packet still to be thrown away. */
	#skip = 0;
	/** What was given to write() while paused. */
	#backlog: Buffer[] = [];
	#isPaused = false;
	#isParsing = false;
	#isClosed = false;
	/** Packets that were whole in the bytes being parsed. */
	#packets = 0;
	/** Something has come. */
	hasInput = false;
	/** Large packets come: more may be read at a time, and is parsed as quickly. */
	isBulky = false;

	constructor(receiver: Receiver, maxPacketBytes: number = MAX_PACKET_BYTES, account?: Account) {
		this.#receiver = receiver;
		this.#maxPacketBytes = maxPacketBytes;
		this.#account = account;
	}

	/** Bytes held for unfinished packets and lines. */
	get keptBytes(): number {
		return this.#kept;
	}

	/** Takes the next bytes of the stream and calls the receiver for all that is whole. */
	write(chunk: Buffer): void {
		if (this.#isClosed) return;
		this.hasInput = true;
		if (this.#isPaused || this.#isParsing) {
			this.#backlog.push(Buffer.from(chunk));
			return;
		}
		this.#isParsing = true;
		this.#packets = 0;
		const rest = this.#parse(chunk);
		if (chunk.length >= BULKY_READ) this.isBulky = chunk.length > this.#packets * BULKY_PACKET;
		this.#isParsing = false;
		this.#packet.bytes = EMPTY; // or an idle connection would keep its last packet alive
		if (rest < chunk.length && !this.#isClosed) this.#backlog.unshift(Buffer.from(chunk.subarray(rest)));
		if (this.#backlog.length > 0 && !this.#isPaused) this.resume();
	}

	/**
	 * Where the next bytes of the stream may be read to instead, to be told of by filled(): a large unfinished packet's own
	 * memory, which saves it a copy. Good for one read.
	 */
	get room(): Buffer | undefined {
		const end = Math.min(this.#needed, this.#frame.length);
		if (end - this.#kept < DIRECT_BYTES || this.#backlog.length > 0) return undefined;
		return this.#frame.subarray(this.#kept, end);
	}

	/** So many bytes were read into `room`. */
	filled(count: number): void {
		if (this.#isClosed) return;
		this.#account?.grew(count, 0);
		this.isBulky = this.#needed < BULKY_LIMIT;
		this.#kept += count;
		if (this.#kept === this.#needed && !this.#isPaused) this.resume();
	}

	/** No more callbacks until resume(); may be called from a callback. The caller stops reading its socket too. */
	pause(): void {
		this.#isPaused = true;
	}

	/** Goes on with what was left when pause() was called. */
	resume(): void {
		this.#isPaused = false;
		if (this.#needed > 0 && this.#kept === this.#needed && !this.#isParsing) {
			this.#isParsing = true;
			this.#emitFrame();
			this.#isParsing = false;
			this.#packet.bytes = EMPTY;
		}
		while (!this.#isPaused && !this.#isParsing && !this.#isClosed) {
			const chunk = this.#backlog.shift();
			if (chunk === undefined) return;
			this.#isParsing = true;
			const rest = this.#parse(chunk);
			this.#isParsing = false;
			this.#packet.bytes = EMPTY;
			if (rest < chunk.length && !this.#isClosed) this.#backlog.unshift(chunk.subarray(rest));
		}
	}

	/** Drops all state: no callback after this. */
	close(): void {
		this.#isClosed = true;
		this.#account?.ended();
		this.#frame = EMPTY;
		this.#backlog = [];
		this.#kept = 0;
	}

	/** Parses until the chunk ends or the receiver pauses; returns how far it came. */
	#parse(chunk: Buffer): number {
		let at = 0;
		while (at < chunk.length && !this.#isPaused && !this.#isClosed) {
			if (this.#skip > 0) {
				const skipped = Math.min(this.#skip, chunk.length - at);
				this.#skip -= skipped;
				at += skipped;
				if (this.#skip > 0) this.#account?.grew(skipped, 0);
				else this.#account?.ended();
			} else if (this.#kept > 0) {
				at = this.#continue(chunk, at);
			} else if (chunk[at] !== 0) {
				at = this.#line(chunk, at);
			} else {
				at = this.#frames(chunk, at);
			}
		}
		return at;
	}

	/** Whole packets in place, one after the other; an unfinished one is kept. */
	#frames(chunk: Buffer, from: number): number {
		let at = from;
		while (at < chunk.length && chunk[at] === 0) {
			if (chunk.length - at < HEADER_BYTES) {
				this.#keep(chunk, at, chunk.length);
				return chunk.length;
			}
			const size = this.#size(chunk, at);
			if (size < 0) return at + HEADER_BYTES;
			const end = at + HEADER_BYTES + size;
			if (end > chunk.length) {
				this.#needed = HEADER_BYTES + size;
				this.#keep(chunk, at, chunk.length);
				return chunk.length;
			}
			this.#emit(chunk, at, end, false);
			at = end;
			if (this.#isPaused || this.#isClosed) return at;
		}
		return at;
	}

	/** The next bytes of an unfinished header, packet or line. */
	#continue(chunk: Buffer, at: number): number {
		if (this.#frame[0] !== 0) return this.#line(chunk, at);
		const needed = this.#needed === 0 ? HEADER_BYTES : this.#needed;
		const end = Math.min(chunk.length, at + needed - this.#kept);
		this.#keep(chunk, at, end);
		if (this.#kept < needed) return end;
		if (this.#needed === 0) {
			const size = this.#size(this.#frame, 0);
			if (size > 0) {
				this.#needed = HEADER_BYTES + size;
				return end;
			}
			if (size < 0) {
				this.#forget();
				if (this.#skip > 0) this.#account?.grew(0, 0);
				return end;
			}
		}
		this.#emitFrame();
		return end;
	}

	/** The packet that was unfinished is whole. */
	#emitFrame(): void {
		const frame = this.#frame;
		const end = this.#kept;
		this.#forget();
		this.#emit(frame, 0, end, true);
		if (frame.length >= FRAME_BYTES) giveBack(frame);
	}

	/** The body size a header declares; -1 when the packet is not to be read (the receiver has been told). */
	#size(bytes: Buffer, at: number): number {
		const magic = uint32(bytes, at);
		if (magic !== MAGIC_REQUEST && magic !== MAGIC_RESPONSE) {
			this.close();
			this.#receiver.onGarbage("invalid magic value");
			return -1;
		}
		const size = uint32(bytes, at + 8);
		if (size > this.#maxPacketBytes) {
			this.#skip = size;
			this.#account?.grew(0, 0);
			this.#receiver.onOversized(uint32(bytes, at + 4), size);
			return -1;
		}
		return size;
	}

	#emit(bytes: Buffer, at: number, end: number, isOwned: boolean): void {
		const type = uint32(bytes, at + 4);
		this.#packets++;
		this.#packet.set(type, bytes[at + 3] === 0x51, bytes, at + HEADER_BYTES, end, isOwned);
		this.#receiver.onPacket(this.#packet);
	}

	#line(chunk: Buffer, at: number): number {
		// No line begins with a control character, and TLS does: its bytes may hold no LF for us to answer.
		if (this.#kept === 0 && chunk[at] === TLS_HANDSHAKE) {
			this.close();
			this.#receiver.onGarbage("speaks TLS, which this port does not");
			return chunk.length;
		}
		const lf = chunk.indexOf(LF, at);
		const end = lf < 0 ? chunk.length : lf;
		if (this.#kept + end - at > MAX_LINE_BYTES + 1) {
			this.close();
			this.#receiver.onGarbage(`text line over ${MAX_LINE_BYTES} bytes`);
			return chunk.length;
		}
		if (lf < 0) {
			this.#keep(chunk, at, end);
			return end;
		}
		let line = chunk.toString("latin1", at, end);
		if (this.#kept > 0) {
			line = this.#frame.toString("latin1", 0, this.#kept) + line;
			this.#forget();
		}
		this.#receiver.onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
		return lf + 1;
	}

	#keep(chunk: Buffer, start: number, end: number): void {
		const kept = this.#kept + end - start;
		const had = this.#frame.length;
		if (kept > had) this.#grow(kept);
		this.#account?.grew(end - start, this.#frame.length - had);
		chunk.copy(this.#frame, this.#kept, start, end);
		this.#kept = kept;
	}

	/** Room for what is kept: for the whole packet, once it is small or has come so far that its size can be believed. */
	#grow(kept: number): void {
		const isBelieved = this.#needed > 0 && (this.#needed <= BELIEVED_BYTES || kept >= BELIEVED_BYTES);
		const size = isBelieved ? this.#needed : Math.max(kept, Math.min(this.#frame.length * 2, BELIEVED_BYTES), 64);
		const larger = size < POOLED_BYTES ? Buffer.allocUnsafe(size) : lendFrame(size);
		this.#frame.copy(larger, 0, 0, this.#kept);
		this.#frame = larger;
	}

	#forget(): void {
		this.#account?.ended();
		this.#frame = EMPTY;
		this.#kept = 0;
		this.#needed = 0;
	}
}

/** As readUInt32BE(), which checks its arguments again at every call. */
function uint32(bytes: Buffer, at: number): number {
	return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

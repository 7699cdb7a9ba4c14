// Packets as bytes: the header, encode() for whoever builds one packet at a time, and the packets that never change.
// Strings are written as latin1, a byte a character: callers that hold text encode it first (see toName).

import { type PacketName, Type } from "./commands.ts";

/** Bytes in front of every packet's body: magic, type, size. */
export const HEADER_BYTES = 12;
/** `\0REQ` as a big-endian number: what clients and workers send. */
export const MAGIC_REQUEST = 0x00524551;
/** `\0RES` as a big-endian number: what the job server sends. */
export const MAGIC_RESPONSE = 0x00524553;

/** Writes the 12 header bytes at `offset`; `size` is the length of the body in bytes. */
export function writeHeader(bytes: Buffer, offset: number, magic: number, type: number, size: number): void {
	// Plain stores: writeUInt32BE checks its arguments again at every call.
	bytes[offset] = 0;
	bytes[offset + 1] = 0x52;
	bytes[offset + 2] = 0x45;
	bytes[offset + 3] = magic === MAGIC_REQUEST ? 0x51 : 0x53;
	bytes[offset + 4] = 0;
	bytes[offset + 5] = 0;
	bytes[offset + 6] = 0;
	bytes[offset + 7] = type;
	bytes[offset + 8] = size >>> 24;
	bytes[offset + 9] = size >>> 16;
	bytes[offset + 10] = size >>> 8;
	bytes[offset + 11] = size;
}

/**
 * One packet. `fields` are joined by single NULs, the last one being the data where the packet has data.
 * Strings are latin1; an argument in front must not hold a NUL (the receiver would split it there).
 */
export function encode(magic: number, name: PacketName, fields: readonly (string | Uint8Array)[] = []): Buffer {
	let size = Math.max(0, fields.length - 1);
	for (const field of fields) size += field.length;
	const bytes = Buffer.allocUnsafe(HEADER_BYTES + size);
	writeHeader(bytes, 0, magic, Type[name], size);
	let offset = HEADER_BYTES;
	for (let i = 0; i < fields.length; i++) {
		const field = fields[i];
		if (i > 0) bytes[offset++] = 0;
		if (typeof field === "string") bytes.write(field, offset, "latin1");
		else bytes.set(field, offset);
		offset += field.length;
	}
	return bytes;
}

/** A request packet: what clients and workers send. */
export function encodeRequest(name: PacketName, fields?: readonly (string | Uint8Array)[]): Buffer {
	return encode(MAGIC_REQUEST, name, fields);
}

/** A response packet by number, its body being `text` (latin1) and then `data`. */
export function encodeResponse(type: number, text: string, data?: Uint8Array): Buffer {
	const bytes = Buffer.allocUnsafe(HEADER_BYTES + text.length + (data?.length ?? 0));
	writeHeader(bytes, 0, MAGIC_RESPONSE, type, bytes.length - HEADER_BYTES);
	bytes.write(text, HEADER_BYTES, "latin1");
	if (data !== undefined) bytes.set(data, HEADER_BYTES + text.length);
	return bytes;
}

/** Text (function name, unique, id …) → the latin1 string of its UTF-8 bytes, the form names have inside a packet. */
export function toName(text: string): string {
	return isAscii(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** The reverse of toName; bytes that are not UTF-8 become U+FFFD. */
export function fromName(name: string): string {
	return isAscii(name) ? name : Buffer.from(name, "latin1").toString("utf8");
}

function isAscii(text: string): boolean {
	for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
	return true;
}

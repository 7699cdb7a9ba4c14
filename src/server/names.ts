// Names from the wire, for people and for addresses. In the server a name is its bytes, one character a byte (latin1).

/** As people read it: UTF-8 where the bytes are that, else latin1. */
export function textOf(name: string): string {
	if (!/[\x80-\xff]/.test(name)) return name;
	try {
		return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(name, "latin1"));
	} catch {
		return name;
	}
}

/** The bytes of text that people typed. */
export function nameOf(text: string): string {
	return Buffer.from(text, "utf8").toString("latin1");
}

/** As a part of an address: percent-encoded bytes. */
export function idOf(name: string): string {
	return name.replace(
		/[^A-Za-z0-9_.~-]/g,
		(byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
	);
}

/** The name that idOf() has made a part of an address; undefined when it is not encoded as it should be. */
export function nameOfId(id: string): string | undefined {
	if (/%(?![0-9a-f]{2})/i.test(id)) return undefined;
	return id.replace(/%(..)/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
}

// Addresses: one spelling a page, and which of them belong to a site.

import { createHash } from "node:crypto";

const MAX_LENGTH = 2000;

/** The address as it is kept, or undefined: not one to crawl. `base` is the page it was found on. */
export function normalize(address, base) {
	if (!URL.canParse(address, base)) return undefined;
	const url = new URL(address, base);
	if (!/^https?:$/.test(url.protocol)) return undefined;
	url.hash = "";
	url.username = "";
	url.password = "";
	url.hostname = url.hostname.replace(/\.$/, "");
	for (const name of [...url.searchParams.keys()]) if (name.startsWith("utm_")) url.searchParams.delete(name);
	if (url.search === "") url.search = ""; // Drops a lone "?".
	// %7e and ~ are the same, and so are %c3 and %C3.
	const href = url.href.replace(/%[0-9a-f]{2}/gi, (code) => {
		const letter = String.fromCharCode(Number.parseInt(code.slice(1), 16));
		return /[\w.~-]/.test(letter) ? letter : code.toUpperCase();
	});
	return href.length > MAX_LENGTH ? undefined : href;
}

/** What the pages of a site have in common: the host and port, with or without www. */
export function siteOf(url) {
	return new URL(url).host.replace(/^www\./, "");
}

/** A page's key: short however long its address is. */
export function idOf(url) {
	return createHash("sha256").update(url).digest("base64url").slice(0, 32);
}

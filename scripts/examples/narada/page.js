// HTML → title, text and links.

import { Parser } from "htmlparser2";
import { normalize } from "./address.js";

/** More of a page than this is not searched: databases limit what they index. */
const MAX_TEXT = 100_000;
const MAX_TITLE = 300;
const MAX_LINKS = 5000;
/** Elements whose content nobody reads. */
const SILENT = new Set(["script", "style", "nav", "noscript", "template", "svg", "math", "iframe", "object", "select"]);
/** Elements that do not end a word: <b>b</b>old. */
const INLINE = new Set(
	"a abbr b bdi bdo cite code em font i kbd mark q s small span strong sub sup tt u var wbr".split(" "),
);

export function parsePage(html, url, type) {
	if (type === "text/plain") return { title: "", text: tidy(html, MAX_TEXT), links: [], isIndexed: true };
	let base = url;
	let silence = 0;
	let isTitle = false;
	let title = "";
	let text = "";
	let directives = "";
	const links = new Set();
	const space = (name) => {
		if (!INLINE.has(name)) text += " ";
	};
	const parser = new Parser({
		onopentag(name, attributes) {
			space(name);
			if (SILENT.has(name)) silence++;
			// The first title that is not an image's.
			else if (name === "title") isTitle = silence === 0 && title === "";
			else if (name === "base" && attributes.href) base = normalize(attributes.href, url) ?? url;
			else if (name === "meta" && /^(robots|narada)$/i.test(attributes.name ?? ""))
				directives += ` ${attributes.content ?? ""}`.toLowerCase();
			else if ((name === "a" || name === "area") && attributes.href && links.size < MAX_LINKS) {
				const isFollowed = !/\bnofollow\b/i.test(attributes.rel ?? "");
				const link = isFollowed ? normalize(attributes.href, base) : undefined;
				if (link !== undefined) links.add(link);
			}
		},
		ontext(data) {
			if (isTitle) title += data;
			else if (silence === 0) text += data;
		},
		onclosetag(name) {
			space(name);
			if (SILENT.has(name)) silence--;
			else if (name === "title") isTitle = false;
		},
	});
	parser.end(html);
	return {
		title: tidy(title, MAX_TITLE),
		text: tidy(text, MAX_TEXT),
		links: /\b(nofollow|none)\b/.test(directives) ? [] : [...links],
		isIndexed: !/\b(noindex|none)\b/.test(directives),
	};
}

/** One space between words, nothing a database refuses, and no half letter at the end. */
function tidy(text, length) {
	return text
		.replace(/[\s\0]+/g, " ")
		.trim()
		.slice(0, length)
		.toWellFormed();
}

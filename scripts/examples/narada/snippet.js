// What was asked for, and the part of a text that shows it. A text with highlights is a list of [text, isHit].

const WORD = /[\p{L}\p{N}\p{M}]+/gu;
const MAX_PHRASES = 16;
const LENGTH = 200;
const BEFORE = 60;

/** `red "white wine" tea-pot` → [["red"], ["white", "wine"], ["tea", "pot"]]: all of them have to be in a page. */
export function phrasesIn(words) {
	return (words.match(/"[^"]*"?|[^\s"]+/g) ?? [])
		.map((part) => (part.match(WORD) ?? []).map(fold))
		.filter((phrase) => phrase.length > 0)
		.slice(0, MAX_PHRASES);
}

/** Case and accents make no difference. */
function fold(word) {
	return word
		.normalize("NFD")
		.replace(/[\u0300-\u036f]/g, "")
		.normalize("NFC")
		.toLowerCase();
}

/** Where the phrases are: [[start, end], …]. */
function findHits(text, phrases) {
	const words = [...text.matchAll(WORD)].map(({ 0: word, index }) => ({
		word: fold(word),
		start: index,
		end: index + word.length,
	}));
	const hits = [];
	for (let i = 0; i < words.length; i++) {
		const phrase = phrases.find((parts) => parts.every((part, n) => words[i + n]?.word === part));
		if (phrase === undefined) continue;
		hits.push([words[i].start, words[i + phrase.length - 1].end]);
		i += phrase.length - 1;
	}
	return hits;
}

export function highlight(text, phrases) {
	return mark(text, findHits(text, phrases), 0, text.length);
}

/** The part of the text with the most hits, cut between words. */
export function snippet(text, phrases) {
	const hits = findHits(text, phrases);
	let best = 0;
	let most = 0;
	for (let first = 0, last = 0; first < hits.length; first++) {
		while (last < hits.length && hits[last][1] < hits[first][0] + LENGTH - BEFORE) last++;
		if (last - first > most) [best, most] = [first, last - first];
	}
	const center = hits[best]?.[0] ?? 0;
	const start = center <= BEFORE ? 0 : text.indexOf(" ", center - BEFORE) + 1 || center;
	const end =
		start + LENGTH >= text.length
			? text.length
			: Math.max(text.lastIndexOf(" ", start + LENGTH), hits[best]?.[1] ?? start + LENGTH);
	const parts = mark(text, hits, Math.min(start, center), end);
	if (start > 0) parts.unshift(["… ", false]);
	if (end < text.length) parts.push([" …", false]);
	return parts;
}

function mark(text, hits, start, end) {
	const parts = [];
	let at = start;
	for (const [from, to] of hits) {
		if (from < start || to > end) continue;
		if (from > at) parts.push([text.slice(at, from), false]);
		parts.push([text.slice(from, to), true]);
		at = to;
	}
	if (at < end) parts.push([text.slice(at, end), false]);
	return parts;
}

// The search worker: words in, addresses, titles and snippets out. Answers are kept in the cache, where there is one.

import { highlight, phrasesIn, snippet } from "./snippet.js";

const MAX_HITS = 50;

export function search({ documents, cache }) {
	return async ({ words, limit = 10, offset = 0 }) => {
		const phrases = phrasesIn(String(words));
		const count = Math.min(Math.max(1, Math.trunc(limit) || 1), MAX_HITS);
		const from = Math.max(0, Math.trunc(offset) || 0);
		if (phrases.length === 0) return JSON.stringify({ total: 0, hits: [] });
		return await cache.get(JSON.stringify([phrases, count, from]), async () => {
			const { total, hits } = await documents.search(phrases, count, from);
			return JSON.stringify({
				total,
				hits: hits.map(({ url, title, text }) => ({
					url,
					title: highlight(title, phrases),
					snippet: snippet(text, phrases),
				})),
			});
		});
	};
}

export function status({ documents }) {
	return async () => JSON.stringify(await documents.counts());
}

// The index worker: all that was fetched and not indexed yet goes into the index, many pages a transaction.

import { askIndex } from "./jobs.js";

const PAGES_A_TRANSACTION = 200;

export function indexPages({ client, documents, cache, log }) {
	return async () => {
		let total = 0;
		for (;;) {
			const count = await documents.indexSome(PAGES_A_TRANSACTION);
			if (count === 0) break;
			total += count;
		}
		if (total === 0) return;
		log(`indexed ${total} pages`);
		await cache.forget();
		// One more look, for pages of machines whose clocks are late. It finds nothing, and that is the end of it.
		await askIndex(client);
	};
}

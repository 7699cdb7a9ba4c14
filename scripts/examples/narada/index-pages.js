// The index worker: all that was fetched and not indexed yet goes into the index, many pages a transaction.

const PAGES_A_TRANSACTION = 200;

export function indexPages({ documents, cache, log }) {
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
	};
}

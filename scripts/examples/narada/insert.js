// The insert worker: URLs in, jobs to fetch those that are new out.

import { idOf, normalize, siteOf } from "./address.js";
import { askFetch } from "./jobs.js";

export function insert({ client, documents, settings, log }) {
	return async ({ urls, depth, site, started }) => {
		const wanted = new Map();
		for (const address of urls) {
			const url = normalize(address);
			if (url !== undefined && siteOf(url) === site) wanted.set(idOf(url), url);
		}
		const pages = [...wanted].map(([id, url]) => ({ id, url }));
		const fresh = await documents.add(pages, depth, started - settings.maxAgeMs);
		// First the jobs, then the note that they exist: killed here, this job runs again and asks again.
		await Promise.all(fresh.map((page) => askFetch(client, { ...page, started })));
		await documents.noteQueued(fresh);
		if (fresh.length > 0) log(`${fresh.length} of ${urls.length} links are new`);
	};
}

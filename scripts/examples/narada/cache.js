// Answers kept in memcached for a minute, or until something was indexed. Without memcached nothing is kept, and all works.

import { createHash } from "node:crypto";

const KEPT_SECONDS = 60;
const VERSION_KEY = "narada.version";

/** `address` is host:port, or undefined. */
export async function openCache(address, log = () => {}) {
	if (address === undefined) return { get: (_key, make) => make(), forget: async () => {}, close() {} };
	const { default: memjs } = await import("memjs");
	const quiet = { log() {} };
	const memcached = memjs.Client.create(address, { retries: 1, timeout: 0.5, logger: quiet });
	let isDown = false;
	/** A cache that is down slows nobody and stops nobody. */
	const ask = async (question) => {
		try {
			const answer = await question();
			isDown = false;
			return answer;
		} catch (error) {
			if (!isDown) log(`the cache does not answer: ${error.message}`);
			isDown = true;
			return undefined;
		}
	};
	const read = (key) => ask(async () => (await memcached.get(key)).value?.toString());
	return {
		/** What is kept for the question, or what `make` gives. */
		async get(question, make) {
			// The version is part of the key: an answer that was on its way while pages were indexed is never found.
			const version = await read(VERSION_KEY);
			const key = `narada.${createHash("sha256").update(`${version} ${question}`).digest("base64url")}`;
			const kept = await read(key);
			if (kept !== undefined) return kept;
			const answer = await make();
			await ask(() => memcached.set(key, answer, { expires: KEPT_SECONDS }));
			return answer;
		},
		/** All that is kept is out of date. */
		async forget() {
			await ask(() => memcached.set(VERSION_KEY, String(Date.now()), {}));
		},
		close: () => memcached.close(),
	};
}

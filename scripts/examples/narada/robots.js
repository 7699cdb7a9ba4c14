// What each host's robots.txt allows, asked once an hour. None: all is allowed. Out of order: nothing is, for now.

import robotsParser from "robots-parser";
import { download, TemporaryError } from "./download.js";

const NAME = "narada";
const KEPT_MS = 3_600_000;
const MAX_HOSTS = 1000;
const MAX_REDIRECTS = 5;
const MAX_DELAY_SECONDS = 60;

export class Robots {
	#settings;
	/** Origin → { rules: a promise, until }, the oldest first. */
	#hosts = new Map();

	constructor(settings) {
		this.#settings = settings;
	}

	/** { isAllowed(url), delayMs } of the page's host. Throws a TemporaryError when the host does not tell. */
	async rulesFor(url, signal) {
		const { origin } = new URL(url);
		let host = this.#hosts.get(origin);
		if (host === undefined || host.until < Date.now()) {
			host = { rules: this.#ask(`${origin}/robots.txt`, signal), until: Date.now() + KEPT_MS };
			this.#hosts.delete(origin);
			this.#hosts.set(origin, host);
			if (this.#hosts.size > MAX_HOSTS) this.#hosts.delete(this.#hosts.keys().next().value);
		}
		try {
			return await host.rules;
		} catch (error) {
			if (this.#hosts.get(origin) === host) this.#hosts.delete(origin);
			throw error instanceof TemporaryError ? new TemporaryError(`robots.txt: ${error.message}`) : error;
		}
	}

	async #ask(address, signal) {
		let url = address;
		for (let steps = 0; steps <= MAX_REDIRECTS; steps++) {
			const answer = await download(url, { ...this.#settings, signal });
			if (answer.redirect !== undefined) {
				url = new URL(answer.redirect, url).href;
				continue;
			}
			const robots = robotsParser(address, answer.type === "text/plain" ? answer.html : "");
			const delaySeconds = Math.min(robots.getCrawlDelay(NAME) ?? 0, MAX_DELAY_SECONDS);
			return { isAllowed: (page) => robots.isAllowed(page, NAME) !== false, delayMs: delaySeconds * 1000 };
		}
		return { isAllowed: () => true, delayMs: 0 };
	}
}

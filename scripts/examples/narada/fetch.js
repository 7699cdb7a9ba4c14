// The fetch worker: one page a job. Asks robots.txt, waits for its host's turn, stores the text and passes the links on.
// It does not index: that is cheaper for many pages at once.

import { setTimeout as sleep } from "node:timers/promises";
import { normalize, siteOf } from "./address.js";
import { download, TemporaryError } from "./download.js";
import { askFetch, askIndex, askInsert } from "./jobs.js";
import { parsePage } from "./page.js";
import { Robots } from "./robots.js";

/** A host's turn that is further away than this is waited for in the queue, where it holds up no other host. */
const PATIENCE_MS = 1500;

export function fetchPage({ client, documents, settings, log }) {
	const robots = new Robots(settings);

	return async ({ id, depth, attempts, started, turn }, signal) => {
		const known = await documents.get(id);
		const isOpen = ["new", "queued"].includes(known?.state);
		if (!isOpen || known.depth !== depth || known.attempts > attempts) {
			// Done by a run that was killed before it could say so; or another job has it, with more depth or a later try.
			if (known?.state === "fetched") await askIndex(client);
			return;
		}
		// Its own count: what the documents say may lag behind, and its next try must not be its equal.
		const page = { ...known, attempts, started };
		try {
			const rules = await robots.rulesFor(page.url, signal);
			if (!rules.isAllowed(page.url)) return await settle(page, { state: "skipped", reason: "robots.txt" });
			if (!(await isItsTurn(page, turn, Math.max(settings.delayMs, rules.delayMs), signal))) return;
			await settle(page, await visit(page, signal));
		} catch (error) {
			if (!(error instanceof TemporaryError) || signal.aborted) throw error;
			await tryLater(page, error);
		}
	};

	/** What became of a page. Its links are passed on before it counts as done: killed in between, it is fetched again. */
	async function visit(page, signal) {
		const answer = await download(page.url, { ...settings, signal });
		if (answer.redirect !== undefined) {
			await follow(page, [normalize(answer.redirect, page.url)], page.depth);
			return { state: "skipped", reason: `redirects to ${answer.redirect}` };
		}
		if (answer.html === undefined) return answer;
		const { title, text, links, isIndexed } = parsePage(answer.html, page.url, answer.type);
		await follow(page, links, page.depth - 1);
		return isIndexed ? { state: "fetched", title, text } : { state: "skipped", reason: "it asks not to be indexed" };
	}

	async function follow(page, links, depth) {
		const site = siteOf(page.url);
		const urls = links.filter((url) => url !== undefined && url !== page.url && siteOf(url) === site);
		if (depth >= 0 && urls.length > 0) await askInsert(client, { urls, depth, site, started: page.started });
	}

	async function settle(page, result) {
		await documents.settle(page, result);
		if (result.state === "fetched") await askIndex(client);
		log(`${result.state} ${page.url}${result.reason === undefined ? "" : `: ${result.reason}`}`);
	}

	/** False: not yet, and a job for later was asked for. A turn that was missed by much is taken anew. */
	async function isItsTurn(page, turn, delayMs, signal) {
		if (delayMs === 0) return true;
		const now = Date.now();
		const isGood = turn !== undefined && now - turn < delayMs + 1000;
		const mine = isGood ? turn : await documents.takeTurn(new URL(page.url).host, now, delayMs);
		// A job that comes early, because the server's clock is ahead, waits: to ask again would be to ask for itself.
		if (!isGood && mine - now > PATIENCE_MS) {
			await askFetch(client, page, { turn: mine, at: Math.floor(mine / 1000) });
			return false;
		}
		await sleep(Math.max(0, mine - now), undefined, { signal });
		return true;
	}

	async function tryLater(page, error) {
		const next = { ...page, attempts: page.attempts + 1 };
		if (next.attempts >= settings.tries) return await settle(page, { state: "failed", reason: error.message });
		const pauseMs = Math.max(settings.retryMs * 2 ** page.attempts, error.retryAfterMs);
		await askFetch(client, next, { at: Math.ceil((Date.now() + pauseMs) / 1000) });
		await documents.noteAttempt(next);
		log(`will try again ${page.url}: ${error.message}`);
	}
}

// The documents: what is known of each page, and the index of their words. Three databases, one face:
//
//   add(pages, depth, staleBefore)   [{ id, url }] made known; those that are new, older than staleBefore (ms) or to be
//                                    followed further than before become "new". Gives all of them that are "new"
//   noteQueued(pages)                "new" → "queued": a job to fetch each exists
//   get(id)                          { id, url, depth, state, attempts } or undefined
//   noteAttempt(page)                a job for a try with that number exists: page.attempts came before it
//   settle(page, result)             "queued" → "fetched" with title and text, or "skipped" or "failed" with a reason
//   takeTurn(host, now, delayMs)     when that host may be asked next, for the asker alone; in ms
//   indexSome(limit)                 "fetched" → "indexed", so many at most; gives how many
//   search(phrases, limit, offset)   { total, hits: [{ url, title, text }] }: pages with all the phrases, best first
//   counts()                         state → how many
//   close()
//
//   new ──▶ queued ──▶ fetched ──▶ indexed        Every arrow is one transaction. A page's id is idOf(url); its depth how
//              └─────▶ skipped, failed            many links on to follow. Changes are of the page with that depth only:
//                                                 if it was raised meanwhile, another job does them.

import { GearmanError } from "gearman";

/** Opens `sqlite:FILE`, `postgres://…` or `mysql://…` and creates what is missing. */
export async function openDocuments(database) {
	const [kind] = database.split(":", 1);
	if (kind === "sqlite") {
		const { SqliteDocuments } = await import("./sqlite.js");
		return new SqliteDocuments(database.slice("sqlite:".length));
	}
	if (kind === "postgres" || kind === "postgresql") {
		const { PostgresDocuments } = await import("./postgres.js");
		return await PostgresDocuments.open(database);
	}
	if (kind === "mysql" || kind === "mariadb") {
		const { MysqlDocuments } = await import("./mysql.js");
		return await MysqlDocuments.open(database.replace(/^mariadb:/, "mysql:"));
	}
	throw new GearmanError("BAD_ARGUMENT", `--database takes sqlite:FILE, postgres://… or mysql://…, not ${database}`);
}

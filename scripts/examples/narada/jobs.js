// The four kinds of jobs and how to ask for them. A background job is durable once background() resolves, so whoever asks
// first and then notes what he did in the documents can be killed in between: the worst is that something is done twice.
//
//   submit ──▶ insert ──▶ fetch ──▶ index        search, status: foreground, asked by the command and the web page
//                ▲          │
//                └── links ─┘

export const Name = {
	insert: "narada.insert",
	fetch: "narada.fetch",
	index: "narada.index",
	search: "narada.search",
	status: "narada.status",
};

/** Pages fetched within these seconds are indexed by one job. Clocks may differ by as much. */
const BATCH_SECONDS = 2;

/**
 * To make URLs known: those of the site that are new get fetched, and their links up to `depth` steps on. `started` is when
 * the crawl was: by it a page is too old, so that no crawl meets a page twice, however long it takes.
 */
export async function askInsert(client, task) {
	await client.background(Name.insert, JSON.stringify(task));
}

/**
 * To fetch a page; `turn` is when its host may be asked. Equal jobs, asked twice after a crash, run once. No job may ask for
 * its equal: it would be taken for itself, and then be gone.
 */
export async function askFetch(client, { id, depth, attempts, started }, { turn, at } = {}) {
	const unique = [id, depth, attempts, turn].join(" ").trim();
	await client.background(Name.fetch, JSON.stringify({ id, depth, attempts, started, turn }), { unique, at });
}

/**
 * To index what was fetched up to now. All who ask within BATCH_SECONDS ask for the same job, never for each document. It
 * starts as long after them: one that already runs has another key, so that no page comes too late for its own.
 */
export async function askIndex(client) {
	const at = (Math.floor(Date.now() / 1000 / BATCH_SECONDS) + 2) * BATCH_SECONDS;
	await client.background(Name.index, "{}", { unique: `${Name.index} ${at}`, at });
}

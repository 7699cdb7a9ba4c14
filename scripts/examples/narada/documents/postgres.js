// Documents in PostgreSQL, searched by its tsvector. The words are taken as they are, in whatever language.

import pg from "pg";

/**
 * What fold() in ../snippet.js does, and spaces for punctuation, with which addresses and file names would be one word.
 * The database has to be UTF-8.
 */
const PUNCTUATION = "[\\x01-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7f]+";
const plain = (column) => `normalize(regexp_replace(normalize(${column}, NFD), '[\\u0300-\\u036f]+', '', 'g'), NFC)`;
const words = (column) => `regexp_replace(${plain(column)}, '${PUNCTUATION}', ' ', 'g')`;
const vector = (column, weight) => `setweight(to_tsvector('simple', ${words(column)}), '${weight}')`;

const TABLES = `
	SELECT pg_advisory_xact_lock(4730);
	CREATE TABLE IF NOT EXISTS documents (
		id text PRIMARY KEY, url text NOT NULL, depth integer NOT NULL,
		state text NOT NULL, attempts integer NOT NULL DEFAULT 0, changed bigint NOT NULL,
		title text, text text, reason text
	);
	CREATE INDEX IF NOT EXISTS documents_state ON documents (state);
	CREATE TABLE IF NOT EXISTS hosts (host text PRIMARY KEY, next bigint NOT NULL);
	CREATE TABLE IF NOT EXISTS entries (
		id text PRIMARY KEY, url text NOT NULL, title text NOT NULL, text text NOT NULL,
		words tsvector GENERATED ALWAYS AS (${vector("title", "A")} || ${vector("text", "B")}) STORED
	);
	CREATE INDEX IF NOT EXISTS entries_words ON entries USING gin (words);
`;

export class PostgresDocuments {
	#pool;

	constructor(pool) {
		this.#pool = pool;
	}

	static async open(connectionString) {
		const pool = new pg.Pool({ connectionString, max: 4 });
		// An idle connection that is lost is replaced when needed.
		pool.on("error", () => {});
		await pool.query(TABLES);
		return new PostgresDocuments(pool);
	}

	async add(pages, depth, staleBefore) {
		// Sorted, so that two who add the same pages wait for each other in one order.
		const sorted = pages.toSorted((a, b) => (a.id < b.id ? -1 : 1));
		const ids = sorted.map(({ id }) => id);
		await this.#query(
			`INSERT INTO documents (id, url, depth, state, changed)
			SELECT id, url, $3, 'new', $4 FROM unnest($1::text[], $2::text[]) AS page (id, url)
			ON CONFLICT (id) DO UPDATE SET state = 'new', attempts = 0, changed = excluded.changed,
				depth = greatest(documents.depth, excluded.depth)
			WHERE documents.depth < excluded.depth OR documents.changed < $5`,
			...[ids, sorted.map(({ url }) => url), depth, Date.now(), staleBefore],
		);
		return await this.#query("SELECT id, depth, attempts FROM documents WHERE id = ANY ($1) AND state = 'new'", ids);
	}

	async noteQueued(pages) {
		await this.#query(
			`UPDATE documents SET state = 'queued' FROM unnest($1::text[], $2::integer[]) AS page (id, depth)
			WHERE documents.id = page.id AND documents.depth = page.depth AND state = 'new'`,
			...[pages.map(({ id }) => id), pages.map(({ depth }) => depth)],
		);
	}

	async get(id) {
		return (await this.#query("SELECT id, url, depth, state, attempts FROM documents WHERE id = $1", id))[0];
	}

	async noteAttempt({ id, depth, attempts }) {
		const sql = "UPDATE documents SET attempts = greatest(attempts, $1) WHERE id = $2 AND depth = $3";
		await this.#query(sql, attempts, id, depth);
	}

	async settle({ id, depth }, { state, title = null, text = null, reason = null }) {
		await this.#query(
			`WITH changed AS (
				UPDATE documents SET state = $1, title = $2, text = $3, reason = $4, changed = $5
				WHERE id = $6 AND depth = $7 AND state IN ('new', 'queued') RETURNING id
			)
			DELETE FROM entries USING changed WHERE entries.id = changed.id AND $1 <> 'fetched'`,
			...[state, title, text, reason, Date.now(), id, depth],
		);
	}

	async takeTurn(host, now, delayMs) {
		const [{ turn }] = await this.#query(
			`INSERT INTO hosts (host, next) VALUES ($1, $2::bigint + $3::bigint)
			ON CONFLICT (host) DO UPDATE SET next = greatest(hosts.next, $2::bigint) + $3::bigint
			RETURNING (next - $3::bigint)::float8 AS turn`,
			...[host, now, delayMs],
		);
		return turn;
	}

	async indexSome(limit) {
		const rows = await this.#query(
			`WITH batch AS (
				SELECT id, url, title, text FROM documents WHERE state = 'fetched' LIMIT $1 FOR UPDATE SKIP LOCKED
			), entered AS (
				INSERT INTO entries (id, url, title, text) SELECT id, url, title, text FROM batch
				ON CONFLICT (id) DO UPDATE SET title = excluded.title, text = excluded.text
			)
			UPDATE documents SET state = 'indexed', title = NULL, text = NULL FROM batch
			WHERE documents.id = batch.id RETURNING documents.id`,
			limit,
		);
		return rows.length;
	}

	async search(phrases, limit, offset) {
		const texts = phrases.map((words) => words.join(" "));
		const query = texts.map((_, i) => `phraseto_tsquery('simple', $${i + 1})`).join(" && ");
		const [{ total }] = await this.#query(
			`SELECT count(*)::int AS total FROM entries WHERE words @@ (${query})`,
			...texts,
		);
		const hits = await this.#query(
			`SELECT url, title, text FROM entries WHERE words @@ (${query})
			ORDER BY ts_rank(words, (${query}), 1) DESC, url LIMIT $${texts.length + 1} OFFSET $${texts.length + 2}`,
			...[...texts, limit, offset],
		);
		return { total, hits };
	}

	async counts() {
		const rows = await this.#query("SELECT state, count(*)::int AS count FROM documents GROUP BY state ORDER BY state");
		return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
	}

	async close() {
		await this.#pool.end();
	}

	async #query(sql, ...values) {
		return (await this.#pool.query(sql, values)).rows;
	}
}

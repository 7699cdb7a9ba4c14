// Documents in a SQLite file, searched by its FTS5. Many processes use the file at once; one writes, the others wait.

import Database from "libsql";

const TABLES = `
	PRAGMA busy_timeout = 20000;
	PRAGMA journal_mode = WAL;
	PRAGMA synchronous = NORMAL;
	CREATE TABLE IF NOT EXISTS documents (
		number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, url TEXT NOT NULL, depth INTEGER NOT NULL,
		state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, changed INTEGER NOT NULL,
		title TEXT, text TEXT, reason TEXT
	);
	CREATE INDEX IF NOT EXISTS documents_state ON documents (state);
	CREATE TABLE IF NOT EXISTS hosts (host TEXT PRIMARY KEY, next INTEGER NOT NULL);
	CREATE VIRTUAL TABLE IF NOT EXISTS entries USING fts5 (title, text, tokenize = 'unicode61 remove_diacritics 2');
`;

export class SqliteDocuments {
	#database;
	#statements = new Map();

	constructor(file) {
		this.#database = new Database(file);
		this.#database.exec(TABLES);
	}

	async add(pages, depth, staleBefore) {
		return this.#transaction(() => {
			const fresh = [];
			for (const { id, url } of pages) {
				this.#run(
					`INSERT INTO documents (id, url, depth, state, changed) VALUES (?, ?, ?, 'new', ?)
					ON CONFLICT (id) DO UPDATE SET state = 'new', attempts = 0, changed = excluded.changed,
						depth = max(depth, excluded.depth)
					WHERE depth < excluded.depth OR changed < ?`,
					...[id, url, depth, Date.now(), staleBefore],
				);
				fresh.push(...this.#all("SELECT id, depth, attempts FROM documents WHERE id = ? AND state = 'new'", id));
			}
			return fresh;
		});
	}

	async noteQueued(pages) {
		this.#transaction(() => {
			for (const { id, depth } of pages)
				this.#run("UPDATE documents SET state = 'queued' WHERE id = ? AND depth = ? AND state = 'new'", id, depth);
		});
	}

	async get(id) {
		return this.#all("SELECT id, url, depth, state, attempts FROM documents WHERE id = ?", id)[0];
	}

	async noteAttempt({ id, depth, attempts }) {
		this.#run("UPDATE documents SET attempts = max(attempts, ?) WHERE id = ? AND depth = ?", attempts, id, depth);
	}

	async settle({ id, depth }, { state, title = null, text = null, reason = null }) {
		this.#transaction(() => {
			const changed = this.#all(
				`UPDATE documents SET state = ?, title = ?, text = ?, reason = ?, changed = ?
				WHERE id = ? AND depth = ? AND state IN ('new', 'queued') RETURNING number`,
				...[state, title, text, reason, Date.now(), id, depth],
			);
			// A page that was there once and is no more.
			if (state !== "fetched")
				for (const { number } of changed) this.#run("DELETE FROM entries WHERE rowid = ?", number);
		});
	}

	async takeTurn(host, now, delayMs) {
		const [{ turn }] = this.#all(
			`INSERT INTO hosts (host, next) VALUES (?1, ?2 + ?3)
			ON CONFLICT (host) DO UPDATE SET next = max(next, ?2) + ?3 RETURNING next - ?3 AS turn`,
			...[host, now, delayMs],
		);
		return turn;
	}

	async indexSome(limit) {
		return this.#transaction(() => {
			const rows = this.#all("SELECT number, title, text FROM documents WHERE state = 'fetched' LIMIT ?", limit);
			for (const { number, title, text } of rows) {
				this.#run("INSERT OR REPLACE INTO entries (rowid, title, text) VALUES (?, ?, ?)", number, title, text);
				this.#run("UPDATE documents SET state = 'indexed', title = NULL, text = NULL WHERE number = ?", number);
			}
			return rows.length;
		});
	}

	async search(phrases, limit, offset) {
		const match = phrases.map((words) => `"${words.join(" ")}"`).join(" AND ");
		const [{ total }] = this.#all("SELECT count(*) AS total FROM entries WHERE entries MATCH ?", match);
		const hits = this.#all(
			`SELECT url, entries.title, entries.text FROM entries JOIN documents ON number = entries.rowid
			WHERE entries MATCH ? ORDER BY bm25(entries, 5.0, 1.0), url LIMIT ? OFFSET ?`,
			...[match, limit, offset],
		);
		return { total, hits };
	}

	async counts() {
		const rows = this.#all("SELECT state, count(*) AS count FROM documents GROUP BY state ORDER BY state");
		return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
	}

	async close() {
		this.#database.close();
	}

	#run(sql, ...values) {
		this.#prepare(sql).run(values);
	}

	#all(sql, ...values) {
		return this.#prepare(sql).all(values);
	}

	#prepare(sql) {
		const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
		this.#statements.set(sql, statement);
		return statement;
	}

	#transaction(run) {
		// IMMEDIATE waits for its turn to write; a transaction that first reads could be refused later.
		this.#database.exec("BEGIN IMMEDIATE");
		try {
			const result = run();
			this.#database.exec("COMMIT");
			return result;
		} catch (error) {
			if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
			throw error;
		}
	}
}

// Documents in MariaDB or MySQL, searched by InnoDB's FULLTEXT. Words under three letters and its stop words ("the", "for")
// are not in its index; a search that has them finds nothing for them and leaves them out.

import mysql from "mysql2/promise";

const TEXT = "CHARACTER SET utf8mb4";
const TABLES = [
	`CREATE TABLE IF NOT EXISTS documents (
		id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, url TEXT ${TEXT} NOT NULL, depth INT NOT NULL,
		state VARCHAR(16) CHARACTER SET ascii NOT NULL, attempts INT NOT NULL DEFAULT 0, changed BIGINT NOT NULL,
		title TEXT ${TEXT}, text MEDIUMTEXT ${TEXT}, reason TEXT ${TEXT}, KEY (state)
	) ENGINE=InnoDB`,
	`CREATE TABLE IF NOT EXISTS hosts (host VARCHAR(255) CHARACTER SET ascii PRIMARY KEY, next BIGINT NOT NULL)
		ENGINE=InnoDB`,
	`CREATE TABLE IF NOT EXISTS entries (
		id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, url TEXT ${TEXT} NOT NULL,
		title TEXT ${TEXT} NOT NULL, text MEDIUMTEXT ${TEXT} NOT NULL,
		FULLTEXT KEY in_title (title), FULLTEXT KEY in_page (title, text)
	) ENGINE=InnoDB`,
];

export class MysqlDocuments {
	#pool;

	constructor(pool) {
		this.#pool = pool;
	}

	static async open(uri) {
		const pool = mysql.createPool({ uri, connectionLimit: 4, charset: "utf8mb4" });
		for (const table of TABLES) await pool.query(table);
		return new MysqlDocuments(pool);
	}

	async add(pages, depth, staleBefore) {
		if (pages.length === 0) return [];
		// Sorted, so that two who add the same pages wait for each other in one order.
		const sorted = pages.toSorted((a, b) => (a.id < b.id ? -1 : 1));
		const rows = sorted.map(({ id, url }) => [id, url, depth, "new", Date.now()]);
		const isAgain = "(documents.depth < VALUES(depth) OR documents.changed < ?)";
		// Assignments are made from left to right: those the condition reads come last.
		await this.#pool.query(
			`INSERT INTO documents (id, url, depth, state, changed) VALUES ?
			ON DUPLICATE KEY UPDATE state = IF(${isAgain}, 'new', state), attempts = IF(${isAgain}, 0, attempts),
				changed = IF(${isAgain}, VALUES(changed), changed), depth = GREATEST(depth, VALUES(depth))`,
			[rows, staleBefore, staleBefore, staleBefore],
		);
		const ids = rows.map(([id]) => id);
		const [fresh] = await this.#pool.query(
			"SELECT id, depth, attempts FROM documents WHERE id IN (?) AND state = 'new'",
			[ids],
		);
		return fresh;
	}

	async noteQueued(pages) {
		if (pages.length === 0) return;
		await this.#pool.query("UPDATE documents SET state = 'queued' WHERE (id, depth) IN (?) AND state = 'new'", [
			pages.map(({ id, depth }) => [id, depth]),
		]);
	}

	async get(id) {
		const sql = "SELECT id, url, depth, state, attempts FROM documents WHERE id = ?";
		const [[page]] = await this.#pool.query(sql, [id]);
		return page;
	}

	async noteAttempt({ id, depth, attempts }) {
		const sql = "UPDATE documents SET attempts = GREATEST(attempts, ?) WHERE id = ? AND depth = ?";
		await this.#pool.query(sql, [attempts, id, depth]);
	}

	async settle({ id, depth }, { state, title = null, text = null, reason = null }) {
		await this.#transaction(async (connection) => {
			const [{ affectedRows }] = await connection.query(
				`UPDATE documents SET state = ?, title = ?, text = ?, reason = ?, changed = ?
				WHERE id = ? AND depth = ? AND state IN ('new', 'queued')`,
				[state, title, text, reason, Date.now(), id, depth],
			);
			// A page that was there once and is no more.
			if (affectedRows > 0 && state !== "fetched") await connection.query("DELETE FROM entries WHERE id = ?", [id]);
		});
	}

	async takeTurn(host, now, delayMs) {
		// The value of LAST_INSERT_ID(…) comes back as insertId; a host that is new has its turn now.
		const [{ insertId, affectedRows }] = await this.#pool.query(
			`INSERT INTO hosts (host, next) VALUES (?, ?)
			ON DUPLICATE KEY UPDATE next = LAST_INSERT_ID(GREATEST(next, ?) + ?)`,
			[host, now + delayMs, now, delayMs],
		);
		return affectedRows === 1 ? now : insertId - delayMs;
	}

	async indexSome(limit) {
		return await this.#transaction(async (connection) => {
			const [rows] = await connection.query(
				"SELECT id, url, title, text FROM documents WHERE state = 'fetched' LIMIT ? FOR UPDATE",
				[limit],
			);
			if (rows.length === 0) return 0;
			const ids = rows.map(({ id }) => id);
			for (const { id, url, title, text } of rows)
				await connection.query("REPLACE INTO entries (id, url, title, text) VALUES (?)", [[id, url, title, text]]);
			await connection.query("UPDATE documents SET state = 'indexed', title = NULL, text = NULL WHERE id IN (?)", [
				ids,
			]);
			return rows.length;
		});
	}

	async search(phrases, limit, offset) {
		const query = phrases.map((words) => `+"${words.join(" ")}"`).join(" ");
		const where = "MATCH (title, text) AGAINST (? IN BOOLEAN MODE)";
		const rank = `4 * MATCH (title) AGAINST (? IN BOOLEAN MODE) + ${where}`;
		const [[{ total }]] = await this.#pool.query(`SELECT count(*) AS total FROM entries WHERE ${where}`, [query]);
		const [hits] = await this.#pool.query(
			`SELECT url, title, text FROM entries WHERE ${where} ORDER BY ${rank} DESC, url LIMIT ? OFFSET ?`,
			[query, query, query, limit, offset],
		);
		return { total, hits };
	}

	async counts() {
		const [rows] = await this.#pool.query(
			"SELECT state, count(*) AS count FROM documents GROUP BY state ORDER BY state",
		);
		return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
	}

	async close() {
		await this.#pool.end();
	}

	async #transaction(run) {
		const connection = await this.#pool.getConnection();
		try {
			await connection.query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
			await connection.beginTransaction();
			const result = await run(connection);
			await connection.commit();
			return result;
		} catch (error) {
			await connection.rollback().catch(() => {});
			throw error;
		} finally {
			connection.release();
		}
	}
}

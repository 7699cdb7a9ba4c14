// The tables of the MySQL store and all its SQL. Used by mysql.ts, which owns the connection.
//
//   <table>_jobs   a row a job, in the order of id
//   <table>_meta   reserved: handle numbers up to this one may be in use
//   <table>        gearmand's; emptied by takeOver()
//
// Values go into statements as numbers and X'bytes' only, which no SQL mode or character set can misread.

import type { Connection, RowDataPacket } from "mysql2/promise";
import { GearmanError } from "../../errors.ts";
import { type Batch, bytesOf, partsOf, textOf } from "./batch.ts";
import type { StoredJob } from "./index.ts";

const PAGE_JOBS = 1000;
/** Handles, or jobs, in one statement. */
const STATEMENT_JOBS = 1000;
/** A bigger workload goes as it is, in a statement of its own; in a text it would be twice as long. */
const BIG_BYTES = 64 << 10;
/** What a row has beside its workload, and what the packet has beside the row; names may have 64 KiB. */
const ROW_BYTES = 256 << 10;
/** A statement's text, where it can be divided. */
const TEXT_BYTES = 1 << 20;
/** Idle sessions are ended after eight hours otherwise, and their lock with them. */
const IDLE_SECONDS = 2_000_000;

/** A job of a page: what it would cost to read. */
interface PageRow extends RowDataPacket {
	readonly id: number;
	readonly bytes: number;
}

interface Row extends RowDataPacket {
	readonly handle: Buffer;
	readonly function_name: Buffer;
	readonly unique_key: Buffer;
	readonly workload: Buffer;
	readonly priority: number;
	readonly due_ms: number;
	readonly reducer: Buffer | null;
	readonly retries: number;
	readonly submitted_ms: number;
}

type Value = number | Buffer | null;
/** SQL with a ? for each value; a list of them becomes (…) or …, … */
interface Statement {
	readonly sql: string;
	readonly values: readonly (Value | readonly Value[] | readonly (readonly Value[])[])[];
	/** About how long it gets, at most. */
	readonly bytes: number;
}

export class MysqlTables {
	readonly #old: string;
	readonly #oldName: string;
	readonly jobs: string;
	readonly #meta: string;
	readonly #server: string;
	/** The newest job's id. */
	last = 0;
	#maxPacketBytes = 0;

	/** A checked name; `server` is for messages. */
	constructor(table: string, server: string) {
		this.#oldName = table;
		this.#old = `\`${table}\``;
		this.jobs = `\`${table}_jobs\``;
		this.#meta = `\`${table}_meta\``;
		this.#server = server;
	}

	/** Settings of the session. */
	async prepare(connection: Connection): Promise<void> {
		// Strict: what does not fit is refused, not cut.
		await connection.query(
			"SET SESSION wait_timeout = ?, autocommit = 1, sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
			[IDLE_SECONDS],
		);
		const [rows] = await connection.query<RowDataPacket[]>("SELECT @@max_allowed_packet AS bytes");
		this.#maxPacketBytes = Number(rows[0]?.bytes);
	}

	async create(connection: Connection): Promise<void> {
		// Names are bytes, in no character set; a double holds any number of ours exactly.
		await connection.query(`CREATE TABLE IF NOT EXISTS ${this.jobs} (
			id BIGINT NOT NULL PRIMARY KEY, handle VARBINARY(255) NOT NULL, function_name MEDIUMBLOB NOT NULL,
			unique_key BLOB NOT NULL, workload LONGBLOB NOT NULL, priority TINYINT NOT NULL, due_ms DOUBLE NOT NULL,
			reducer MEDIUMBLOB NULL, retries INT NOT NULL, submitted_ms DOUBLE NOT NULL, UNIQUE KEY handle (handle)
			) ENGINE=InnoDB`);
		await connection.query(
			`CREATE TABLE IF NOT EXISTS ${this.#meta} (name VARCHAR(16) NOT NULL PRIMARY KEY, value BIGINT NOT NULL) ENGINE=InnoDB`,
		);
	}

	/** Takes the lock, which is the session's. False: another has it. */
	async lock(connection: Connection, name: string, seconds: number): Promise<boolean> {
		const [rows] = await connection.query<RowDataPacket[]>("SELECT GET_LOCK(?, ?) AS is_ours", [name, seconds]);
		return rows[0]?.is_ours === 1;
	}

	/** Moves the jobs of gearmand's own table to ours. They have no order but the one they lie in. */
	async takeOver(connection: Connection): Promise<void> {
		const [columns] = await connection.query<RowDataPacket[]>(
			`SELECT LOWER(column_name) AS name FROM information_schema.columns
				WHERE table_schema = DATABASE() AND table_name = ?`,
			[this.#oldName],
		);
		const names = new Set(columns.map(({ name }) => String(name)));
		if (!["unique_key", "function_name", "priority", "data"].every((name) => names.has(name))) return;
		const [engines] = await connection.query<RowDataPacket[]>(
			"SELECT engine AS name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?",
			[this.#oldName],
		);
		// gearmand writes times after 2038 as negative ones.
		const due = names.has("when_to_run")
			? "(COALESCE(when_to_run, 0) + IF(when_to_run < 0, 4294967296, 0)) * 1000"
			: "0";
		await connection.query(`SET @n = 0, @last = (SELECT COALESCE(MAX(id), 0) FROM ${this.jobs}),
			@reserved = (SELECT COALESCE(MAX(value), 0) FROM ${this.#meta} WHERE name = 'reserved'); START TRANSACTION`);
		try {
			await connection.query(`INSERT INTO ${this.jobs}
				SELECT @last + n, CONCAT('H:migrated:', @reserved + n), CAST(COALESCE(function_name, '') AS BINARY),
					CAST(COALESCE(unique_key, '') AS BINARY), COALESCE(data, ''), COALESCE(priority, 1), ${due}, NULL, 0,
					UNIX_TIMESTAMP() * 1000
				FROM (SELECT old.*, @n := @n + 1 AS n FROM ${this.#old} AS old) AS numbered;
				INSERT INTO ${this.#meta} VALUES ('reserved', @n) ON DUPLICATE KEY UPDATE value = value + @n`);
			// A table without transactions is emptied only when its jobs are safe.
			if (engines[0]?.name !== "InnoDB") await connection.query("COMMIT");
			await connection.query(`DELETE FROM ${this.#old}; COMMIT`);
		} catch (error) {
			await connection.query("ROLLBACK").catch(() => {}); // the connection is gone, and the transaction with it
			throw error;
		}
	}

	/** Finds the newest job's id; resolves to the last number reserved. */
	async readNumbers(connection: Connection): Promise<number> {
		const [rows] = await connection.query<RowDataPacket[]>(`SELECT
			(SELECT MAX(id) FROM ${this.jobs}) AS last, (SELECT value FROM ${this.#meta} WHERE name = 'reserved') AS reserved`);
		this.last = Number(rows[0]?.last ?? 0);
		return Number(rows[0]?.reserved ?? 0);
	}

	/** The jobs after that id up to the other, as many as a page has. */
	async page(connection: Connection, after: number, last: number): Promise<PageRow[]> {
		const [rows] = await connection.query<PageRow[]>(
			`SELECT id, LENGTH(workload) AS bytes FROM ${this.jobs} WHERE id > ? AND id <= ? ORDER BY id LIMIT ${PAGE_JOBS}`,
			[after, last],
		);
		return rows;
	}

	async read(connection: Connection, part: readonly PageRow[]): Promise<StoredJob[]> {
		const [rows] = await connection.query<Row[]>(`SELECT * FROM ${this.jobs} WHERE id IN (?) ORDER BY id`, [
			part.map(({ id }) => id),
		]);
		return rows.map((row) => ({
			handle: textOf(row.handle),
			functionName: textOf(row.function_name),
			unique: textOf(row.unique_key),
			workload: row.workload,
			priority: row.priority,
			dueMs: row.due_ms,
			reducer: row.reducer === null ? undefined : textOf(row.reducer),
			retries: row.retries,
			submittedMs: row.submitted_ms,
		}));
	}

	/** Why the job can never be a row here. */
	refusal({ workload: { length } }: StoredJob): string | undefined {
		if (length + ROW_BYTES <= this.#maxPacketBytes) return undefined;
		return `${this.#server}: a workload of ${length} bytes is over its max_allowed_packet, ${this.#maxPacketBytes}`;
	}

	/** One transaction. */
	async change(connection: Connection, batch: Batch): Promise<void> {
		const big: [id: number, job: StoredJob][] = [];
		const small: [id: number, job: StoredJob][] = [];
		for (const job of batch.adds) {
			const { length } = job.workload;
			const reason = this.refusal(job); // the limit may have shrunk since the job was let in
			if (reason !== undefined) throw new GearmanError("STORE_FAILED", reason);
			(length > BIG_BYTES ? big : small).push([++this.last, job]);
		}
		const statements = [...this.#statements(batch, small)];
		// Statements travel together as far as they fit into a packet.
		const rounds = [...partsOf(statements, ({ bytes }) => bytes, this.#maxPacketBytes / 4, statements.length)];
		try {
			if (big.length === 0 && rounds.length <= 1) {
				return await run(connection, statements.length === 1 ? statements : [BEGIN, ...statements, COMMIT]);
			}
			await run(connection, [BEGIN]);
			for (const round of rounds) await run(connection, round);
			const sql = `INSERT INTO ${this.jobs} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
			for (const [id, job] of big) await connection.execute(sql, rowOf(id, job));
			await run(connection, [COMMIT]);
		} catch (error) {
			await connection.query("ROLLBACK").catch(() => {}); // the connection is gone, and the transaction with it
			throw error;
		}
	}

	*#statements({ removes, retries, reserved }: Batch, adds: readonly [number, StoredJob][]): Generator<Statement> {
		for (const handles of partsOf(removes, () => 0, 0, STATEMENT_JOBS)) {
			const sql = `DELETE FROM ${this.jobs} WHERE handle IN (?)`;
			yield { sql, values: [handles.map(bytesOf)], bytes: handles.length * 256 };
		}
		for (const { handle, retries: count } of retries) {
			const sql = `UPDATE ${this.jobs} SET retries = ? WHERE handle = ?`;
			yield { sql, values: [count, bytesOf(handle)], bytes: 512 };
		}
		if (reserved > 0) {
			const sql = `INSERT INTO ${this.#meta} VALUES ('reserved', ?)
				ON DUPLICATE KEY UPDATE value = GREATEST(value, VALUES(value))`;
			yield { sql, values: [reserved], bytes: 512 };
		}
		for (const part of partsOf(adds, bytesOfRow, TEXT_BYTES, STATEMENT_JOBS)) {
			const rows = part.map(([id, job]) => rowOf(id, job));
			const bytes = part.reduce((sum, add) => sum + bytesOfRow(add), 0);
			yield { sql: `INSERT INTO ${this.jobs} VALUES ?`, values: [rows], bytes };
		}
	}
}

const BEGIN: Statement = { sql: "START TRANSACTION", values: [], bytes: 0 };
const COMMIT: Statement = { sql: "COMMIT", values: [], bytes: 0 };

async function run(connection: Connection, statements: readonly Statement[]): Promise<void> {
	const sql = statements.map((statement) => statement.sql).join(";\n");
	await connection.query(
		sql,
		statements.flatMap(({ values }) => values),
	);
}

/** In the order of the columns. */
function rowOf(id: number, job: StoredJob): Value[] {
	return [
		...[id, bytesOf(job.handle), bytesOf(job.functionName), bytesOf(job.unique), job.workload, job.priority],
		...[job.dueMs, job.reducer === undefined ? null : bytesOf(job.reducer), job.retries, job.submittedMs],
	];
}

/** Of a row in a text, at most. */
function bytesOfRow([, job]: [number, StoredJob]): number {
	const { handle, functionName, unique, workload, reducer } = job;
	return 256 + 2 * (handle.length + functionName.length + unique.length + workload.length + (reducer?.length ?? 0));
}

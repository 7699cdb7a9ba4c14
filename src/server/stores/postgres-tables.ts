// The tables of the PostgreSQL store and all its SQL. Used by postgres.ts, which owns the connection.
//
//   <table>_jobs   a row a job, in the order of id
//   <table>_meta   reserved: handle numbers up to this one may be in use
//   <table>        gearmand's; emptied by takeOver()

import type { Client } from "pg";
import { type Batch, bytesOf, textOf } from "./batch.ts";
import type { StoredJob } from "./index.ts";

/** First half of our advisory locks' keys ("gear"); the second is the table's oid, or 0 while tables are made. */
const LOCK_CLASS = 0x67656172;
/** How long to wait for the lock of a server that has just died. */
const LOCK_MS = 3000;
const LOCK_NOT_AVAILABLE = "55P03";
const PAGE_JOBS = 1000;
/** A workload is read in slices: it comes as text, two characters a byte, and a string may have 512 Mi. */
const SLICE_BYTES = 32 << 20;

/** A job of a page: what it would cost to read. */
interface PageRow {
	readonly id: string;
	readonly bytes: number;
}

interface Row {
	readonly id: string;
	readonly handle: Buffer;
	readonly function_name: Buffer;
	readonly unique_key: Buffer;
	readonly workload: Buffer | null;
	readonly priority: number;
	readonly due_ms: number;
	readonly reducer: Buffer | null;
	readonly retries: number;
	readonly submitted_ms: number;
}

export class PostgresTables {
	readonly #old: string;
	readonly jobs: string;
	readonly #meta: string;

	/** A checked name: "table" or "schema.table". */
	constructor(table: string) {
		this.#old = `"${table.replace(".", '"."')}"`;
		this.jobs = this.#old.replace(/"$/, '_jobs"');
		this.#meta = this.#old.replace(/"$/, '_meta"');
	}

	/** Settings of the session; each if this version of PostgreSQL has it. */
	async prepare(client: Client): Promise<void> {
		// What an administrator may have set for others would break promises made here; and one plan is made for all
		// batches, by the indexes, however few rows there were at that time.
		await client.query(`SELECT set_config(name, value, false)
			FROM pg_settings JOIN (VALUES ('statement_timeout', '0'), ('idle_session_timeout', '0'),
				('transaction_timeout', '0'), ('synchronous_commit', 'on'), ('plan_cache_mode', 'force_generic_plan'),
				('enable_seqscan', 'off')) AS wanted (name, value) USING (name)
			WHERE name <> 'synchronous_commit' OR setting = 'off'`);
	}

	async create(client: Client): Promise<void> {
		await inTransaction(client, async () => {
			await client.query("SELECT pg_advisory_xact_lock($1, 0)", [LOCK_CLASS]);
			// Names are bytes, in no encoding; a double holds any number of ours exactly.
			await client.query(`CREATE TABLE IF NOT EXISTS ${this.jobs} (
				id bigint PRIMARY KEY, handle bytea NOT NULL UNIQUE, function_name bytea NOT NULL, unique_key bytea NOT NULL,
				workload bytea NOT NULL, priority smallint NOT NULL, due_ms double precision NOT NULL, reducer bytea,
				retries integer NOT NULL, submitted_ms double precision NOT NULL)`);
			await client.query(`CREATE TABLE IF NOT EXISTS ${this.#meta} (name text PRIMARY KEY, value bigint NOT NULL)`);
		});
	}

	/** Takes the lock, which is the session's. False: another has it. */
	async lock(client: Client): Promise<boolean> {
		// A session that has just died may hold it a moment longer.
		await client.query("SELECT set_config('lock_timeout', $1, false)", [`${LOCK_MS}`]);
		try {
			await client.query("SELECT pg_advisory_lock($1, $2::regclass::oid::integer)", [LOCK_CLASS, this.jobs]);
		} catch (error) {
			if (error instanceof Error && "code" in error && error.code === LOCK_NOT_AVAILABLE) return false;
			throw error;
		}
		await client.query("SELECT set_config('lock_timeout', '0', false)");
		return true;
	}

	/** Moves the jobs of gearmand's own table to ours. They have no order but the one they lie in. */
	async takeOver(client: Client): Promise<void> {
		const { rows } = await client.query<{ name: string }>(
			`SELECT attname AS name FROM pg_attribute
				WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped`,
			[this.#old],
		);
		const columns = new Set(rows.map(({ name }) => name));
		if (!["unique_key", "function_name", "priority", "data"].every((name) => columns.has(name))) return;
		const due = columns.has("when_to_run") ? "coalesce(when_to_run, 0) * 1000.0" : "0";
		const bytes = (name: string): string => `convert_to(coalesce(${name}, ''), getdatabaseencoding())`;
		const reserved = `(SELECT coalesce(max(value), 0) FROM ${this.#meta} WHERE name = 'reserved')`;
		await inTransaction(client, async () => {
			await client.query(`LOCK TABLE ${this.#old} IN ACCESS EXCLUSIVE MODE`);
			const { rowCount } = await client.query(`INSERT INTO ${this.jobs}
				SELECT (SELECT coalesce(max(id), 0) FROM ${this.jobs}) + n,
					convert_to('H:migrated:' || (n + ${reserved}), 'UTF8'),
					${bytes("function_name")}, ${bytes("unique_key")}, coalesce(data, ''), coalesce(priority, 1), due, NULL, 0,
					extract(epoch FROM now()) * 1000
				FROM (SELECT *, row_number() OVER (ORDER BY ctid) AS n, ${due} AS due FROM ${this.#old}) AS old`);
			if (!rowCount) return;
			await client.query(`DELETE FROM ${this.#old}`);
			await client.query(
				`INSERT INTO ${this.#meta} AS meta VALUES ('reserved', $1)
					ON CONFLICT (name) DO UPDATE SET value = meta.value + excluded.value`,
				[rowCount],
			);
		});
	}

	/** The newest job's id, and the last number reserved. */
	async lastNumbers(client: Client): Promise<{ last: number; reserved: number }> {
		const { rows } = await client.query<{ last: string | null; reserved: string | null }>(`SELECT
			(SELECT max(id) FROM ${this.jobs}) AS last,
			(SELECT value FROM ${this.#meta} WHERE name = 'reserved') AS reserved`);
		return { last: Number(rows[0]?.last ?? 0), reserved: Number(rows[0]?.reserved ?? 0) };
	}

	/** The jobs after that id up to the other, as many as a page has. */
	async page(client: Client, after: number, last: number): Promise<PageRow[]> {
		const { rows } = await client.query<PageRow>(
			`SELECT id, length(workload) AS bytes FROM ${this.jobs}
				WHERE id > $1 AND id <= $2 ORDER BY id LIMIT ${PAGE_JOBS}`,
			[after, last],
		);
		return rows;
	}

	async read(client: Client, part: readonly PageRow[]): Promise<StoredJob[]> {
		const { rows } = await client.query<Row>(
			`SELECT id, handle, function_name, unique_key, priority, due_ms, reducer, retries, submitted_ms,
				CASE WHEN length(workload) <= ${SLICE_BYTES} THEN workload END AS workload
				FROM ${this.jobs} WHERE id = ANY ($1::bigint[]) ORDER BY id`,
			[part.map(({ id }) => id)],
		);
		const jobs: StoredJob[] = [];
		for (const row of rows) {
			jobs.push({
				handle: textOf(row.handle),
				functionName: textOf(row.function_name),
				unique: textOf(row.unique_key),
				workload: row.workload ?? (await this.#readSlices(client, row.id)),
				priority: row.priority,
				dueMs: row.due_ms,
				reducer: row.reducer === null ? undefined : textOf(row.reducer),
				retries: row.retries,
				submittedMs: row.submitted_ms,
			});
		}
		return jobs;
	}

	async #readSlices(client: Client, id: string): Promise<Buffer> {
		const slices: Buffer[] = [];
		for (let at = 1, last = SLICE_BYTES; last === SLICE_BYTES; at += SLICE_BYTES) {
			const { rows } = await client.query<{ slice: Buffer }>(
				`SELECT substring(workload FROM $2 FOR ${SLICE_BYTES}) AS slice FROM ${this.jobs} WHERE id = $1`,
				[id, at],
			);
			const slice = rows[0]?.slice ?? Buffer.alloc(0);
			slices.push(slice);
			last = slice.length;
		}
		return Buffer.concat(slices);
	}

	/** One statement: deletes, counts, reserves, and adds jobs behind the id `last`. */
	async change(client: Client, rest: Omit<Batch, "adds">, adds: readonly StoredJob[], last: number): Promise<void> {
		let at = 1;
		const starts = adds.map(({ workload }) => {
			const start = at;
			at += workload.length;
			return start;
		});
		await client.query({
			name: "change",
			text: `WITH removed AS (DELETE FROM ${this.jobs} WHERE handle = ANY ($1::bytea[])),
				retried AS (UPDATE ${this.jobs} SET retries = ($3::integer[])[array_position($2::bytea[], handle)]
					WHERE handle = ANY ($2::bytea[])),
				reserved AS (INSERT INTO ${this.#meta} AS meta SELECT 'reserved', $4::bigint WHERE $4::bigint > 0
					ON CONFLICT (name) DO UPDATE SET value = greatest(meta.value, excluded.value))
				INSERT INTO ${this.jobs} SELECT $5::bigint + n, handle, function_name, unique_key,
					substring($6::bytea FROM start FOR bytes), priority, due_ms, reducer, retries, submitted_ms
				FROM unnest($7::bytea[], $8::bytea[], $9::bytea[], $10::integer[], $11::integer[], $12::smallint[],
					$13::double precision[], $14::bytea[], $15::integer[], $16::double precision[]) WITH ORDINALITY
					AS new (handle, function_name, unique_key, start, bytes, priority, due_ms, reducer, retries, submitted_ms, n)`,
			values: [
				rest.removes.map(bytesOf),
				rest.retries.map(({ handle }) => bytesOf(handle)),
				rest.retries.map(({ retries }) => retries),
				rest.reserved,
				last,
				// All workloads in one: as a list they would go as text, twice as long.
				Buffer.concat(adds.map(({ workload }) => workload)),
				adds.map(({ handle }) => bytesOf(handle)),
				adds.map(({ functionName }) => bytesOf(functionName)),
				adds.map(({ unique }) => bytesOf(unique)),
				starts,
				adds.map(({ workload }) => workload.length),
				adds.map(({ priority }) => priority),
				adds.map(({ dueMs }) => dueMs),
				adds.map(({ reducer }) => (reducer === undefined ? null : bytesOf(reducer))),
				adds.map(({ retries }) => retries),
				adds.map(({ submittedMs }) => submittedMs),
			],
		});
	}
}

export async function inTransaction(client: Client, work: () => Promise<void>): Promise<void> {
	await client.query("BEGIN");
	try {
		await work();
		await client.query("COMMIT");
	} catch (error) {
		await client.query("ROLLBACK").catch(() => {}); // the connection is gone, and the transaction with it
		throw error;
	}
}

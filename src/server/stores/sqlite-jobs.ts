// The database file of the SQLite store: what is in it, whose it is, and the statements. Runs in sqlite-thread.ts, and
// knows nothing of threads. The file is locked for as long as it is open, and whatever ends the process frees it.
//
//   jobs   one row a job; its number is that at the end of its handle, so rows are in order of submission
//   meta   "reserved": the last handle number reserved
//
// A file written by C gearmand is taken over: its rows are moved into `jobs`. The emptied table stays, which is all that
// gearmand needs to run on the file again.

import { hostname } from "node:os";
import { GearmanError } from "../../errors.ts";
import { inUse } from "./file-lock.ts";
import type { StoredJob } from "./index.ts";
import { type Entry, numberOf } from "./records.ts";
import { codeOf, type Database, openDatabase, ResultCode, type Statement, type Value } from "./sqlite-driver.ts";

export interface FileOptions {
	readonly path: string;
	/** Every commit is on the disk when it returns. Else a power cut may take the last ones. */
	readonly isSynced: boolean;
	/** The table of jobs that C gearmand wrote, if it is there. */
	readonly table: string;
}

/** PRAGMA application_id: "GEAR". */
const APPLICATION_ID = 0x47454152;
const SCHEMA_VERSION = 1;
const SCHEMA = `
	CREATE TABLE jobs (
		number INTEGER PRIMARY KEY,
		handle TEXT NOT NULL,
		function BLOB NOT NULL,
		unique_key BLOB NOT NULL,
		workload BLOB NOT NULL,
		priority INTEGER NOT NULL,
		due_ms INTEGER NOT NULL,
		reducer BLOB,
		retries INTEGER NOT NULL,
		submitted_ms INTEGER NOT NULL
	);
	CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
	INSERT INTO meta VALUES ('reserved', 0);
	PRAGMA application_id = ${APPLICATION_ID};
	PRAGMA user_version = ${SCHEMA_VERSION};
`;

/**
 * Makes the WAL as long as it gets before it begins anew: to write over what is there takes the disk a third of the time
 * of making the file longer. So much does not fit into the cache, goes to the WAL, and is taken back.
 */
const GROW_WAL = `
	PRAGMA cache_size = 16;
	BEGIN IMMEDIATE;
	CREATE TABLE growing (bytes BLOB);
	INSERT INTO growing VALUES (zeroblob(4 << 20));
	ROLLBACK;
`;

/** Jobs read at a time: so many, or what comes up to so many bytes. */
const CHUNK_JOBS = 1000;
const CHUNK_BYTES = 8 << 20;

/** Opens, creates or takes over the file. Throws GearmanError STORE_FAILED; a file that is not ours is left as it was. */
export async function openJobs(options: FileOptions): Promise<JobsFile> {
	let database: Database | undefined;
	try {
		database = await openDatabase(options.path);
		database.exec("PRAGMA locking_mode = EXCLUSIVE");
		const isNew = inspect(database, options);
		database.exec("PRAGMA journal_mode = WAL");
		// At every open: it is no property of the file.
		database.exec(`PRAGMA synchronous = ${options.isSynced ? "FULL" : "NORMAL"}`);
		// Takes the lock, which reading alone may not have done.
		database.exec("BEGIN IMMEDIATE");
		if (isNew) database.exec(SCHEMA);
		if (columnsOf(database, options.table).length > 0) takeOver(database, options.table);
		database.exec("COMMIT");
		database.exec(GROW_WAL);
		database.exec("PRAGMA cache_size = -16384");
		return new JobsFile(database, options.path);
	} catch (error) {
		database?.close();
		throw asStoreError(error, options.path);
	}
}

/** True when the file is empty, or gearmand's. Throws when it is somebody else's. */
function inspect(database: Database, { path, table }: FileOptions): boolean {
	const [[applicationId]] = database.prepare("PRAGMA application_id").all();
	const [[version]] = database.prepare("PRAGMA user_version").all();
	if (applicationId === APPLICATION_ID) {
		if (Number(version) > SCHEMA_VERSION) {
			throw new GearmanError("STORE_FAILED", `${path} was written by a newer version of this program`);
		}
		// As quick as reading the file: 0.3 s for 1,000,000 jobs of 100 bytes.
		const [[verdict]] = database.prepare("PRAGMA quick_check(1)").all();
		if (verdict !== "ok") throw new GearmanError("STORE_FAILED", damaged(path, String(verdict).replace(/\s+/g, " ")));
		return false;
	}
	const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
	if (applicationId !== 0 || tables.some(([name]) => name !== table)) {
		const sentence = `${path} is a database of something else: name another file with --libsqlite3-db`;
		throw new GearmanError("STORE_FAILED", `${sentence}, or the table to take jobs from with --libsqlite3-table`);
	}
	const columns = columnsOf(database, table);
	const missing = ["unique_key", "function_name", "priority", "data"].filter((name) => !columns.includes(name));
	if (tables.length > 0 && missing.length > 0) {
		throw new GearmanError("STORE_FAILED", `the table ${table} in ${path} has no column ${missing[0]}`);
	}
	return true;
}

function columnsOf(database: Database, table: string): Value[] {
	return database
		.prepare("SELECT name FROM pragma_table_info(?)")
		.all(table)
		.map(([name]) => name);
}

/** Moves the rows gearmand wrote, in the order it wrote them. An empty workload is NULL there, an early job has no time. */
function takeOver(database: Database, table: string): void {
	const name = `"${table.replaceAll('"', '""')}"`;
	const when = columnsOf(database, table).includes("when_to_run") ? "when_to_run" : "0";
	// Numbers of their own, behind all that may be in use.
	const first = `max((SELECT value FROM meta), (SELECT ifnull(max(number), 0) FROM jobs))`;
	database
		.prepare(
			`INSERT INTO jobs SELECT ${first} + row_number() OVER (ORDER BY rowid), '', CAST(function_name AS BLOB),
			CAST(ifnull(unique_key, '') AS BLOB), CAST(ifnull(data, '') AS BLOB), priority,
			ifnull(${when}, 0) * 1000, NULL, 0, ? FROM ${name} WHERE function_name IS NOT NULL`,
		)
		.run(Date.now());
	database.prepare("UPDATE jobs SET handle = ? || number WHERE handle = ''").run(`H:${hostname().slice(0, 48)}:`);
	database.exec(
		"UPDATE meta SET value = max(value, (SELECT ifnull(max(number), 0) FROM jobs)) WHERE name = 'reserved'",
	);
	database.exec(`DELETE FROM ${name}`);
}

export class JobsFile {
	readonly #database: Database;
	readonly #path: string;
	readonly #add: Statement;
	readonly #retry: Statement;
	readonly #remove: Statement;
	readonly #reserve: Statement;
	readonly #chunk: Statement;
	readonly #rows: Statement;

	constructor(database: Database, path: string) {
		this.#database = database;
		this.#path = path;
		// A batch that failed may have reached the disk after all: its jobs, when they come again, replace themselves.
		this.#add = database.prepare("INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
		this.#retry = database.prepare("UPDATE jobs SET retries = ? WHERE number = ?");
		this.#remove = database.prepare("DELETE FROM jobs WHERE number = ?");
		this.#reserve = database.prepare("UPDATE meta SET value = max(value, ?) WHERE name = 'reserved'");
		// Knows a BLOB's length without reading it.
		this.#chunk = database.prepare(
			`SELECT max(number), sum(size) FROM (SELECT number, length(workload) AS size FROM jobs
			WHERE number > ? AND number <= ? ORDER BY number LIMIT ?)`,
		);
		// Few columns, and one BLOB: 2.3 µs a job. With each column for itself it is 6.6 µs, of which the BLOBs are most.
		this.#rows = database.prepare(
			`SELECT handle, workload, format('%d %d %d %d %d %s %s %s', number, priority, due_ms, retries, submitted_ms,
			hex(function), hex(unique_key), CASE WHEN reducer IS NULL THEN '-' ELSE hex(reducer) END)
			FROM jobs WHERE number > ? AND number <= ? ORDER BY number`,
		);
	}

	/** The last handle number reserved, or used. */
	lastReserved(): number {
		return this.#number("SELECT max(value, (SELECT ifnull(max(number), 0) FROM jobs)) FROM meta");
	}

	/** The last number of a job in it; 0: there is none. */
	lastNumber(): number {
		return this.#number("SELECT ifnull(max(number), 0) FROM jobs");
	}

	/** Commits one batch, or throws and has committed none of it. */
	write(entries: Iterable<Entry>): void {
		this.#database.exec("BEGIN IMMEDIATE");
		try {
			for (const entry of entries) this.#apply(entry);
			this.#database.exec("COMMIT");
		} catch (error) {
			try {
				this.#database.exec("ROLLBACK");
			} catch {
				// SQLite has done so already.
			}
			throw error;
		}
	}

	/** The next jobs behind `after` up to `last`, oldest first. */
	read(after: number, last: number): StoredJob[] {
		let limit = CHUNK_JOBS;
		let [[until, bytes]] = this.#chunk.all(after, last, limit);
		while (Number(bytes) > CHUNK_BYTES && limit > 1) {
			limit >>= 1;
			[[until, bytes]] = this.#chunk.all(after, last, limit);
		}
		if (until === null) return [];
		return this.#rows.all(after, until).map((row) => this.#toJob(row));
	}

	/** 2: FULL, 1: NORMAL. */
	synchronous(): number {
		return this.#number("PRAGMA synchronous");
	}

	/** libsql gives the lock back only when the thread ends. */
	close(): void {
		this.#database.close();
	}

	#apply(entry: Entry): void {
		switch (entry.kind) {
			case "add": {
				const job = entry.job;
				return this.#add.run(
					numberOf(job.handle),
					job.handle,
					Buffer.from(job.functionName, "latin1"),
					Buffer.from(job.unique, "latin1"),
					job.workload,
					job.priority,
					job.dueMs,
					job.reducer === undefined ? null : Buffer.from(job.reducer, "latin1"),
					job.retries,
					job.submittedMs,
				);
			}
			case "retry":
				return this.#retry.run(entry.retries, numberOf(entry.handle));
			case "remove":
				return this.#remove.run(numberOf(entry.handle));
			case "reserve":
				return this.#reserve.run(entry.number);
		}
	}

	#toJob([handle, workload, others]: Value[]): StoredJob {
		const [number, priority, dueMs, retries, submittedMs, functionName, unique, reducer] = String(others).split(" ");
		// A job is deleted by the number in its handle: another job's must not be.
		if (!String(handle).endsWith(`:${number}`)) {
			throw new GearmanError("STORE_FAILED", damaged(this.#path, `job ${number} has the handle ${handle}`));
		}
		return {
			handle: String(handle),
			functionName: fromHex(functionName),
			unique: fromHex(unique),
			workload: Buffer.isBuffer(workload) ? workload : Buffer.alloc(0),
			priority: Number(priority),
			dueMs: Number(dueMs),
			reducer: reducer === "-" ? undefined : fromHex(reducer),
			retries: Number(retries),
			submittedMs: Number(submittedMs),
		};
	}

	#number(sql: string): number {
		return Number(this.#database.prepare(sql).all()[0][0]);
	}
}

function fromHex(hex: string): string {
	return Buffer.from(hex, "hex").toString("latin1");
}

/** The error as a sentence that says what to do. */
export function asStoreError(error: unknown, path: string): GearmanError {
	if (error instanceof GearmanError) return error;
	return new GearmanError("STORE_FAILED", sentenceOf(error, path), { cause: error });
}

function sentenceOf(error: unknown, path: string): string {
	const reason = error instanceof Error ? error.message : String(error);
	switch (codeOf(error)) {
		case ResultCode.BUSY:
			return inUse(path);
		case ResultCode.CANTOPEN:
			return `${path} cannot be opened or created: choose a folder with --state-dir, or --queue-type builtin`;
		case ResultCode.READONLY:
			return `${path} cannot be written: choose a folder with --state-dir, or --queue-type builtin`;
		case ResultCode.NOTADB:
		case ResultCode.CORRUPT:
			return damaged(path, reason);
		default:
			return `${path}: ${reason}`;
	}
}

function damaged(path: string, reason: string): string {
	return `${path} is damaged or no job store (${reason}): move it away or restore a copy, then start again`;
}

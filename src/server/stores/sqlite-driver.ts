// One face for the two SQLites there are: Node's own where it has one, else the package libsql, which brings its binaries
// along. Rows are arrays; BLOBs go in and come out as Buffers. Texts must hold no NUL: libsql cuts them there.

import type LibsqlDatabase from "libsql";

export type Value = string | number | null | Buffer;

export interface Statement {
	run(...values: Value[]): void;
	all(...values: Value[]): Value[][];
}

export interface Database {
	exec(sql: string): void;
	prepare(sql: string): Statement;
	close(): void;
}

/** node:sqlite, as far as it is used here. */
interface NodeSqlite {
	DatabaseSync: new (
		path: string,
	) => {
		exec(sql: string): void;
		prepare(sql: string): {
			run(...values: Value[]): unknown;
			all(...values: Value[]): Record<string, string | number | null | Uint8Array>[];
		};
		close(): void;
	};
}

/** SQLite's primary result codes that are told apart. */
export const ResultCode = { BUSY: 5, READONLY: 8, CORRUPT: 11, CANTOPEN: 14, NOTADB: 26 } as const;

/** The primary result code of an error; 0: it is not SQLite's. */
export function codeOf(error: unknown): number {
	if (typeof error !== "object" || error === null) return 0;
	if ("rawCode" in error && typeof error.rawCode === "number") return error.rawCode & 0xff;
	if ("errcode" in error && typeof error.errcode === "number") return error.errcode & 0xff;
	// libsql cannot open the file: no code, but "…local database PATH: 14".
	const tail = error instanceof Error ? /^ConnectionFailed\(.*: (\d+)"\)$/.exec(error.message) : null;
	return tail === null ? 0 : Number(tail[1]) & 0xff;
}

/** Opens or creates the database. Statements must give their columns different names. */
export async function openDatabase(path: string): Promise<Database> {
	const node = process.getBuiltinModule("node:sqlite") as NodeSqlite | undefined;
	return node === undefined ? openLibsql(path) : openNode(node, path);
}

function openNode({ DatabaseSync }: NodeSqlite, path: string): Database {
	const database = new DatabaseSync(path);
	return {
		exec: (sql) => database.exec(sql),
		prepare(sql) {
			const statement = database.prepare(sql);
			return {
				run: (...values) => void statement.run(...values),
				all: (...values) => statement.all(...values).map((row) => Object.values(row).map(asValue)),
			};
		},
		close: () => database.close(),
	};
}

async function openLibsql(path: string): Promise<Database> {
	const Libsql: new (path: string) => LibsqlDatabase.Database = (await import("libsql")).default;
	const database = new Libsql(path);
	return {
		exec: (sql) => void database.exec(sql),
		prepare(sql) {
			const statement = database.prepare(sql);
			return {
				run: (...values) => void statement.run(values),
				all: (...values) =>
					(statement.raw().all(values) as (string | number | null | Uint8Array)[][]).map((row) => row.map(asValue)),
			};
		},
		close: () => void database.close(),
	};
}

function asValue(value: string | number | null | Uint8Array): Value {
	if (!(value instanceof Uint8Array) || Buffer.isBuffer(value)) return value;
	return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

// Jobs in a MySQL or MariaDB database, table <table>_jobs; a batch is one transaction, and one round trip unless it is big.
// <table> itself is gearmand's: jobs found there at the start are taken over. One job server a table: GET_LOCK of the
// connection that writes. A job has to fit into a packet of the database server (its max_allowed_packet).

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { connect, type NetConnectOpts } from "node:net";
import { userInfo } from "node:os";
import type { Connection, ConnectionOptions } from "mysql2/promise";
import { GearmanError } from "../../errors.ts";
import { type Batch, partsOf } from "./batch.ts";
import type { Change, Store, StoredJob, StoreInfo, StoreOptions } from "./index.ts";
import { MysqlTables } from "./mysql-tables.ts";
import { type Backend, loadDriver, Remote } from "./remote.ts";

/** Where Debian, Red Hat and the sources put the socket that `localhost` means. */
const SOCKETS = ["/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock"];
const CONNECT_MS = 10_000;
/** How long to wait for the lock of a server that has just died. */
const LOCK_SECONDS = 3;
/** Workloads read at once. */
const READ_BYTES = 16 << 20;

export class MysqlStore implements Store, Backend<Connection> {
	readonly name: string;
	readonly #address: NetConnectOpts;
	readonly #config: ConnectionOptions;
	readonly #tables: MysqlTables;
	readonly #database: string;
	readonly #lockName: string;
	readonly #remote = new Remote<Connection>(this);
	/** The id of the newest job of the last run. */
	#lastReplayed = 0;
	#reserved = 0;

	/** Options: mysql-host, -port, -user, -password, -db, -table. */
	constructor({ options }: StoreOptions) {
		const option = (name: string): string | undefined => options[`mysql-${name}`];
		const host = option("host") ?? "localhost";
		const port = Number(option("port") ?? 3306);
		const database = option("db");
		if (database === undefined) throw new GearmanError("BAD_ARGUMENT", "--mysql-db is needed: the database's name");
		if (!Number.isInteger(port)) throw new GearmanError("BAD_ARGUMENT", "mysql-port is not a number");
		const table = option("table") ?? "gearman_queue";
		if (!/^[\p{L}\d_$]{1,59}$/u.test(table)) {
			throw new GearmanError("BAD_ARGUMENT", `mysql-table: ${table} is no table's name`);
		}
		const isLocal = host === "localhost" && port === 3306;
		const socketPath = host.startsWith("/") ? host : isLocal ? SOCKETS.find((path) => existsSync(path)) : undefined;
		this.name = `MySQL at ${socketPath ?? `${host}:${port}`}`;
		this.#address = socketPath === undefined ? { host, port, noDelay: true, keepAlive: true } : { path: socketPath };
		this.#config = {
			user: option("user") ?? userInfo().username,
			password: option("password"),
			database,
			connectTimeout: CONNECT_MS,
			// All of a batch in one round trip. The statements are our own; what goes into them is numbers and bytes.
			multipleStatements: true,
		};
		this.#database = database;
		this.#tables = new MysqlTables(table, this.name);
		// A lock's name may have 64 characters.
		this.#lockName = `gearman.${createHash("sha1").update(`${database}.${table}`).digest("hex")}`;
	}

	async open(): Promise<number> {
		await this.#remote.open();
		this.#lastReplayed = this.#tables.last;
		return this.#reserved;
	}

	async *replay(): AsyncGenerator<StoredJob> {
		let after = 0;
		for (;;) {
			const from = after;
			const page = await this.#remote.useWhenUp((connection) =>
				this.#tables.page(connection, from, this.#lastReplayed),
			);
			const last = page.at(-1);
			if (last === undefined) return;
			after = last.id;
			for (const part of partsOf(page, ({ bytes }) => bytes, READ_BYTES, page.length)) {
				yield* await this.#remote.useWhenUp((connection) => this.#tables.read(connection, part));
			}
		}
	}

	write(changes: readonly Change[]): Promise<void> {
		return this.#remote.write(changes);
	}

	refusal(job: StoredJob): string | undefined {
		return this.#tables.refusal(job);
	}

	info(): StoreInfo {
		return { name: "mysql", place: `${this.name}, table ${this.#database}.${this.#tables.jobs}` };
	}

	close(): Promise<void> {
		return this.#remote.close();
	}

	async connect(lost: (error: unknown) => void, signal: AbortSignal): Promise<Connection> {
		const mysql = await loadDriver("mysql2", () => import("mysql2/promise"));
		// mysql2 tells nobody of a connection that breaks during a query, so the socket is ours.
		const socket = connect(this.#address);
		let reason: unknown;
		socket.on("error", (error) => {
			reason = error;
		});
		signal.addEventListener("abort", () => socket.destroy(), { once: true });
		const connection = await mysql.createConnection({ ...this.#config, stream: socket }).catch((error) => {
			socket.destroy();
			throw error;
		});
		connection.on("error", () => {}); // the socket says it better
		socket.once("close", () => lost(reason));
		try {
			await this.#tables.prepare(connection);
			await this.#tables.create(connection);
			if (!(await this.#tables.lock(connection, this.#lockName, LOCK_SECONDS))) {
				throw new GearmanError("STORE_FAILED", `another job server uses ${this.#tables.jobs} of ${this.name}`);
			}
			this.#reserved = await this.#tables.readNumbers(connection);
			return connection;
		} catch (error) {
			this.destroy(connection);
			throw error;
		}
	}

	async takeOver(connection: Connection): Promise<void> {
		await this.#tables.takeOver(connection);
		this.#reserved = await this.#tables.readNumbers(connection);
	}

	commit(connection: Connection, batch: Batch): Promise<void> {
		return this.#tables.change(connection, batch);
	}

	/** Ends the session, and with it the lock. */
	disconnect(connection: Connection): Promise<void> {
		return connection.end();
	}

	destroy(connection: Connection): void {
		connection.destroy();
	}
}

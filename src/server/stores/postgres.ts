// Jobs in a PostgreSQL database, table <table>_jobs; a batch is one statement, so one transaction and one round trip.
// <table> itself is gearmand's: jobs found there at the start are taken over. One job server a table: an advisory lock of
// the connection that writes. Behind a pooler it has to be a session of its own (PgBouncer: pool_mode=session).

import { Socket } from "node:net";
import type { Client, ClientConfig } from "pg";
import { GearmanError } from "../../errors.ts";
import { type Batch, partsOf } from "./batch.ts";
import { readConninfo } from "./conninfo.ts";
import type { Change, Store, StoredJob, StoreInfo, StoreOptions } from "./index.ts";
import { inTransaction, PostgresTables } from "./postgres-tables.ts";
import { type Backend, loadDriver, Remote } from "./remote.ts";

/** Of a statement; its workloads travel together, and a message may have 1 GiB. */
const PART_BYTES = 32 << 20;
const PART_JOBS = 10_000;
/** A value and a message may have 1 GiB; names need a little of it. */
const MAX_BYTES = (1 << 30) - (1 << 20);

interface Session {
	readonly client: Client;
	readonly socket: Socket;
}

export class PostgresStore implements Store, Backend<Session> {
	readonly name: string;
	readonly #configs: ClientConfig[];
	readonly #tables: PostgresTables;
	readonly #remote = new Remote<Session>(this);
	/** The number of the newest job, and of the newest of the last run. */
	#last = 0;
	#lastReplayed = 0;
	#reserved = 0;

	/** Options: libpq-conninfo, libpq-table ("queue" or "schema.queue"). */
	constructor({ options }: StoreOptions) {
		this.#configs = readConninfo(options["libpq-conninfo"] ?? "");
		const table = options["libpq-table"] ?? "queue";
		if (!/^([\p{L}_][\p{L}\d_$]{0,62}\.)?[\p{L}_][\p{L}\d_$]{0,57}$/u.test(table)) {
			throw new GearmanError("BAD_ARGUMENT", `libpq-table: ${table} is no table's name`);
		}
		this.#tables = new PostgresTables(table);
		const [{ host, port } = {}] = this.#configs;
		this.name = `PostgreSQL at ${host}:${port}`;
	}

	async open(): Promise<number> {
		await this.#remote.open();
		this.#lastReplayed = this.#last;
		return this.#reserved;
	}

	async *replay(): AsyncGenerator<StoredJob> {
		let after = 0;
		for (;;) {
			const from = after;
			const page = await this.#remote.useWhenUp(({ client }) => this.#tables.page(client, from, this.#lastReplayed));
			const last = page.at(-1);
			if (last === undefined) return;
			after = Number(last.id);
			for (const part of partsOf(page, ({ bytes }) => bytes, PART_BYTES, PART_JOBS)) {
				yield* await this.#remote.useWhenUp(({ client }) => this.#tables.read(client, part));
			}
		}
	}

	write(changes: readonly Change[]): Promise<void> {
		return this.#remote.write(changes);
	}

	refusal({ workload }: StoredJob): string | undefined {
		if (workload.length <= MAX_BYTES) return undefined;
		return `a workload of ${workload.length} bytes is over PostgreSQL's limit of 1 GB`;
	}

	info(): StoreInfo {
		return { name: "postgres", place: `${this.name}, table ${this.#tables.jobs}` };
	}

	close(): Promise<void> {
		return this.#remote.close();
	}

	async connect(lost: (error: unknown) => void, signal: AbortSignal): Promise<Session> {
		const session = await this.#dial(lost, signal);
		const { client } = session;
		try {
			await this.#tables.prepare(client);
			await this.#tables.create(client);
			if (!(await this.#tables.lock(client))) {
				throw new GearmanError("STORE_FAILED", `another job server uses ${this.#tables.jobs} of ${this.name}`);
			}
			await this.#readNumbers(client);
			return session;
		} catch (error) {
			this.destroy(session);
			throw error;
		}
	}

	async takeOver({ client }: Session): Promise<void> {
		await this.#tables.takeOver(client);
		await this.#readNumbers(client);
	}

	async commit({ client }: Session, batch: Batch): Promise<void> {
		const parts = [...partsOf(batch.adds, ({ workload }) => workload.length, PART_BYTES, PART_JOBS)];
		const change = (rest: Omit<Batch, "adds">, adds: readonly StoredJob[]): Promise<unknown> => {
			const last = this.#last;
			this.#last += adds.length;
			return this.#tables.change(client, rest, adds, last);
		};
		const [first = [], ...others] = parts;
		if (others.length === 0) await change(batch, first);
		else {
			await inTransaction(client, async () => {
				await change(batch, first);
				for (const part of others) await change({ retries: [], removes: [], reserved: 0 }, part);
			});
		}
	}

	/** Ends the session, and with it the lock. */
	disconnect({ client }: Session): Promise<void> {
		return client.end();
	}

	destroy({ socket }: Session): void {
		socket.destroy();
	}

	async #readNumbers(client: Client): Promise<void> {
		const { last, reserved } = await this.#tables.lastNumbers(client);
		this.#last = last;
		this.#reserved = reserved;
	}

	async #dial(lost: (error: unknown) => void, signal: AbortSignal): Promise<Session> {
		const pg = await loadDriver("pg", () => import("pg"));
		let reason: unknown;
		for (const config of this.#configs) {
			if (signal.aborted) break;
			const socket = new Socket();
			signal.addEventListener("abort", () => socket.destroy(), { once: true });
			const client = new pg.Client({ ...config, stream: () => socket });
			client.on("error", () => {}); // connect() rejects
			try {
				await client.connect();
			} catch (error) {
				reason = error;
				socket.destroy();
				continue;
			}
			client.on("error", lost);
			client.on("end", () => lost(undefined));
			return { client, socket };
		}
		throw reason;
	}
}

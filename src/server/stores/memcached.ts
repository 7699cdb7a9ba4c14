// Jobs in memcached, as gearmand has it. memcached is a cache: jobs survive a restart of the job server, but not one of
// memcached, and without `-M` it throws the oldest away when memory is short, and says nothing. A job has to fit into an
// item (`-I`, 1 MB unless told otherwise). The lock is checked now and then, not with each batch.
//
//   <prefix>job:<handle>            a job: a line of JSON, then the workload
//   <prefix>page:<n>                handles in order, a line each; those whose job is gone are done
//   <prefix>state                   pages in use, and handle numbers that may be: "<first> <last> <reserved>"
//   <prefix>lock                    of the job server whose queue this is
//   <prefix><function>-<unique>     gearmand's, its flags the priority: taken over at the start
//
// All or none: a batch's jobs are stored first; they count from the one request that adds their handles to a page, or
// their pages to the state.

import type { NetConnectOpts } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { GearmanError } from "../../errors.ts";
import { type Batch, partsOf } from "./batch.ts";
import type { Change, Store, StoredJob, StoreInfo, StoreOptions } from "./index.ts";
import { type Item, MemcachedConnection } from "./memcached-connection.ts";
import { allOf, FLAGS, MemcachedPages } from "./memcached-pages.ts";
import { type Backend, Remote, splitOldName } from "./remote.ts";

/** A lock nobody has renewed for so long is free. memcached counts in seconds. */
const LOCK_SECONDS = 8;
const RENEW_MS = 1500;
const POLL_MS = 100;
/** What an item has beside its value: its key and header. */
const ITEM_BYTES = 400;
/** An item of this size fits into any memcached, whatever its names; 1 KB is the least -I takes. */
const SMALL_ITEM_BYTES = 1024;
const DEFAULT_MAX_ITEM_BYTES = 1 << 20;
/** Jobs asked for at once. */
const GET_JOBS = 50;

interface Session {
	readonly connection: MemcachedConnection;
	readonly renewal: NodeJS.Timeout;
}

export class MemcachedStore implements Store, Backend<Session> {
	readonly name: string;
	readonly #address: NetConnectOpts;
	readonly #prefix: string;
	readonly #remote = new Remote<Session>(this);
	readonly #pages: MemcachedPages;
	#renewals = 0;
	/** What the lock says while it is ours. */
	#token = "";
	/** Its -I. */
	#maxItemBytes = DEFAULT_MAX_ITEM_BYTES;
	/** Of the last run: keys of jobs, in order, by page. */
	#left: string[][] = [];
	#isOpen = false;

	/** Options: libmemcached-servers, -prefix. */
	constructor({ options }: StoreOptions) {
		const server = options["libmemcached-servers"] || "127.0.0.1";
		const [, host = "", port = "11211"] = /^(?:--SERVER=)?([^\s,:/]+|\[[\da-f:]+\])(?::(\d+))?$/i.exec(server) ?? [];
		if (host === "" && !server.startsWith("/")) {
			throw new GearmanError("BAD_ARGUMENT", `libmemcached-servers: one HOST[:PORT] is expected, not ${server}`);
		}
		this.#address =
			host === ""
				? { path: server }
				: { host: host.replace(/[[\]]/g, ""), port: Number(port), noDelay: true, keepAlive: true };
		this.name = `memcached at ${host === "" ? server : `${host}:${port}`}`;
		this.#prefix = options["libmemcached-prefix"] ?? "gear_";
		if (!/^[!-~]{0,100}$/.test(this.#prefix)) {
			throw new GearmanError("BAD_ARGUMENT", "libmemcached-prefix: up to 100 letters, digits and signs are expected");
		}
		this.#pages = new MemcachedPages(this.#prefix);
	}

	async open(): Promise<number> {
		await this.#remote.open();
		this.#isOpen = true;
		return this.#pages.reserved;
	}

	async *replay(): AsyncGenerator<StoredJob> {
		for (const [i, keys] of this.#left.entries()) {
			for (const part of partsOf(keys, () => 0, 0, GET_JOBS)) {
				const found = await this.#remote.useWhenUp(({ connection }) => this.#getAll(connection, part));
				for (const item of found) yield jobOf(item);
			}
			this.#left[i] = [];
		}
	}

	write(changes: readonly Change[]): Promise<void> {
		return this.#remote.write(changes);
	}

	refusal(job: StoredJob): string | undefined {
		if (job.workload.length + ITEM_BYTES < SMALL_ITEM_BYTES) return undefined;
		const bytes = itemOf(job).length + ITEM_BYTES;
		if (bytes <= this.#maxItemBytes) return undefined;
		return `a job of ${bytes} bytes is over the largest item of ${this.name}, ${this.#maxItemBytes} (its option -I)`;
	}

	info(): StoreInfo {
		return { name: "memcached", place: `${this.name}, keys ${this.#prefix}*` };
	}

	close(): Promise<void> {
		return this.#remote.close();
	}

	async connect(lost: (error: unknown) => void, signal: AbortSignal): Promise<Session> {
		let renewal: NodeJS.Timeout | undefined;
		let reason: unknown;
		const connection = await MemcachedConnection.open(this.#address, (error) => {
			clearInterval(renewal);
			lost(reason ?? error);
		});
		signal.addEventListener("abort", () => connection.destroy(), { once: true });
		try {
			await this.#lock(connection);
			this.#maxItemBytes = Number((await connection.setting("item_size_max")) ?? DEFAULT_MAX_ITEM_BYTES);
			await this.#pages.readState(connection, !this.#isOpen);
			renewal = setInterval(() => {
				this.#renew(connection).catch((error) => {
					reason = error;
					connection.destroy();
				});
			}, RENEW_MS);
			return { connection, renewal };
		} catch (error) {
			connection.destroy();
			throw error;
		}
	}

	async takeOver({ connection }: Session): Promise<void> {
		this.#left = await this.#pages.read(connection);
		await this.#takeOver(connection);
	}

	async commit({ connection }: Pick<Session, "connection">, { adds, removes, reserved }: Batch): Promise<void> {
		const keys = removes.map((handle) => this.#jobKey(handle));
		await allOf(keys.map((key) => connection.delete(key)));
		await allOf(keys.flatMap((key) => this.#pages.done(connection, key)));
		if (reserved > this.#pages.reserved) await this.#pages.reserve(connection, reserved);
		if (adds.length === 0) return;
		try {
			await allOf(adds.map((job) => connection.store("set", this.#jobKey(job.handle), FLAGS, 0, itemOf(job))));
			await this.#pages.add(
				connection,
				adds.map(({ handle }) => this.#jobKey(handle)),
			);
		} catch (error) {
			// When the connection is gone, they are deleted when it is back.
			await allOf(adds.map(({ handle }) => connection.delete(this.#jobKey(handle)))).catch(() => {});
			throw error;
		}
	}

	async disconnect({ connection, renewal }: Session): Promise<void> {
		clearInterval(renewal);
		const [item] = await connection.get([`${this.#prefix}lock`]);
		if (item !== undefined && this.#isOurs(item)) await connection.delete(item.key);
		await connection.end();
	}

	destroy({ connection, renewal }: Session): void {
		clearInterval(renewal);
		connection.destroy();
	}

	/** In order; what is not there any more is done. */
	async #getAll(connection: MemcachedConnection, keys: readonly string[]): Promise<Item[]> {
		const items = new Map((await connection.get(keys)).map((item) => [item.key, item]));
		const found: Item[] = [];
		for (const key of keys) {
			const item = items.get(key);
			if (item !== undefined) found.push(item);
			else await allOf(this.#pages.done(connection, key));
		}
		return found;
	}

	/** Waits for the lock of a server that has died; one that is alive renews it meanwhile. */
	async #lock(connection: MemcachedConnection): Promise<void> {
		this.#token ||= `${process.pid}.${Math.random()}`;
		let before: string | undefined;
		while (!(await this.#renewed(connection))) {
			const [item] = await connection.get([`${this.#prefix}lock`]);
			const now = item?.data.toString("latin1");
			if (now !== undefined && before !== undefined && now !== before) throw this.#taken();
			before = now;
			await sleep(POLL_MS);
		}
	}

	async #renew(connection: MemcachedConnection): Promise<void> {
		if (!(await this.#renewed(connection))) throw this.#taken();
	}

	/** Takes a lock that is nobody's or ours. */
	async #renewed(connection: MemcachedConnection): Promise<boolean> {
		const key = `${this.#prefix}lock`;
		const value = Buffer.from(`${this.#token} ${++this.#renewals}`);
		const [item] = await connection.get([key]);
		if (item === undefined) return connection.store("add", key, FLAGS, LOCK_SECONDS, value);
		return this.#isOurs(item) && connection.store("cas", key, FLAGS, LOCK_SECONDS, value, item.version);
	}

	#isOurs({ data }: Item): boolean {
		return data.toString("latin1").startsWith(`${this.#token} `);
	}

	#taken(): GearmanError {
		return new GearmanError("STORE_FAILED", `another job server uses the keys ${this.#prefix}* of ${this.name}`);
	}

	/** Makes the jobs gearmand left ours, as far as memcached can list them. They have no order. */
	async #takeOver(connection: MemcachedConnection): Promise<void> {
		const all = await connection.keys().catch((error) => {
			if (error instanceof GearmanError) return []; // a version that has no listing
			throw error;
		});
		const names = all.filter((key) => key.startsWith(this.#prefix) && key.includes("-", this.#prefix.length));
		const adds: StoredJob[] = [];
		const obsolete: string[] = [];
		for (const part of partsOf(names, () => 0, 0, GET_JOBS)) {
			for (const { key, flags, data } of await connection.get(part)) {
				if (flags > 2) continue; // ours
				const [functionName, unique] = splitOldName(key.slice(this.#prefix.length));
				const handle = `H:migrated:${this.#pages.reserved + adds.length + 1}`;
				const times = { dueMs: 0, submittedMs: Date.now(), retries: 0 };
				adds.push({ handle, functionName, unique, workload: data, priority: flags, reducer: undefined, ...times });
				obsolete.push(key);
			}
		}
		if (adds.length === 0) return;
		await this.commit({ connection }, { adds, retries: [], removes: [], reserved: this.#pages.reserved + adds.length });
		await allOf(obsolete.map((key) => connection.delete(key)));
		this.#left.push(adds.map(({ handle }) => this.#jobKey(handle)));
	}

	/** A key may have 250 characters, and no blanks among them. */
	#jobKey(handle: string): string {
		const name = /^[!-}]+$/.test(handle) ? handle : `~${Buffer.from(handle, "latin1").toString("base64url")}`;
		return `${this.#prefix}job:${name}`;
	}
}

function itemOf(job: StoredJob): Buffer {
	// One by one: some of a job's properties are getters of its class.
	const { handle, functionName, unique, priority, dueMs, reducer, retries, submittedMs } = job;
	const header = { handle, functionName, unique, priority, dueMs, reducer, retries, submittedMs };
	return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), job.workload]);
}

function jobOf({ data }: Item): StoredJob {
	const end = data.indexOf("\n");
	const header = JSON.parse(data.toString("utf8", 0, end)) as Omit<StoredJob, "workload">;
	return { ...header, reducer: header.reducer, workload: data.subarray(end + 1) };
}

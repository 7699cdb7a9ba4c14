// Jobs in Redis or Valkey (no cluster), each a hash; a batch is one script, so all or nothing and one round trip. As
// durable as that server is told to be: only with `appendonly yes` and `appendfsync always` does JOB_CREATED mean that the
// job is on its disk; and `maxmemory-policy` has to be noeviction.
//
//   <prefix>job:<handle>              a job: function, unique, workload, priority, due, reducer, retries, submitted
//   <prefix>jobs                      all handles, in order
//   <prefix>reserved                  handle numbers up to this one may be in use
//   <prefix>lock                      of the job server whose queue this is; each batch checks it
//   <prefix>-<function>-<unique>      gearmand's: taken over at the start

import { setTimeout as sleep } from "node:timers/promises";
import type { Redis, RedisOptions } from "ioredis";
import { GearmanError } from "../../errors.ts";
import { type Batch, partsOf } from "./batch.ts";
import type { Change, Store, StoredJob, StoreInfo, StoreOptions } from "./index.ts";
import { RedisKeys } from "./redis-keys.ts";
import { type Backend, loadDriver, Remote } from "./remote.ts";

const CONNECT_MS = 10_000;
/** A lock nobody has renewed for so long is free. */
const LOCK_MS = 6000;
const RENEW_MS = 1500;
const POLL_MS = 100;
/** Of a value. More, and Redis ends the connection. */
const MAX_BYTES = 512 << 20;
/** Workloads read at once. */
const READ_BYTES = 16 << 20;

interface Session {
	readonly redis: Redis;
	readonly token: string;
	readonly renewal: NodeJS.Timeout;
}

export class RedisStore implements Store, Backend<Session> {
	readonly name: string;
	readonly #url: string | undefined;
	readonly #config: RedisOptions;
	readonly #keys: RedisKeys;
	readonly #remote = new Remote<Session>(this);
	/** Ours so far: an earlier connection's lock is no other server's. */
	#token = "";
	#lastReplayed = 0;
	#reserved = 0;

	/** Options: redis-server, -port, -password, -prefix. */
	constructor({ options }: StoreOptions) {
		const host = options["redis-server"] || "127.0.0.1";
		const port = Number(options["redis-port"] ?? 6379);
		if (!Number.isInteger(port)) throw new GearmanError("BAD_ARGUMENT", "redis-port is not a number");
		const isUrl = host.includes("://");
		// What it is instead is not said: there may be a password in it.
		if (isUrl && !(/^rediss?:/i.test(host) && URL.canParse(host))) {
			throw new GearmanError("BAD_ARGUMENT", "redis-server is a host, or an address such as redis://HOST:6379/0");
		}
		this.name = `Redis at ${isUrl ? new URL(host).host : host.startsWith("/") ? host : `${host}:${port}`}`;
		this.#url = isUrl ? host : undefined;
		this.#config = {
			...(isUrl ? {} : host.startsWith("/") ? { path: host } : { host, port }),
			password: options["redis-password"] || undefined,
			lazyConnect: true,
			connectTimeout: CONNECT_MS,
			keepAlive: CONNECT_MS,
			// Connecting again is Remote's.
			retryStrategy: () => null,
			enableOfflineQueue: false,
			autoResendUnfulfilledCommands: false,
		};
		this.#keys = new RedisKeys(options["redis-prefix"] ?? "_gear_", LOCK_MS);
	}

	async open(): Promise<number> {
		await this.#remote.open();
		this.#lastReplayed = this.#keys.last;
		return this.#reserved;
	}

	async *replay(): AsyncGenerator<StoredJob> {
		let after = 0;
		for (;;) {
			const from = after;
			const page = await this.#remote.useWhenUp(({ redis }) => this.#keys.page(redis, from, this.#lastReplayed));
			const last = page.at(-1);
			if (last === undefined) return;
			after = last.id;
			for (const part of partsOf(page, ({ bytes }) => bytes, READ_BYTES, page.length)) {
				yield* await this.#remote.useWhenUp(({ redis }) => this.#keys.read(redis, part));
			}
		}
	}

	write(changes: readonly Change[]): Promise<void> {
		return this.#remote.write(changes);
	}

	refusal({ workload }: StoredJob): string | undefined {
		if (workload.length <= MAX_BYTES) return undefined;
		return `a workload of ${workload.length} bytes is over Redis's limit of 512 MB`;
	}

	info(): StoreInfo {
		return { name: "redis", place: `${this.name}, keys ${this.#keys.prefix}*` };
	}

	close(): Promise<void> {
		return this.#remote.close();
	}

	async connect(lost: (error: unknown) => void, signal: AbortSignal): Promise<Session> {
		const { Redis } = await loadDriver("ioredis", () => import("ioredis"));
		const redis = this.#url === undefined ? new Redis(this.#config) : new Redis(this.#url, this.#config);
		let reason: unknown;
		redis.on("error", (error) => {
			reason = error;
		});
		signal.addEventListener("abort", () => redis.disconnect(), { once: true });
		try {
			await redis.connect();
			const token = `${process.pid}.${Math.random()}`;
			await this.#lock(redis, token);
			this.#token = token;
			this.#reserved = await this.#keys.readNumbers(redis);
			redis.on("end", () => {
				clearInterval(renewal);
				lost(reason);
			});
			const renew = (): void => {
				this.#keys.lock(redis, token, token).then(
					(isOurs) => {
						if (isOurs) return;
						reason = this.#taken();
						redis.disconnect();
					},
					() => {}, // the connection's end is heard of above
				);
			};
			const renewal = setInterval(renew, RENEW_MS);
			return { redis, token, renewal };
		} catch (error) {
			redis.disconnect();
			throw error instanceof GearmanError ? error : (reason ?? error);
		}
	}

	async takeOver({ redis, token }: Session): Promise<void> {
		await this.#keys.takeOver(redis, token);
		this.#reserved = await this.#keys.readNumbers(redis);
	}

	async commit({ redis, token }: Session, batch: Batch): Promise<void> {
		if (!(await this.#keys.change(redis, token, batch))) throw this.#taken();
	}

	async disconnect({ redis, token, renewal }: Session): Promise<void> {
		clearInterval(renewal);
		await this.#keys.unlock(redis, token);
		await redis.quit();
	}

	destroy({ redis, renewal }: Session): void {
		clearInterval(renewal);
		redis.disconnect();
	}

	/** Waits for the lock of a server that has died; one that is alive renews it meanwhile. */
	async #lock(redis: Redis, token: string): Promise<void> {
		let leftMs = Number.POSITIVE_INFINITY;
		while (!(await this.#keys.lock(redis, token, this.#token))) {
			const nowLeftMs = await this.#keys.lockLeftMs(redis);
			if (nowLeftMs > leftMs) throw this.#taken();
			leftMs = nowLeftMs;
			await sleep(POLL_MS);
		}
	}

	#taken(): GearmanError {
		return new GearmanError("STORE_FAILED", `another job server uses the keys ${this.#keys.prefix}* of ${this.name}`);
	}
}

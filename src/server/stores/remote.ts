// What the stores on other servers share: one connection that comes back by itself, and batches folded to what is left to
// do. When the connection breaks during a commit nobody knows whether that happened; its jobs have been refused, so their
// handles are kept until they are deleted. Used by postgres.ts, mysql.ts, redis.ts and memcached.ts.

import { setTimeout as sleep } from "node:timers/promises";
import { GearmanError } from "../../errors.ts";
import { reasonOf } from "../../reason.ts";
import { type Batch, fold } from "./batch.ts";
import type { Change } from "./index.ts";

/** What a kind of server has to be able to do. Connections are `C`. */
export interface Backend<C> {
	/** As errors name it: "PostgreSQL at 127.0.0.1:5432". */
	readonly name: string;
	/**
	 * Connects and takes the lock; leaves nothing open when it rejects. `lost` is for a connection that ends by itself; when
	 * `signal` is aborted nobody waits any longer, and what is open is to be cut off.
	 */
	connect(lost: (error: unknown) => void, signal: AbortSignal): Promise<C>;
	/** Once, on the first connection: makes the jobs gearmand left ours. May take long. */
	takeOver(connection: C): Promise<void>;
	/** One transaction: all or none, durable when it resolves. */
	commit(connection: C, batch: Batch): Promise<void>;
	/** Gives the lock back and says goodbye. */
	disconnect(connection: C): Promise<void>;
	/** Cuts the connection off: no answer is to be expected from it. */
	destroy(connection: C): void;
}

/** How long things may take, in ms. */
export interface Patience {
	/** A server that does not answer for so long is gone. */
	readonly answerMs: number;
	/** Connecting, the wait for the lock of a job server that has just died included. */
	readonly connectMs: number;
	/** What is under way when the store is closed, and saying goodbye. */
	readonly closeMs: number;
}

const PATIENCE: Patience = { answerMs: 60_000, connectMs: 15_000, closeMs: 5000 };
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 1000;

export class Remote<C> {
	readonly #backend: Backend<C>;
	readonly #patience: Patience;
	readonly #closing = new AbortController();
	#connection: C | undefined;
	#lastError: unknown;
	#reconnecting: Promise<void> = Promise.resolve();
	/** The end of the queue for the connection. */
	#turn: Promise<unknown> = Promise.resolve();
	/** Handles of jobs in batches that failed. They may have been committed all the same, though nobody was told so. */
	readonly #refused = new Set<string>();
	/** The last number reserved, and whether the server at the other end knows of it: memcached forgets when it restarts. */
	#reserved = 0;
	#isTold = true;

	constructor(backend: Backend<C>, patience: Patience = PATIENCE) {
		this.#backend = backend;
		this.#patience = patience;
	}

	/** The first connection; when that fails, so does the start. */
	async open(): Promise<void> {
		try {
			const connection = await this.#connect();
			try {
				await this.#backend.takeOver(connection);
			} catch (error) {
				this.#closing.abort(); // it is not to connect again
				this.#backend.destroy(connection);
				throw error;
			}
		} catch (error) {
			throw this.#failure(error);
		}
	}

	/** Something to do with the connection, when those before are done. Rejects with STORE_FAILED. */
	use<T>(work: (connection: C) => Promise<T>): Promise<T> {
		const turn = this.#turn.then(() => this.#run(work));
		this.#turn = turn.catch(() => {});
		return turn;
	}

	/** As use(), but waits for the connection and begins again when it is lost. */
	async useWhenUp<T>(work: (connection: C) => Promise<T>): Promise<T> {
		for (;;) {
			await this.#reconnecting;
			const connection = this.#connection;
			try {
				return await this.use(work);
			} catch (error) {
				await sleep(FIRST_WAIT_MS); // a query may hear of it before the connection does
				if (this.#connection === connection || this.#closing.signal.aborted) throw error;
			}
		}
	}

	/** One batch. */
	write(changes: readonly Change[]): Promise<void> {
		const batch = fold(changes);
		this.#reserved = Math.max(this.#reserved, batch.reserved);
		return this.use(async (connection) => {
			await this.#forget(connection);
			try {
				await this.#backend.commit(connection, { ...batch, reserved: this.#isTold ? batch.reserved : this.#reserved });
				this.#isTold = true;
			} catch (error) {
				if (!isRefusal(error)) for (const { handle } of batch.adds) this.#refused.add(handle);
				throw error;
			}
		});
	}

	async close(): Promise<void> {
		this.#closing.abort();
		await this.#reconnecting;
		await this.use((connection) => this.#forget(connection)).catch(() => {}); // nothing more can be done
		const connection = this.#connection;
		this.#connection = undefined;
		if (connection === undefined) return;
		try {
			await this.#inTime(this.#backend.disconnect(connection), this.#patience.closeMs, () =>
				this.#backend.destroy(connection),
			);
		} catch {
			// Gone already: there is nothing more to do for it.
		}
	}

	async #connect(): Promise<C> {
		let isLost = false;
		let connection: C | undefined;
		const lost = (error: unknown): void => {
			if (error !== undefined || !isLost) this.#lastError = error;
			isLost = true;
			if (this.#connection === undefined || this.#connection !== connection) return;
			this.#backend.destroy(connection);
			this.#connection = undefined;
			this.#reconnecting = this.#reconnect();
		};
		const abort = new AbortController();
		const connecting = this.#backend.connect(lost, abort.signal);
		connecting.catch(() => {}); // it may reject when it has been given up
		connection = await this.#inTime(connecting, this.#patience.connectMs, () => abort.abort());
		if (isLost) {
			this.#backend.destroy(connection);
			throw this.#lastError;
		}
		this.#connection = connection;
		return connection;
	}

	async #reconnect(): Promise<void> {
		const { signal } = this.#closing;
		for (let waitMs = FIRST_WAIT_MS; !signal.aborted; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
			try {
				// Not all at the same time, where several job servers share one database server.
				await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal });
				await this.#connect();
				break;
			} catch (error) {
				if (!signal.aborted) this.#lastError = error;
			}
		}
		this.#isTold = false;
		if (!signal.aborted) this.write([]).catch(() => {}); // the next batch tries again
	}

	/** Deletes what failed batches may have added all the same. */
	async #forget(connection: C): Promise<void> {
		if (this.#refused.size === 0) return;
		await this.#backend.commit(connection, { adds: [], retries: [], removes: [...this.#refused], reserved: 0 });
		this.#refused.clear();
	}

	async #run<T>(work: (connection: C) => Promise<T>): Promise<T> {
		const connection = this.#connection;
		if (connection === undefined) throw this.#failure(this.#lastError);
		try {
			return await this.#inTime(work(connection), this.#patience.answerMs, () => this.#backend.destroy(connection));
		} catch (error) {
			throw this.#failure(error);
		}
	}

	/** The promise's result; when that takes too long, less when the store is closed, `giveUp` is called and it rejects. */
	async #inTime<T>(promise: Promise<T>, limitMs: number, giveUp: () => void): Promise<T> {
		const { signal } = this.#closing;
		const { closeMs } = this.#patience;
		let timer: NodeJS.Timeout | undefined;
		let hurry = (): void => {};
		const late = new Promise<never>((_, reject) => {
			const wait = (ms: number): void => {
				clearTimeout(timer);
				timer = setTimeout(() => {
					giveUp();
					reject(new Error(`no answer for ${ms / 1000} seconds`));
				}, ms);
			};
			wait(signal.aborted ? Math.min(closeMs, limitMs) : limitMs);
			hurry = () => wait(closeMs);
		});
		signal.addEventListener("abort", hurry, { once: true });
		try {
			return await Promise.race([promise, late]);
		} finally {
			signal.removeEventListener("abort", hurry);
			clearTimeout(timer);
		}
	}

	#failure(cause: unknown): GearmanError {
		if (cause instanceof GearmanError) return cause;
		return new GearmanError("STORE_FAILED", `${this.#backend.name}: ${sentenceOf(cause)}`, { cause });
	}
}

/** What an npm package that may not be installed exports. */
export async function loadDriver<T>(name: string, load: () => Promise<T>): Promise<T> {
	try {
		return await load();
	} catch (error) {
		if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) throw error;
		throw new GearmanError("STORE_FAILED", `This store needs the npm package ${name}: npm install ${name}`, {
			cause: error,
		});
	}
}

/**
 * gearmand joins function and unique by "-", which both may contain. A UUID, which its clients make where they are given
 * no unique, is recognised; else the first one counts, as it does in gearmand.
 */
export function splitOldName(name: string): [functionName: string, unique: string] {
	const at = /-[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.exec(name)?.index ?? name.indexOf("-");
	return at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at + 1)];
}

/** The server's own no, in the words of pg, mysql2 or ioredis: nothing of the batch is there. */
function isRefusal(error: unknown): boolean {
	if (!(error instanceof Error)) return false;
	if ("severity" in error) return error.severity === "ERROR";
	if ("sqlState" in error) return !/^(08|HY)/.test(String(error.sqlState)); // these are about the connection
	return error instanceof GearmanError || error.name === "ReplyError";
}

function sentenceOf(error: unknown): string {
	if (error === undefined) return "the connection is lost";
	return reasonOf(error).replace(/\s+/g, " ") || String(error);
}

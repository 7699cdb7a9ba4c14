// What a persistent queue has to do, and the names of those there are. The job table stays in memory; a store gives the
// background jobs back after a restart. `memory` is a store like any other: it keeps nothing.

import { createRequire } from "node:module";
import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { GearmanError } from "../../errors.ts";
import { reasonOf } from "../../reason.ts";

/** A background job as a store keeps it. Names are latin1 strings of their bytes, as on the wire. */
export interface StoredJob {
	/** `PREFIX:NUMBER`, unique over all runs. */
	readonly handle: string;
	readonly functionName: string;
	/** At most 64 bytes; several jobs may have the same, or none (""). */
	readonly unique: string;
	readonly workload: Buffer;
	/** 0 HIGH, 1 NORMAL, 2 LOW. */
	readonly priority: number;
	/** Not before this time, ms since 1970; 0: now. */
	readonly dueMs: number;
	readonly reducer: string | undefined;
	/** Assignments lost so far. */
	readonly retries: number;
	/** ms since 1970. */
	readonly submittedMs: number;
}

/** One thing to make durable. */
export type Change =
	| { readonly kind: "add"; readonly job: StoredJob }
	/** The job's `retries` has grown. A store may drop it: the count then starts again from an earlier one. */
	| { readonly kind: "retry"; readonly job: StoredJob }
	| { readonly kind: "remove"; readonly job: StoredJob }
	/** Handle numbers up to this one may be in use: the next run begins behind it. */
	| { readonly kind: "reserve"; readonly number: number };

/** What a store tells of itself. */
export interface StoreInfo {
	/** As for --queue-type. */
	readonly name: string;
	/** Where it keeps jobs, for people: a path, or an address without passwords. */
	readonly place?: string;
	/** What that takes, where it is known without asking somebody else. */
	readonly bytes?: number;
}

/** A persistent queue. */
export interface Store {
	/** True: there is nothing to wait for. A job can be grabbed at once, and write() is not called. */
	readonly keepsNothing?: boolean;
	/** Connects; creates what is missing. Resolves to the last number reserved. Throws GearmanError STORE_FAILED. */
	open(): Promise<number>;
	/** All that is left from the last run, oldest first; called once, and batches may be written meanwhile. */
	replay(): AsyncIterable<StoredJob>;
	/** One batch, in order, all or none. Durable when it returns, or when the promise it returns settles. */
	write(changes: readonly Change[]): void | Promise<void>;
	/** Why it can never take this job (too large), in a sentence; undefined: it can. The job is then not written. */
	refusal?(job: StoredJob): string | undefined;
	/** At any time, at once, whatever the store is doing. */
	info?(): StoreInfo;
	close(): Promise<void>;
}

/** What a store is told of the server it is for. */
export interface StoreOptions {
	/** The port it listens on: stores of two servers on one machine are kept apart by it. */
	readonly port: number;
	/** The options of all stores, by their names at the command line. */
	readonly options: Readonly<Record<string, string | undefined>>;
}

type Load = (options: StoreOptions) => Promise<Store>;

/** Name → how to load it. A store is loaded only when it is chosen. */
const registry: Record<string, Load> = {
	memory: async () => new (await import("./memory.ts")).MemoryStore(),
	sqlite: async (options) => new (await import("./sqlite.ts")).SqliteStore(options),
	file: async (options) => new (await import("./file.ts")).FileStore(options),
	postgres: async (options) => new (await import("./postgres.ts")).PostgresStore(options),
	mysql: async (options) => new (await import("./mysql.ts")).MysqlStore(options),
	redis: async (options) => new (await import("./redis.ts")).RedisStore(options),
	memcached: async (options) => new (await import("./memcached.ts")).MemcachedStore(options),
};

/** Other names of stores: gearmand's modules. */
const aliases: Record<string, string> = {
	builtin: "memory",
	libsqlite3: "sqlite",
	libpq: "postgres",
	libdrizzle: "mysql",
	drizzle: "mysql",
	libmemcached: "memcached",
};

/** True for a store whose files are in the state directory. */
export function keepsFiles(name: string): boolean {
	return ["sqlite", "file"].includes(plainName(name));
}

/**
 * The store of that name, not opened. What looks like a path or a package is imported: a module whose default export is a
 * function of StoreOptions that returns a Store. Throws a GearmanError when there is none.
 */
export async function loadStore(name: string, options: StoreOptions): Promise<Store> {
	const plain = plainName(name);
	const load = Object.hasOwn(registry, plain) ? registry[plain] : undefined;
	if (load === undefined && !/[./@]/.test(name)) {
		const names = Object.keys(registry).join(", ");
		const known = `it is one of ${names}, or a module's path or package`;
		throw new GearmanError("BAD_ARGUMENT", `Error while initializing the queue : ${name}: ${known}`);
	}
	const store = load === undefined ? await importStore(name, options) : await load(options);
	if (options.options["store-queue-on-shutdown"] !== "true") return store;
	return new (await import("./at-shutdown.ts")).AtShutdownStore(store);
}

/** Case does not count. */
function plainName(name: string): string {
	const lower = name.toLowerCase();
	return Object.hasOwn(aliases, lower) ? aliases[lower] : lower;
}

/** Paths are those of the working directory; packages are looked for there, then beside this one. */
async function importStore(name: string, options: StoreOptions): Promise<Store> {
	const here = createRequire(join(process.cwd(), "package.json"));
	const isPath = isAbsolute(name) || name.startsWith(".");
	try {
		const module = await import(isPath ? pathToFileURL(resolve(name)).href : find(here, name));
		return await module.default(options);
	} catch (error) {
		if (error instanceof GearmanError) throw error;
		const isMissing = error instanceof Error && "code" in error && /^(ERR_)?MODULE_NOT_FOUND$/.test(String(error.code));
		const reason =
			isMissing && error.message.includes(isPath ? resolve(name) : name) ? "there is no such module" : reasonOf(error);
		throw new GearmanError("STORE_FAILED", `the store ${name} cannot be loaded: ${reason}`, { cause: error });
	}
}

function find(here: NodeJS.Require, name: string): string {
	try {
		return pathToFileURL(here.resolve(name)).href;
	} catch {
		return name;
	}
}

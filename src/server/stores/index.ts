// What a persistent queue has to do, and the names of those there are. The job table stays in memory; a store gives the
// background jobs back after a restart. `memory` is a store like any other: it keeps nothing.

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

/** A persistent queue. */
export interface Store {
	/** Connects; creates what is missing. Resolves to the last number reserved. Throws GearmanError STORE_FAILED. */
	open(): Promise<number>;
	/** All that is left from the last run, oldest first; called once, and batches may be written meanwhile. */
	replay(): AsyncIterable<StoredJob>;
	/** One batch, in order, all or none. Durable when it returns, or when the promise it returns settles. */
	write(changes: readonly Change[]): void | Promise<void>;
	close(): Promise<void>;
}

/** What a store is told of the server it is for. */
export interface StoreOptions {
	/** The port it listens on: stores of two servers on one machine are kept apart by it. */
	readonly port: number;
	/** The options of all stores, by their names at the command line. */
	readonly options: Readonly<Record<string, string | undefined>>;
}

/** Name → how to load it. A store is loaded only when it is chosen. */
const registry: Record<string, (options: StoreOptions) => Promise<Store>> = {
	memory: async () => new (await import("./memory.ts")).MemoryStore(),
};

/** Other names of stores, as gearmand has them. */
const aliases: Record<string, string> = { builtin: "memory" };

/** The store of that name (case ignored), not opened; `undefined` when there is none. */
export async function loadStore(name: string, options: StoreOptions): Promise<Store | undefined> {
	const lower = name.toLowerCase();
	return registry[aliases[lower] ?? lower]?.(options);
}

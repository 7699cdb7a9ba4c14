// What a persistent queue has to do, and the names of those there are. The job table stays in memory; a store gives the
// background jobs back after a restart. `memory` is a store like any other: it keeps nothing.

import type { Job } from "../job.ts";

/** A job as a store gives it back. */
export interface StoredJob {
	readonly handle: string;
	readonly functionName: string;
	readonly unique: string;
	readonly workload: Buffer;
	readonly priority: number;
	/** Not before this time, ms since 1970; 0: now. */
	readonly timeMs: number;
	readonly reducer: string | undefined;
	readonly retries: number;
}

/** One thing to make durable. */
export interface Change {
	readonly kind: "add" | "remove";
	readonly job: Job;
}

/** A persistent queue. */
export interface Store {
	/** Connects; creates what is missing; throws GearmanError STORE_FAILED. */
	open(): Promise<void>;
	/** All that is left from the last run, oldest first; called once. */
	replay(): AsyncIterable<StoredJob>;
	/** One batch, in order, all or none. Durable when it returns, or when the promise it returns settles. */
	write(changes: readonly Change[]): void | Promise<void>;
	close(): Promise<void>;
}

/** Name → how to load it. A store is loaded only when it is chosen. */
const registry: Record<string, () => Promise<Store>> = {
	memory: async () => new (await import("./memory.ts")).MemoryStore(),
};

/** Other names of stores, as gearmand has them. */
const aliases: Record<string, string> = { builtin: "memory" };

/** The store of that name (case ignored), not opened; `undefined` when there is none. */
export async function loadStore(name: string): Promise<Store | undefined> {
	const lower = name.toLowerCase();
	return registry[aliases[lower] ?? lower]?.();
}

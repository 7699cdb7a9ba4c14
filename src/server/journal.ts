// Commit, then answer. Gathers what one turn of the event loop changed about background jobs, has the store commit it in
// one batch, and only then releases what waited for it. While a batch is being written the next one gathers, so a slow
// store is asked less often, never for less. Used by commands.ts and server.ts.
//
// A batch the store refuses: its submits are answered QUEUE_ERROR and queued nowhere. What is over is kept, and goes in
// front of the next batch, or alone after RETRY_MS: a job that is done must not run again after a restart.

import type { Job } from "./job.ts";
import type { StoreMetrics } from "./metrics.ts";
import type { Change, Store } from "./stores/index.ts";

/** Something that waits for a job to be durable. */
export interface Waiter {
	/** The job is in the store. Called once. */
	committed(job: Job): void;
	/** It is not, and will not be. Called once. */
	refused(job: Job): void;
}

/** A change whose job is the table's own. */
type JobChange = Exclude<Change, { job: unknown }> | { readonly kind: "add" | "retry" | "remove"; readonly job: Job };

/** What a journal tells its owner. */
export interface JournalEvents {
	/** There is something to write: flush() is wanted at the end of the turn. */
	pending(): void;
	/** The store has begun to fail. */
	failing(error: unknown): void;
	/** It works again. */
	recovered(): void;
}

/** Handle numbers reserved at a time. A restart skips what is left of them. */
const RESERVE = 1_000_000;
/** A batch ends with the change that passes one of these: what comes behind is not to wait for too much. */
const BATCH_CHANGES = 10_000;
const BATCH_BYTES = 16 << 20;
/** How long after a failure the store is asked again when nobody submits. */
const RETRY_MS = 1000;

export class Journal {
	readonly #store: Store;
	readonly #metrics: StoreMetrics;
	readonly #events: JournalEvents;
	#next: JobChange[] = [];
	/** Of batches that were refused: what is to be written all the same. */
	#kept: JobChange[] = [];
	#retry: NodeJS.Timeout | undefined;
	#isFailing = false;
	#writing: Promise<void> | undefined;
	#reserved: number;

	constructor(store: Store, lastReserved: number, metrics: StoreMetrics, events: JournalEvents) {
		this.#store = store;
		this.#reserved = lastReserved;
		this.#metrics = metrics;
		this.#events = events;
	}

	/** The last batch was refused, and none was taken since. */
	get isFailing(): boolean {
		return this.#isFailing;
	}

	/** Nothing is kept: what waits for a commit need not. */
	get keepsNothing(): boolean {
		return this.#store.keepsNothing === true;
	}

	/** The job is to be kept; the waiter hears when it is, and so do those that ask while it is not yet. */
	add(job: Job, waiter: Waiter): void {
		if (this.#store.keepsNothing) waiter.committed(job);
		else if (job.waiters !== undefined) job.waiters.push(waiter);
		else if (job.isStored) waiter.committed(job);
		else {
			job.isStored = true;
			job.waiters = [waiter];
			this.#change({ kind: "add", job });
		}
	}

	/** The job has lost an assignment. Nobody waits for that to be kept. */
	retry(job: Job): void {
		this.#change({ kind: "retry", job });
	}

	/**
	 * Handles up to this number are in use. Numbers are reserved far ahead, so that a handle is never given to a client
	 * before the store knows that it may be.
	 */
	used(number: number): void {
		if (this.#store.keepsNothing || number + RESERVE / 2 <= this.#reserved) return;
		this.#reserved = number + RESERVE;
		this.#change({ kind: "reserve", number: this.#reserved });
	}

	/** The job is done: it is to be forgotten. */
	remove(job: Job): void {
		job.isStored = false;
		this.#change({ kind: "remove", job });
	}

	/** End of turn: writes what was gathered, unless a batch is still on its way; then that one's end does it. */
	flush(): void {
		while (this.#writing === undefined && this.#next.length > 0) {
			const changes = this.#takeBatch();
			const startMs = performance.now();
			let written: void | Promise<void>;
			try {
				written = this.#store.write(changes);
			} catch (error) {
				this.#refuse(changes, error, startMs);
				continue;
			}
			if (written === undefined) this.#commit(changes, startMs);
			else this.#writing = this.#settle(changes, written, startMs);
		}
	}

	/** Resolves when everything gathered so far has been written or refused; what was refused before is tried once more. */
	async drain(): Promise<void> {
		this.#tryAgain();
		this.flush();
		while (this.#writing !== undefined) await this.#writing;
		clearTimeout(this.#retry);
	}

	#change(change: JobChange): void {
		this.#next.push(change);
		this.#events.pending();
	}

	/** The next changes, in order, at most one more than fit in a batch. */
	#takeBatch(): JobChange[] {
		this.#tryAgain();
		const next = this.#next;
		let bytes = 0;
		let count = 0;
		while (count < next.length && count < BATCH_CHANGES && bytes < BATCH_BYTES) {
			const change = next[count++];
			if (change.kind === "add") bytes += change.job.workload.length;
		}
		this.#metrics.changes += count;
		this.#metrics.bytes += bytes;
		this.#next = count === next.length ? [] : next.splice(count);
		return next;
	}

	/** What was kept is older than what was gathered since. */
	#tryAgain(): void {
		if (this.#kept.length === 0) return;
		clearTimeout(this.#retry);
		this.#next = this.#kept.concat(this.#next);
		this.#kept = [];
	}

	async #settle(changes: readonly JobChange[], written: Promise<void>, startMs: number): Promise<void> {
		try {
			await written;
			this.#commit(changes, startMs);
		} catch (error) {
			this.#refuse(changes, error, startMs);
		}
		this.#writing = undefined;
		this.flush();
	}

	#commit(changes: readonly JobChange[], startMs: number): void {
		this.#metrics.time.observe(performance.now() - startMs);
		if (this.#isFailing) {
			this.#isFailing = false;
			this.#events.recovered();
		}
		for (const change of changes) {
			if (change.kind === "add") for (const waiter of takeWaiters(change.job)) waiter.committed(change.job);
		}
	}

	#refuse(changes: readonly JobChange[], error: unknown, startMs: number): void {
		this.#metrics.failures++;
		this.#metrics.time.observe(performance.now() - startMs);
		if (!this.#isFailing) {
			this.#isFailing = true;
			this.#events.failing(error);
		}
		for (const change of changes) {
			if (change.kind === "add") for (const waiter of takeWaiters(change.job)) waiter.refused(change.job);
		}
		this.#keep(changes);
	}

	/** Removals and the last number reserved; a lost assignment too few is no harm. */
	#keep(changes: readonly JobChange[]): void {
		const added = new Set<Job>();
		for (const change of changes) {
			if (change.kind === "add") added.add(change.job);
			else if (change.kind === "remove" && !added.has(change.job)) this.#kept.push(change);
		}
		const reserve = changes.findLast((change) => change.kind === "reserve");
		if (reserve !== undefined) this.#kept.push(reserve);
		// Nothing to write is no reason not to ask: whoever waits until the store works again may not submit before.
		if (this.#kept.length === 0) this.#kept.push({ kind: "reserve", number: this.#reserved });
		this.#retry = setTimeout(() => {
			this.#tryAgain();
			this.#events.pending();
		}, RETRY_MS).unref();
	}
}

function takeWaiters(job: Job): readonly Waiter[] {
	const waiters = job.waiters ?? [];
	job.waiters = undefined;
	return waiters;
}

// Commit, then answer. Gathers what one turn of the event loop changed about background jobs, has the store commit it in
// one batch, and only then releases what waited for it. While a batch is being written the next one gathers, so a slow
// store is asked less often, never for less. Used by commands.ts and server.ts.
//
// A batch the store refuses: its submits are answered QUEUE_ERROR and queued nowhere. What is over is kept, and goes in
// front of the next batch: a job that is done must not run again after a restart. A store that has refused two batches in a
// row is asked again when somebody submits, or after RETRY_MS; until then nobody waits for it.
//
// A job the store can never take is refused before it is in a batch: the others of that batch are none the worse for it.

import { holdFrame } from "../protocol/frames.ts";
import type { Job, Waiter } from "./job.ts";
import type { StoreMetrics } from "./metrics.ts";
import type { Change, Store } from "./stores/index.ts";

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
	/** The store cannot take this job, now or ever. */
	unfit(job: Job, reason: string): void;
}

/** A batch that the store has taken. */
export interface Commit {
	/** When it was there, ms since 1970, and how long that took. */
	readonly atMs: number;
	readonly durationMs: number;
	readonly changes: number;
	/** Of the workloads added. */
	readonly bytes: number;
}

/** Handle numbers reserved at a time. A restart skips what is left of them. */
const RESERVE = 1_000_000;
/**
 * A batch ends with the change that passes one of these: what comes behind is not to wait for too much, nor are those who
 * have nothing to do with the store, while it is made or its answers are given.
 */
const BATCH_CHANGES = 500;
const BATCH_BYTES = 16 << 20;
/** Answered at a time: others have their turn in between. */
const ANSWERS = 200;
/** How long after a failure the store is asked again when nobody submits. */
const RETRY_MS = 1000;

export class Journal {
	/** Jobs in the store, as far as they have been replayed. */
	kept = 0;
	lastCommit: Commit | undefined;
	readonly #store: Store;
	readonly #metrics: StoreMetrics;
	readonly #events: JournalEvents;
	/** Changes to be written, from #first on. */
	#next: JobChange[] = [];
	#first = 0;
	/** Of batches that were refused: what is to be written all the same. */
	#kept: JobChange[] = [];
	#retry: NodeJS.Timeout | undefined;
	#isFailing = false;
	/** A store that fails is to be asked again. */
	#isAsked = false;
	#writing: Promise<void> | undefined;
	/** Of the batch that is being written. */
	#startedMs = 0;
	#bytes = 0;
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
			const reason = this.#store.refusal?.(job);
			if (reason !== undefined) {
				this.#events.unfit(job, reason);
				waiter.refused(job);
				return;
			}
			job.isStored = true;
			// Whatever becomes of the job, the store has its workload until it is written.
			holdFrame(job.workload);
			job.waiters = [waiter];
			this.#isAsked = true;
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
		while (this.#writing === undefined && this.#hasWork) {
			const changes = this.#takeBatch();
			this.#startedMs = performance.now();
			let written: void | Promise<void>;
			try {
				written = this.#store.write(changes);
			} catch (error) {
				this.#refuse(changes, error);
				continue;
			}
			if (written === undefined) {
				this.#count(changes.length);
				this.#answer(changes, 0, changes.length);
			} else this.#writing = this.#settle(changes, written);
		}
	}

	/** Resolves when everything gathered so far has been written or refused; what was refused before is tried once more. */
	async drain(): Promise<void> {
		this.#isAsked = true;
		this.flush();
		while (this.#writing !== undefined) await this.#writing;
		clearTimeout(this.#retry);
	}

	get #hasWork(): boolean {
		if (this.#isFailing && !this.#isAsked) return false;
		return this.#first < this.#next.length || this.#kept.length > 0;
	}

	#change(change: JobChange): void {
		this.#next.push(change);
		this.#events.pending();
	}

	/** The next changes, in order, at most one more than fit in a batch. */
	#takeBatch(): JobChange[] {
		this.#takeKept();
		const next = this.#next;
		const first = this.#first;
		let bytes = 0;
		let end = first;
		while (end < next.length && end - first < BATCH_CHANGES && bytes < BATCH_BYTES) {
			const change = next[end++];
			if (change.kind === "add") bytes += change.job.workload.length;
		}
		this.#bytes = bytes;
		if (end === next.length) {
			this.#next = [];
			this.#first = 0;
			return first === 0 ? next : next.slice(first);
		}
		const batch = next.slice(first, end);
		// Shortened now and then, not with each batch: there may be a million more.
		if (end * 2 > next.length) {
			this.#next = next.slice(end);
			this.#first = 0;
		} else this.#first = end;
		return batch;
	}

	/** What was kept is older than what was gathered since. A batch of it: there may be a million more. */
	#takeKept(): void {
		if (this.#kept.length === 0) return;
		clearTimeout(this.#retry);
		const oldest = this.#kept.splice(0, BATCH_CHANGES);
		this.#next = oldest.concat(this.#first === 0 ? this.#next : this.#next.slice(this.#first));
		this.#first = 0;
	}

	async #settle(changes: readonly JobChange[], written: Promise<void>): Promise<void> {
		try {
			await written;
		} catch (error) {
			this.#refuse(changes, error);
			this.#writing = undefined;
			this.flush();
			return;
		}
		this.#count(changes.length);
		for (let first = 0; first < changes.length; first += ANSWERS) {
			if (first > 0) await new Promise(setImmediate);
			this.#answer(changes, first, Math.min(changes.length, first + ANSWERS));
		}
		this.#writing = undefined;
		this.flush();
	}

	#count(changes: number): void {
		if (this.#isFailing) {
			this.#isFailing = false;
			this.#events.recovered();
		}
		const durationMs = performance.now() - this.#startedMs;
		this.lastCommit = { atMs: Date.now(), durationMs, changes, bytes: this.#bytes };
		this.#metrics.commits++;
		this.#metrics.changes += changes;
		this.#metrics.bytes += this.#bytes;
		this.#metrics.time.observe(durationMs);
	}

	/** Tells those who wait for the changes from `first` up to `end`. */
	#answer(changes: readonly JobChange[], first: number, end: number): void {
		for (let at = first; at < end; at++) {
			const change = changes[at];
			if (change.kind === "remove") this.kept--;
			else if (change.kind === "add") {
				this.kept++;
				for (const waiter of takeWaiters(change.job)) waiter.committed(change.job);
			}
		}
	}

	#refuse(changes: readonly JobChange[], error: unknown): void {
		this.#metrics.failures++;
		this.#metrics.time.observe(performance.now() - this.#startedMs);
		this.#kept = refuseAdds(changes).concat(this.#kept);
		if (!this.#isFailing) {
			this.#isFailing = true;
			this.#events.failing(error);
			// It may have been this batch alone.
			this.#isAsked = this.#first < this.#next.length;
		} else {
			const rest = this.#next.slice(this.#first);
			this.#next = [];
			this.#first = 0;
			this.#isAsked = false;
			this.#kept = this.#kept.concat(refuseAdds(rest));
		}
		// Nothing to write is no reason not to ask: whoever waits until the store works again may not submit before.
		if (this.#kept.length === 0) this.#kept.push({ kind: "reserve", number: this.#reserved });
		clearTimeout(this.#retry);
		this.#retry = setTimeout(() => {
			this.#isAsked = true;
			this.#events.pending();
		}, RETRY_MS).unref();
	}
}

/**
 * Tells those who wait that their jobs are not kept. Returns what is to be written all the same: removals and the last
 * number reserved; a lost assignment too few is no harm.
 */
function refuseAdds(changes: readonly JobChange[]): JobChange[] {
	const added = new Set<Job>();
	const kept: JobChange[] = [];
	for (const change of changes) {
		if (change.kind === "add") {
			added.add(change.job);
			for (const waiter of takeWaiters(change.job)) waiter.refused(change.job);
		} else if (change.kind === "remove" && !added.has(change.job)) kept.push(change);
	}
	const reserve = changes.findLast((change) => change.kind === "reserve");
	if (reserve !== undefined) kept.push(reserve);
	return kept;
}

function takeWaiters(job: Job): readonly Waiter[] {
	const waiters = job.waiters ?? [];
	job.waiters = undefined;
	return waiters;
}

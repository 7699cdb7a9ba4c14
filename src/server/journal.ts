// Commit, then answer. Gathers what one turn of the event loop changed about background jobs, has the store commit it in
// one batch, and only then releases what waited for it. While a batch is being written the next one gathers, so a slow
// store is asked less often, never for less. Used by commands.ts and server.ts.

import type { Job } from "./job.ts";
import type { Change, Store } from "./stores/index.ts";

/** Something that waits for a job to be durable. */
export interface Waiter {
	/** The job is in the store. Called once. */
	committed(job: Job): void;
	/** It is not, and will not be. Called once. */
	refused(job: Job, error: unknown): void;
}

/** A change whose job is the table's own. */
type JobChange = Exclude<Change, { job: unknown }> | { readonly kind: "add" | "retry" | "remove"; readonly job: Job };

/** Handle numbers reserved at a time. A restart skips what is left of them. */
const RESERVE = 1_000_000;

export class Journal {
	readonly #store: Store;
	readonly #onPending: () => void;
	#next: JobChange[] = [];
	#writing: Promise<void> | undefined;
	#reserved: number;

	/** `onPending` is called when there is something to write: flush() is wanted at the end of the turn. */
	constructor(store: Store, lastReserved: number, onPending: () => void) {
		this.#store = store;
		this.#reserved = lastReserved;
		this.#onPending = onPending;
	}

	/** The job is to be kept; the waiter hears when it is, and so do those that ask while it is not yet. */
	add(job: Job, waiter: Waiter): void {
		if (job.waiters !== undefined) job.waiters.push(waiter);
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
		if (number + RESERVE / 2 <= this.#reserved) return;
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
			const changes = this.#next;
			this.#next = [];
			let written: void | Promise<void>;
			try {
				written = this.#store.write(changes);
			} catch (error) {
				refuse(changes, error);
				continue;
			}
			if (written === undefined) commit(changes);
			else this.#writing = this.#settle(changes, written);
		}
	}

	/** Resolves when everything gathered so far has been written or refused. */
	async drain(): Promise<void> {
		this.flush();
		while (this.#writing !== undefined) await this.#writing;
	}

	#change(change: JobChange): void {
		this.#next.push(change);
		this.#onPending();
	}

	async #settle(changes: readonly JobChange[], written: Promise<void>): Promise<void> {
		try {
			await written;
			commit(changes);
		} catch (error) {
			refuse(changes, error);
		}
		this.#writing = undefined;
		this.flush();
	}
}

function commit(changes: readonly JobChange[]): void {
	for (const change of changes) {
		if (change.kind === "add") for (const waiter of takeWaiters(change.job)) waiter.committed(change.job);
	}
}

function refuse(changes: readonly JobChange[], error: unknown): void {
	for (const change of changes) {
		if (change.kind === "add") for (const waiter of takeWaiters(change.job)) waiter.refused(change.job, error);
	}
}

function takeWaiters(job: Job): readonly Waiter[] {
	const waiters = job.waiters ?? [];
	job.waiters = undefined;
	return waiters;
}

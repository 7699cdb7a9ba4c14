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

export class Journal {
	readonly #store: Store;
	readonly #onPending: () => void;
	#next: Change[] = [];
	#writing: Promise<void> | undefined;

	/** `onPending` is called when there is something to write: flush() is wanted at the end of the turn. */
	constructor(store: Store, onPending: () => void) {
		this.#store = store;
		this.#onPending = onPending;
	}

	/** The job is to be kept; the waiter hears when it is, and so do those that ask while it is not yet. */
	add(job: Job, waiter: Waiter): void {
		if (job.waiters !== undefined) job.waiters.push(waiter);
		else if (job.isStored) waiter.committed(job);
		else {
			job.isStored = true;
			job.waiters = [waiter];
			this.#change("add", job);
		}
	}

	/** The job is done: it is to be forgotten. */
	remove(job: Job): void {
		job.isStored = false;
		this.#change("remove", job);
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

	#change(kind: Change["kind"], job: Job): void {
		this.#next.push({ kind, job });
		this.#onPending();
	}

	async #settle(changes: Change[], written: Promise<void>): Promise<void> {
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

function commit(changes: readonly Change[]): void {
	for (const { kind, job } of changes) if (kind === "add") for (const waiter of takeWaiters(job)) waiter.committed(job);
}

function refuse(changes: readonly Change[], error: unknown): void {
	for (const { kind, job } of changes) {
		if (kind === "add") for (const waiter of takeWaiters(job)) waiter.refused(job, error);
	}
}

function takeWaiters(job: Job): readonly Waiter[] {
	const waiters = job.waiters ?? [];
	job.waiters = undefined;
	return waiters;
}

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

interface Batch {
	readonly changes: Change[];
	readonly jobs: Job[];
	readonly waiters: Waiter[];
}

export class Journal {
	readonly #store: Store;
	readonly #onPending: () => void;
	#next: Batch = { changes: [], jobs: [], waiters: [] };
	#writing: Promise<void> | undefined;

	/** `onPending` is called when there is something to write: flush() is wanted at the end of the turn. */
	constructor(store: Store, onPending: () => void) {
		this.#store = store;
		this.#onPending = onPending;
	}

	/** The job is to be kept; the waiter hears when it is. */
	add(job: Job, waiter: Waiter): void {
		job.isStored = true;
		this.#next.changes.push({ kind: "add", job });
		this.wait(job, waiter);
	}

	/** The waiter hears when a job that was added before is kept. */
	wait(job: Job, waiter: Waiter): void {
		this.#next.jobs.push(job);
		this.#next.waiters.push(waiter);
		this.#onPending();
	}

	/** The job is done: it is to be forgotten. */
	remove(job: Job): void {
		job.isStored = false;
		this.#next.changes.push({ kind: "remove", job });
		this.#onPending();
	}

	/** End of turn: writes what was gathered, unless a batch is still on its way; then that one's end does it. */
	flush(): void {
		while (this.#writing === undefined && (this.#next.changes.length > 0 || this.#next.jobs.length > 0)) {
			const batch = this.#next;
			this.#next = { changes: [], jobs: [], waiters: [] };
			let written: void | Promise<void>;
			try {
				written = this.#store.write(batch.changes);
			} catch (error) {
				refuse(batch, error);
				continue;
			}
			if (written === undefined) commit(batch);
			else this.#writing = this.#settle(batch, written);
		}
	}

	/** Resolves when everything gathered so far has been written or refused. */
	async drain(): Promise<void> {
		this.flush();
		while (this.#writing !== undefined) await this.#writing;
	}

	async #settle(batch: Batch, written: Promise<void>): Promise<void> {
		try {
			await written;
			commit(batch);
		} catch (error) {
			refuse(batch, error);
		}
		this.#writing = undefined;
		this.flush();
	}
}

function commit(batch: Batch): void {
	for (let i = 0; i < batch.jobs.length; i++) batch.waiters[i].committed(batch.jobs[i]);
}

function refuse(batch: Batch, error: unknown): void {
	for (let i = 0; i < batch.jobs.length; i++) batch.waiters[i].refused(batch.jobs[i], error);
}

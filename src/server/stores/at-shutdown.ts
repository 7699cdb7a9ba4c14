// --store-queue-on-shutdown: nothing is written while jobs come and go; what is still there at a clean shutdown is given
// to the store then. After a crash, jobs of that run are gone. Jobs the store gave back are removed from it as they end.

import type { Change, Store, StoredJob, StoreInfo } from "./index.ts";

/** Jobs written at a time. */
const BATCH = 1000;

export class AtShutdownStore implements Store {
	readonly #store: Store;
	/** Jobs of this run, by handle, oldest first. */
	readonly #jobs = new Map<string, StoredJob>();

	constructor(store: Store) {
		this.#store = store;
	}

	open(): Promise<number> {
		return this.#store.open();
	}

	replay(): AsyncIterable<StoredJob> {
		return this.#store.replay();
	}

	write(changes: readonly Change[]): void | Promise<void> {
		const others = changes.filter((change) => change.kind !== "add" && !this.#isOurs(change));
		const written = others.length === 0 ? undefined : this.#store.write(others);
		if (written === undefined) return this.#note(changes);
		return written.then(() => this.#note(changes));
	}

	refusal(job: StoredJob): string | undefined {
		return this.#store.refusal?.(job);
	}

	info(): StoreInfo {
		const info = this.#store.info?.() ?? { name: "own" };
		return { ...info, name: `${info.name}, at shutdown` };
	}

	async close(): Promise<void> {
		try {
			const jobs = [...this.#jobs.values()];
			for (let i = 0; i < jobs.length; i += BATCH) {
				await this.#store.write(jobs.slice(i, i + BATCH).map((job) => ({ kind: "add", job })));
			}
		} finally {
			await this.#store.close();
		}
	}

	#isOurs(change: Change): boolean {
		return change.kind !== "reserve" && this.#jobs.has(change.job.handle);
	}

	#note(changes: readonly Change[]): void {
		for (const change of changes) {
			if (change.kind === "add") this.#jobs.set(change.job.handle, change.job);
			else if (change.kind === "remove") this.#jobs.delete(change.job.handle);
		}
	}
}

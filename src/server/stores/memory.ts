// Keeps nothing: what is queued lives in the job table, and ends with the process.

import type { Change, Store, StoredJob, StoreInfo } from "./index.ts";

export class MemoryStore implements Store {
	readonly keepsNothing = true;

	async open(): Promise<number> {
		return 0;
	}

	async *replay(): AsyncGenerator<StoredJob> {}

	write(_changes: readonly Change[]): void {}

	info(): StoreInfo {
		return { name: "memory" };
	}

	async close(): Promise<void> {}
}

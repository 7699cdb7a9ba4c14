// What one batch of changes comes to, for stores that write it in one transaction. Used by remote.ts and its stores.

import type { Change, StoredJob } from "./index.ts";

/** What one transaction has to do. No handle is in two of its parts. */
export interface Batch {
	readonly adds: readonly StoredJob[];
	/** Jobs whose count of lost assignments has grown. */
	readonly retries: readonly StoredJob[];
	/** Handles, whether the server knows them or not. */
	readonly removes: readonly string[];
	/** Numbers up to this one may be in use; 0: nothing new. */
	readonly reserved: number;
}

/** Cuts a list of jobs where the workloads of a part would be over `maxBytes`, or the jobs over `maxCount`. */
export function* partsOf<T>(
	items: readonly T[],
	bytesOf: (item: T) => number,
	maxBytes: number,
	maxCount: number,
): Generator<readonly T[]> {
	let from = 0;
	let bytes = 0;
	for (const [at, item] of items.entries()) {
		const more = bytesOf(item);
		if (at > from && (bytes + more > maxBytes || at - from === maxCount)) {
			yield items.slice(from, at);
			from = at;
			bytes = 0;
		}
		bytes += more;
	}
	if (from < items.length) yield items.slice(from);
}

/** Several changes of one job become the last one. */
export function fold(changes: readonly Change[]): Batch {
	const adds = new Map<string, StoredJob>();
	const retries = new Map<string, StoredJob>();
	const removes = new Set<string>();
	let reserved = 0;
	for (const change of changes) {
		switch (change.kind) {
			case "add":
				removes.delete(change.job.handle);
				adds.set(change.job.handle, change.job);
				break;
			case "retry":
				if (adds.has(change.job.handle)) adds.set(change.job.handle, change.job);
				else retries.set(change.job.handle, change.job);
				break;
			case "remove":
				retries.delete(change.job.handle);
				adds.delete(change.job.handle);
				removes.add(change.job.handle);
				break;
			case "reserve":
				reserved = Math.max(reserved, change.number);
				break;
		}
	}
	return { adds: [...adds.values()], retries: [...retries.values()], removes: [...removes], reserved };
}

/** A name is a string of its bytes, a character each. */
export function bytesOf(name: string): Buffer {
	return Buffer.from(name, "latin1");
}

/** What bytesOf() was given; "" for what is missing. */
export function textOf(bytes: Buffer | undefined): string {
	return bytes?.toString("latin1") ?? "";
}

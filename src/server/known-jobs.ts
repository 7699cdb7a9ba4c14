// The Jobs that can be found, by their handle and by what they coalesce by. Used by jobs.ts, beside the backlog, where those
// that are bytes are found.

import type { FunctionQueue } from "./function-queue.ts";
import type { Job } from "./job.ts";
import { hashOfHandle, hashOfKey, JobIndex } from "./job-index.ts";

export class KnownJobs {
	readonly #byHandle = new JobIndex();
	/** Replayed jobs may share a key; any of them is joined. */
	readonly #byKey = new JobIndex();

	get size(): number {
		return this.#byHandle.size;
	}

	add(job: Job): void {
		this.#byHandle.add(hashOfHandle(job.handle), job);
		if (job.uniqueKey !== "") this.#byKey.add(hashOfKey(job.queue, job.uniqueKey), job);
	}

	delete(job: Job): void {
		this.#byHandle.delete(hashOfHandle(job.handle), job);
		this.deleteKey(job);
	}

	/** Nobody can join it any more. */
	deleteKey(job: Job): void {
		if (job.uniqueKey !== "") this.#byKey.delete(hashOfKey(job.queue, job.uniqueKey), job);
	}

	withHandle(handle: string): Job | undefined {
		const index = this.#byHandle;
		for (let slot = index.first(hashOfHandle(handle)); slot >= 0; slot = index.after(slot)) {
			const job = index.jobAt(slot);
			if (job?.handle === handle) return job;
		}
		return undefined;
	}

	withKey(queue: FunctionQueue, key: string): Job | undefined {
		const index = this.#byKey;
		for (let slot = index.first(hashOfKey(queue, key)); slot >= 0; slot = index.after(slot)) {
			const job = index.jobAt(slot);
			if (job?.queue === queue && job.uniqueKey === key) return job;
		}
		return undefined;
	}

	/** In order of submission. */
	inOrder(): Job[] {
		return this.#byHandle.all().sort((one, other) => numberOf(one) - numberOf(other));
	}
}

function numberOf(job: Job): number {
	return Number(job.handle.slice(job.handle.lastIndexOf(":") + 1)) || 0;
}

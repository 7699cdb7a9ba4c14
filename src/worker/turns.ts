// Who may ask for a job next. One worker has one limit of jobs at once over all its servers, and a GRAB_JOB_ALL that is
// under way counts as a job: so a granted job never has to wait here. Links that want to ask stand in a line, first come
// first served, so that a server with many jobs does not starve the others.

/** Somebody who asks for jobs: a link. */
export interface Asker {
	/** Its turn: it has to ask now, and tell used() or unused() with the answer. */
	ask(): void;
}

export class Turns {
	readonly #line = new Set<Asker>();
	/** Jobs that may still be started now. */
	#free: number;
	/** Jobs that may still be started in all. */
	#left: number;
	#asking = 0;

	constructor(concurrency: number, maxJobs: number) {
		this.#free = concurrency;
		this.#left = maxJobs;
	}

	/** True when as many jobs were started as ever may be. */
	get isSpent(): boolean {
		return this.#left === 0 && this.#asking === 0;
	}

	/** Stands in line; may be called back before it returns. */
	want(asker: Asker): void {
		this.#line.add(asker);
		this.#deal();
	}

	/** Leaves the line. */
	forget(asker: Asker): void {
		this.#line.delete(asker);
	}

	/** A turn brought a job; done() follows when it has ended. */
	used(): void {
		this.#asking--;
	}

	/** A turn brought none, or its answer will never come. */
	unused(): void {
		this.#asking--;
		this.#left++;
		this.#free++;
		this.#deal();
	}

	done(): void {
		this.#free++;
		this.#deal();
	}

	/** No more turns. */
	stop(): void {
		this.#left = Number.NEGATIVE_INFINITY;
		this.#line.clear();
	}

	#deal(): void {
		for (const asker of this.#line) {
			if (this.#free === 0 || this.#left <= 0) return;
			this.#line.delete(asker);
			this.#free--;
			this.#left--;
			this.#asking++;
			asker.ask();
		}
	}
}

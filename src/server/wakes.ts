// Which sleeping worker to wake, and when a wake was in vain. Used by jobs.ts.
//
// A function is owed as many wakes as it has queued jobs. `wakesPending` counts workers woken on its account that have not
// grabbed yet. For every function either wakesPending >= queued, or no capable worker is asleep and unwoken.

import type { FunctionQueue, Worker } from "./function-queue.ts";

/** A worker that slept no longer than this need not have gone to sleep. */
const BRIEF_MS = 1;

export interface WakeEvents {
	/** Tell the worker: by NOOP, or by the answer to its GRAB_JOB. */
	wake(worker: Worker): void;
}

export class Wakes {
	/** When tick() has something to do next, in ms since 1970; Infinity: nothing waits. */
	dueMs = Number.POSITIVE_INFINITY;
	readonly #events: WakeEvents;
	/** Sleeping workers woken for each queued job; 0: all; undefined: as many as needed. */
	readonly #wakeups: number | undefined;
	readonly #timeoutMs: number;
	/** Workers woken since tick() last looked through them. */
	#woken: Worker[] = [];

	constructor(events: WakeEvents, wakeups: number | undefined, timeoutMs: number) {
		this.#events = events;
		this.#wakeups = wakeups;
		this.#timeoutMs = timeoutMs;
	}

	/** A job was queued. */
	jobQueued(queue: FunctionQueue, nowMs: number): void {
		const newest = queue.newestSleeper;
		if (newest?.isSleeping && !newest.isWoken && ((nowMs - newest.asleepSince) | 0) <= BRIEF_MS)
			newest.isInDemand = true;
		const wakeups = this.#wakeups;
		if (wakeups === undefined) this.wakeEnough(queue, nowMs);
		else this.#wakeMany(queue, wakeups === 0 ? Number.POSITIVE_INFINITY : wakeups, nowMs);
	}

	/** As many as there are jobs. */
	wakeEnough(queue: FunctionQueue, nowMs: number): void {
		while (queue.queued > queue.wakesPending) {
			const worker = queue.nextSleeper();
			if (worker === undefined) return;
			this.#wake(worker, queue, nowMs);
		}
	}

	/** The worker's wake is over (it grabbed, left, or took too long): whoever is still owed one is woken. */
	passOn(worker: Worker, nowMs: number): void {
		const queue = worker.wokenFor;
		if (queue === undefined) return;
		worker.wokenFor = undefined;
		queue.wakesPending--;
		this.wakeEnough(queue, nowMs);
	}

	/** Passes late wakes on, and forgets the workers that have grabbed. Costs no more than the wakes since last time. */
	tick(nowMs: number): void {
		if (nowMs < this.dueMs) return;
		const woken = this.#woken;
		this.#woken = [];
		for (const worker of woken) {
			worker.isWakeWatched = false;
			if (worker.wokenFor === undefined) continue;
			const queue = worker.wokenFor;
			if (worker.wokenAtMs + this.#timeoutMs <= nowMs) {
				// Whoever is woken next may be as slow: more and more are, so that many slow ones delay a job little.
				worker.wokenFor = undefined;
				queue.wakesPending--;
				queue.lateWakes *= 2;
				if (queue.queued > 0) this.#wakeMany(queue, queue.lateWakes, nowMs);
			} else {
				worker.isWakeWatched = true;
				this.#woken.push(worker);
			}
		}
		let earliestMs = Number.POSITIVE_INFINITY;
		for (const { wokenAtMs } of this.#woken) earliestMs = Math.min(earliestMs, wokenAtMs);
		this.dueMs = earliestMs + this.#timeoutMs;
	}

	#wakeMany(queue: FunctionQueue, count: number, nowMs: number): void {
		for (let woken = 0; woken < count; woken++) {
			const worker = queue.nextSleeper();
			if (worker === undefined) return;
			this.#wake(worker, queue, nowMs);
		}
	}

	#wake(worker: Worker, queue: FunctionQueue, nowMs: number): void {
		worker.isWoken = true;
		worker.wokenFor = queue;
		worker.wokenAtMs = nowMs;
		queue.wakesPending++;
		if (!worker.isWakeWatched) {
			worker.isWakeWatched = true;
			if (this.#woken.push(worker) === 1) this.dueMs = nowMs + this.#timeoutMs;
		}
		this.#events.wake(worker);
	}
}

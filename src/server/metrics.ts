// What the server has counted since it started: plain numbers, no names but the functions', nothing computed. Each is
// added to at the one place where its event happens, on an object already at hand there; exposition.ts reads them.
//
// How many functions are counted one by one is bounded. The others share one set of cells, and so does what a dropped
// function counted once another needs its place: sums over all functions never go down while the process lives.

import { isUtf8 } from "node:buffer";

/** The name of all functions that have no place of their own. */
const OTHERS = "(other)";

/** What is counted by function and priority. From COMPLETED to REFUSED: how a job can end, each job once. */
export const Count = {
	SUBMITTED: 0,
	REPLAYED: 1,
	COALESCED: 2,
	COMPLETED: 3,
	FAILED: 4,
	EXCEPTIONS: 5,
	CANCELLED: 6,
	/** Its clients left before it ran to its end. */
	ABANDONED: 7,
	/** The last allowed assignment was lost. */
	GIVEN_UP: 8,
	/** The store did not take it. */
	REFUSED: 9,
	/** An assignment was lost, and the job queued again. */
	RETRIED: 10,
	TIMED_OUT: 11,
	WORKLOAD_BYTES: 12,
	RESULT_BYTES: 13,
} as const;
export type Count = (typeof Count)[keyof typeof Count];

/** How a job left the table. */
export type Ending = 3 | 4 | 5 | 6 | 7 | 8 | 9;

const COUNTS = 14;
const PRIORITIES = 3;
const DEFAULT_FUNCTIONS = 1000;
/** Packet types are numbers below this. */
const PACKET_TYPES = 64;

/** Upper bounds of the histograms' buckets, in ms; one more bucket takes what is longer. */
export const BOUNDS_MS = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 60_000, 600_000, 3_600_000] as const;

/** Times in ms, counted by bucket. */
export class Histogram {
	readonly counts = new Float64Array(BOUNDS_MS.length + 1);
	sumMs = 0;

	observe(ms: number): void {
		let bucket = 0;
		while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]) bucket++;
		this.counts[bucket]++;
		// A clock set back is no reason for a sum to go down.
		if (ms > 0) this.sumMs += ms;
	}

	add(other: Histogram): void {
		for (let i = 0; i < this.counts.length; i++) this.counts[i] += other.counts[i];
		this.sumMs += other.sumMs;
	}
}

/** The cells of one function, or of all that are not counted one by one. */
export class FunctionMetrics {
	readonly name: string;
	readonly #counts = new Float64Array(COUNTS * PRIORITIES);
	/** From the time it could be grabbed until it was. */
	readonly wait = new Histogram();
	/** From the grab to the worker's last word. */
	readonly run = new Histogram();
	/** Jobs that workers have now, by priority. */
	readonly running = new Int32Array(PRIORITIES);

	constructor(name: string) {
		this.name = name;
	}

	/** Adds `by`, by default 1. */
	count(what: Count, priority: number, by = 1): void {
		this.#counts[what * PRIORITIES + priority] += by;
	}

	submitted(priority: number, bytes: number): void {
		this.count(Count.SUBMITTED, priority);
		this.count(Count.WORKLOAD_BYTES, priority, bytes);
	}

	grabbed(priority: number, waitMs: number): void {
		this.wait.observe(waitMs);
		this.running[priority]++;
	}

	counted(what: Count, priority: number): number {
		return this.#counts[what * PRIORITIES + priority];
	}

	add(other: FunctionMetrics): void {
		for (let i = 0; i < this.#counts.length; i++) this.#counts[i] += other.#counts[i];
		this.wait.add(other.wait);
		this.run.add(other.run);
	}
}

/** What the store was given, in batches. */
export class StoreMetrics {
	failures = 0;
	changes = 0;
	/** Of workloads. */
	bytes = 0;
	/** How long each batch took, those that failed too. */
	readonly time = new Histogram();
}

/** All counters of one server. */
export class Metrics {
	/** By function name, in the order they came. */
	readonly functions = new Map<string, FunctionMetrics>();
	/** What has no place in `functions`. */
	readonly others = new FunctionMetrics(OTHERS);
	/** There has been such a function. */
	hasOthers = false;
	readonly store = new StoreMetrics();
	/** Requests by packet type. */
	readonly packets = new Float64Array(PACKET_TYPES);
	/** ERROR packets by their code. */
	readonly errors = new Map<string, number>();
	receivedBytes = 0;
	sentBytes = 0;
	accepted = 0;
	/** Connections over the limit. */
	refused = 0;
	readonly #limit: number;
	/** Dropped functions, whose places are free for others. */
	readonly #dropped = new Set<string>();

	/** At most `limit` functions are counted one by one. */
	constructor(limit: number = DEFAULT_FUNCTIONS) {
		this.#limit = limit;
	}

	/** The cells for a function that is new, or new again. */
	of(name: string): FunctionMetrics {
		const known = this.functions.get(name);
		this.#dropped.delete(name);
		if (known !== undefined) return known;
		const canBeNamed = name !== OTHERS && isUtf8(Buffer.from(name, "latin1"));
		if (!canBeNamed || (this.functions.size >= this.#limit && !this.#makeRoom())) {
			this.hasOthers = true;
			return this.others;
		}
		const cells = new FunctionMetrics(name);
		this.functions.set(name, cells);
		return cells;
	}

	/** The function is gone: it keeps its place until another needs it. */
	dropped(cells: FunctionMetrics): void {
		if (cells !== this.others) this.#dropped.add(cells.name);
	}

	countError(code: string): void {
		this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
	}

	#makeRoom(): boolean {
		for (const name of this.#dropped) {
			const cells = this.functions.get(name);
			if (cells !== undefined) this.others.add(cells);
			this.hasOthers = true;
			this.functions.delete(name);
			this.#dropped.delete(name);
			return true;
		}
		return false;
	}
}

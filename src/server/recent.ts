// What has happened lately, from counters that only count up: by function over the last 10 to 20 seconds, in all over the
// last few. Kept going by whoever watches (sample() once a second); when nobody does, it costs nothing.

import type { FunctionQueue } from "./function-queue.ts";
import { BOUNDS_MS, Count, type FunctionMetrics, Histogram, type Metrics } from "./metrics.ts";

/** A function's counters are remembered this often; the two last memories are kept. */
const WINDOW_MS = 10_000;
/** Samples that the quantiles of the next one reach back. */
const SMOOTHED = 5;
/** Nobody has watched for this long: what was remembered is too old to compare with. */
const STALE_MS = 30_000;

/** Milliseconds; half of the times, 95 and 99 of 100, are below. */
export interface Quantiles {
	readonly p50: number;
	readonly p95: number;
	readonly p99: number;
}

/** What one function has done lately. */
export interface Rates {
	readonly completedPerSecond: number;
	readonly failedPerSecond: number;
	/** From the time it could be grabbed until it was; null: no job was. */
	readonly waitMs: Quantiles | null;
	/** From the grab to the worker's last word. */
	readonly runMs: Quantiles | null;
}

/** One point of the charts: jobs a second, and milliseconds. */
export interface Sample {
	readonly atMs: number;
	/** null: there is nothing to compare with yet. */
	readonly done: number | null;
	readonly failed: number | null;
	readonly wait50: number | null;
	readonly wait95: number | null;
	readonly run95: number | null;
}

/** Jobs that ended, and how long they took: cells at one time, or a difference of two. */
export class Tally {
	readonly atMs: number;
	completed = 0;
	failed = 0;
	readonly wait = new Histogram();
	readonly run = new Histogram();

	constructor(atMs: number) {
		this.atMs = atMs;
	}

	add(cells: FunctionMetrics): this {
		for (let priority = 0; priority < 3; priority++) {
			this.completed += cells.counted(Count.COMPLETED, priority);
			for (const ending of FAILURES) this.failed += cells.counted(ending, priority);
		}
		this.wait.add(cells.wait);
		this.run.add(cells.run);
		return this;
	}

	since(before: Tally | undefined): Tally {
		const result = new Tally(this.atMs);
		result.completed = this.completed - (before?.completed ?? 0);
		result.failed = this.failed - (before?.failed ?? 0);
		subtract(result.wait, this.wait, before?.wait);
		subtract(result.run, this.run, before?.run);
		return result;
	}
}

const FAILURES = [Count.FAILED, Count.EXCEPTIONS, Count.GIVEN_UP];

function subtract(result: Histogram, now: Histogram, before: Histogram | undefined): void {
	for (let i = 0; i < result.counts.length; i++) result.counts[i] = now.counts[i] - (before?.counts[i] ?? 0);
	result.sumMs = now.sumMs - (before?.sumMs ?? 0);
}

/** All functions together. */
export function tallyOf(metrics: Metrics, nowMs: number): Tally {
	const tally = new Tally(nowMs).add(metrics.others);
	for (const cells of metrics.functions.values()) tally.add(cells);
	return tally;
}

export function quantilesOf(times: Histogram): Quantiles | null {
	const total = times.counts.reduce((sum, count) => sum + count, 0);
	if (total <= 0) return null;
	const [p50, p95, p99] = [0.5, 0.95, 0.99].map((part) => quantile(times, total * part));
	return { p50, p95, p99 };
}

/**
 * Within a bucket times are taken as spread evenly. The last one that has any is wide and its times may be few: they are
 * taken as spread about the mean that the sum leaves for them, the less the fewer they are.
 */
function quantile({ counts, sumMs }: Histogram, rank: number): number {
	const last = counts.findLastIndex((count) => count > 0);
	let below = 0;
	let belowMs = 0;
	for (let i = 0; i < last; i++) {
		if (below + counts[i] >= rank && counts[i] > 0) {
			return startOf(i) + ((BOUNDS_MS[i] - startOf(i)) * (rank - below)) / counts[i];
		}
		below += counts[i];
		belowMs += (counts[i] * (startOf(i) + BOUNDS_MS[i])) / 2;
	}
	const count = counts[last];
	const start = startOf(last);
	const end = BOUNDS_MS[last] ?? Number.POSITIVE_INFINITY;
	const meanMs = Math.min(end, Math.max(start, (sumMs - belowMs) / count));
	const spreadMs = (Math.min(meanMs - start, end - meanMs) * (count - 1)) / (count + 1);
	return meanMs + spreadMs * ((2 * (rank - below)) / count - 1);
}

function startOf(bucket: number): number {
	return bucket === 0 ? 0 : BOUNDS_MS[bucket - 1];
}

interface Memory {
	readonly atMs: number;
	readonly cells: ReadonlyMap<FunctionMetrics, Tally>;
}

export class Recent {
	readonly #metrics: Metrics;
	#older: Memory | undefined;
	#newer: Memory | undefined;
	#totals: Tally[] = [];
	#sampledMs = Number.NEGATIVE_INFINITY;

	constructor(metrics: Metrics) {
		this.#metrics = metrics;
	}

	/** Remembers, and says what has happened since the last time. */
	sample(nowMs: number): Sample {
		if (nowMs - this.#sampledMs > STALE_MS) {
			this.#totals = [];
			this.#older = this.#newer = undefined;
		}
		this.#sampledMs = nowMs;
		if (this.#newer === undefined || nowMs - this.#newer.atMs >= WINDOW_MS) {
			this.#older = this.#newer;
			this.#newer = this.#remember(nowMs);
			this.#older ??= this.#newer;
		}
		const total = tallyOf(this.#metrics, nowMs);
		const last = this.#totals.at(-1);
		const first = this.#totals[0] ?? total;
		this.#totals.push(total);
		if (this.#totals.length > SMOOTHED) this.#totals.shift();
		const seconds = Math.max(0.001, (nowMs - (last?.atMs ?? nowMs)) / 1000);
		const { completed, failed } = total.since(last);
		const { wait, run } = total.since(first);
		const waitMs = quantilesOf(wait);
		return {
			atMs: nowMs,
			done: last === undefined ? null : completed / seconds,
			failed: last === undefined ? null : failed / seconds,
			wait50: waitMs?.p50 ?? null,
			wait95: waitMs?.p95 ?? null,
			run95: quantilesOf(run)?.p95 ?? null,
		};
	}

	/** null: nobody watches, or the function is not counted by itself. */
	of(queue: FunctionQueue, nowMs: number): Rates | null {
		const older = this.#older;
		if (older === undefined || nowMs - this.#sampledMs > STALE_MS || queue.metrics === this.#metrics.others)
			return null;
		const seconds = Math.max(1, (nowMs - older.atMs) / 1000);
		const { completed, failed, wait, run } = new Tally(nowMs).add(queue.metrics).since(older.cells.get(queue.metrics));
		return {
			completedPerSecond: completed / seconds,
			failedPerSecond: failed / seconds,
			waitMs: quantilesOf(wait),
			runMs: quantilesOf(run),
		};
	}

	#remember(nowMs: number): Memory {
		const cells = new Map<FunctionMetrics, Tally>();
		for (const each of this.#metrics.functions.values()) cells.set(each, new Tally(nowMs).add(each));
		return { atMs: nowMs, cells };
	}
}

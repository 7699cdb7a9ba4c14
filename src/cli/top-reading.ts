// What job servers say at one time, and what two such readings tell: rates, and how long jobs waited and ran. No I/O.
// Functions and workers come from the text commands every Gearman server knows; the rest from `metrics`, where there are.

import type { Sample } from "../admin/metrics.ts";
import type { FunctionStatus, WorkerRow } from "../admin/replies.ts";

/** What one server answered. */
export interface Answers {
	readonly status: readonly FunctionStatus[];
	readonly workers: readonly WorkerRow[];
	/** None: the server has no metrics. */
	readonly samples: readonly Sample[] | undefined;
}

/** A histogram's counts, each with those below it, by upper bound in seconds. */
type Buckets = Map<number, number>;

interface FunctionReading {
	/** Undefined for the sum of functions that have no metrics of their own. */
	queued: number | undefined;
	running: number | undefined;
	workers: number | undefined;
	readonly metrics: FunctionMetrics | undefined;
}

interface FunctionMetrics {
	delayed: number;
	oldestSeconds: number;
	submitted: number;
	ended: number;
	failed: number;
	readonly wait: Buckets;
	readonly run: Buckets;
}

/** All servers at one time. */
export interface Reading {
	readonly atMs: number;
	readonly functions: ReadonlyMap<string, FunctionReading>;
	readonly workers: readonly WorkerRow[];
	/** Sums over all servers of what is no function's; undefined when none has metrics. */
	readonly facts: ReadonlyMap<string, number> | undefined;
	/** The versions, each once. */
	readonly versions: readonly string[];
}

/** One line of the list of functions. What is not known is undefined. */
export interface Row {
	readonly name: string;
	readonly queued: number | undefined;
	readonly running: number | undefined;
	readonly workers: number | undefined;
	readonly delayed: number | undefined;
	readonly oldest: number | undefined;
	/** Jobs a second: submitted, ended, ended badly. */
	readonly in: number | undefined;
	readonly out: number | undefined;
	readonly failed: number | undefined;
	/** Seconds. */
	readonly wait50: number | undefined;
	readonly wait95: number | undefined;
	readonly run50: number | undefined;
	readonly run95: number | undefined;
}

const ENDS = ["completed", "failed", "exceptions", "given_up"].map((how) => `gearman_jobs_${how}_total`);

export function read(atMs: number, answers: readonly Answers[]): Reading {
	const functions = new Map<string, FunctionReading>();
	const facts = new Map<string, number>();
	const versions = new Set<string>();
	const workers: WorkerRow[] = [];
	for (const answer of answers) {
		workers.push(...answer.workers);
		const metrics = byFunction(answer.samples ?? []);
		for (const { functionName, total, running, workers } of answer.status) {
			const own = metrics.get(functionName);
			metrics.delete(functionName);
			const queued = total - running - (own?.delayed ?? 0);
			add(functions, functionName, { queued, running, workers, metrics: own });
		}
		for (const [name, rest] of metrics) {
			// A dropped function's counters are still there; only the others' sum is of interest.
			if (name !== "(other)") continue;
			add(functions, name, { queued: undefined, running: undefined, workers: undefined, metrics: rest });
		}
		for (const { name, labels, value } of answer.samples ?? []) {
			if (name === "gearman_build_info") versions.add(labels.version);
			if ("function" in labels || "le" in labels) continue;
			const key = [name, labels.role ?? labels.quantile].filter(Boolean).join(" ");
			// The youngest server's start: rates mean nothing before it.
			facts.set(key, key === START ? Math.max(value, facts.get(key) ?? 0) : (facts.get(key) ?? 0) + value);
		}
	}
	return { atMs, functions, workers, facts: facts.size > 0 ? facts : undefined, versions: [...versions] };
}

const START = "gearman_start_time_seconds";

/** `before` is the reading that rates are since, `longBefore` the one that times are since. */
export function rowsOf(now: Reading, before: Reading | undefined, longBefore: Reading | undefined): Row[] {
	const rows: Row[] = [];
	for (const [name, { queued, running, workers, metrics }] of now.functions) {
		const last = before?.functions.get(name)?.metrics;
		const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1000;
		const rate = (of: (metrics: FunctionMetrics) => number) =>
			metrics === undefined || last === undefined || seconds <= 0
				? undefined
				: notNegative((of(metrics) - of(last)) / seconds);
		const old = longBefore?.functions.get(name)?.metrics;
		rows.push({
			name,
			queued,
			running,
			workers,
			delayed: metrics?.delayed,
			oldest: metrics?.oldestSeconds,
			in: rate(({ submitted }) => submitted),
			out: rate(({ ended }) => ended),
			failed: rate(({ failed }) => failed),
			wait50: quantile(0.5, metrics?.wait, old?.wait),
			wait95: quantile(0.95, metrics?.wait, old?.wait),
			run50: quantile(0.5, metrics?.run, old?.run),
			run95: quantile(0.95, metrics?.run, old?.run),
		});
	}
	return rows;
}

/** How a fact grew a second. */
export function rateOf(key: string, now: Reading, before: Reading | undefined): number | undefined {
	const [value, last] = [now.facts?.get(key), before?.facts?.get(key)];
	if (before === undefined || value === undefined || last === undefined) return undefined;
	return notNegative(((value - last) * 1000) / (now.atMs - before.atMs));
}

/** A counter that went down began anew: that tells nothing. */
function notNegative(value: number): number | undefined {
	return value >= 0 ? value : undefined;
}

/** The quantile, in seconds, of what was counted since; between a bucket's bounds it is taken as even. */
function quantile(q: number, now: Buckets | undefined, before: Buckets | undefined): number | undefined {
	if (now === undefined || before === undefined) return undefined;
	const counts = [...now].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)] as const);
	const total = counts.at(-1)?.[1] ?? 0;
	if (total <= 0) return undefined;
	let [lower, below] = [0, 0];
	for (const [bound, count] of counts) {
		if (count >= q * total) {
			if (bound === Number.POSITIVE_INFINITY || count === below) return lower;
			return lower + ((bound - lower) * (q * total - below)) / (count - below);
		}
		[lower, below] = [bound, count];
	}
	return lower;
}

function byFunction(samples: readonly Sample[]): Map<string, FunctionMetrics> {
	const functions = new Map<string, FunctionMetrics>();
	for (const { name, labels, value } of samples) {
		if (labels.function === undefined) continue;
		const key = printable(labels.function);
		let metrics = functions.get(key);
		if (metrics === undefined) {
			metrics = { delayed: 0, oldestSeconds: 0, submitted: 0, ended: 0, failed: 0, wait: new Map(), run: new Map() };
			functions.set(key, metrics);
		}
		if (name === "gearman_jobs_delayed") metrics.delayed += value;
		else if (name === "gearman_oldest_job_age_seconds") metrics.oldestSeconds = Math.max(metrics.oldestSeconds, value);
		else if (name === "gearman_jobs_submitted_total") metrics.submitted += value;
		else if (name === "gearman_job_wait_seconds_bucket") metrics.wait.set(boundOf(labels.le), value);
		else if (name === "gearman_job_run_seconds_bucket") metrics.run.set(boundOf(labels.le), value);
		else if (ENDS.includes(name)) {
			metrics.ended += value;
			if (name !== ENDS[0]) metrics.failed += value;
		}
	}
	return functions;
}

/** Several servers' numbers of one function are one. */
function add(functions: Map<string, FunctionReading>, name: string, more: FunctionReading): void {
	const known = functions.get(name);
	if (known === undefined) {
		functions.set(name, more);
		return;
	}
	const sum = (a: number | undefined, b: number | undefined) => (a === undefined ? b : a + (b ?? 0));
	known.queued = sum(known.queued, more.queued);
	known.running = sum(known.running, more.running);
	known.workers = sum(known.workers, more.workers);
	const [to, from] = [known.metrics, more.metrics];
	if (to === undefined || from === undefined) return;
	to.delayed += from.delayed;
	to.oldestSeconds = Math.max(to.oldestSeconds, from.oldestSeconds);
	to.submitted += from.submitted;
	to.ended += from.ended;
	to.failed += from.failed;
	for (const [bound, count] of from.wait) to.wait.set(bound, (to.wait.get(bound) ?? 0) + count);
	for (const [bound, count] of from.run) to.run.set(bound, (to.run.get(bound) ?? 0) + count);
}

function boundOf(le: string): number {
	return le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le);
}

/** As `status` shows a name. */
function printable(name: string): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what the server replaces
	return name.replace(/[\0-\x1f\x7f]/g, "?");
}

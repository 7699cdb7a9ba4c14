// What the server is at, as plain values for JSON: totals, functions, workers. The HTTP API and the dashboard's events are
// made of it. Read when asked, nothing is kept; what may be long comes in pages, and no call looks through the jobs.
// Ages are in ms. `name` is for people, `id` for addresses; see names.ts.

import { hostname } from "node:os";
import type { FunctionQueue, Worker } from "./function-queue.ts";
import { HIGH, type Job, LOW, NORMAL } from "./job.ts";
import { type JobView, jobView } from "./job-page.ts";
import { idOf, nameOf, textOf } from "./names.ts";
import type { Peer } from "./peer.ts";
import { quantilesOf, type Recent, Tally, tallyOf } from "./recent.ts";
import type { Server } from "./server.ts";

/** Functions and jobs named with each worker of a list. */
const NAMED = 20;
/** With a worker asked for by itself. */
const ALL_NAMED = 1000;
/** Abilities looked through for one page of workers; the cursor goes on from there. */
const MAX_LOOKED = 100_000;

/** Totals of the server. */
export function overview(server: Server) {
	const { jobs, metrics, options, peers } = server;
	const nowMs = server.nowMs();
	let queued = 0;
	let running = 0;
	let delayed = 0;
	for (const queue of jobs.functions.values()) {
		queued += queue.queued;
		running += queue.running;
		delayed += queue.delayed;
	}
	let workers = 0;
	for (const peer of peers) if (peer.worker !== undefined) workers++;
	const { completed, failed } = tallyOf(metrics, nowMs);
	const { rss, heapUsed } = process.memoryUsage();
	return {
		version: options.version,
		host: hostname(),
		port: server.port,
		pid: process.pid,
		uptimeMs: nowMs - server.createdMs,
		state: server.isDraining ? "draining" : server.isReplaying ? "replaying" : "serving",
		connections: server.connections,
		workers,
		functions: jobs.functions.size,
		jobs: jobs.size,
		queued,
		running,
		delayed,
		completed,
		failed,
		memory: { rssBytes: rss, heapBytes: heapUsed },
		store: { type: options.store === undefined ? options.queueType : "own", isFailing: server.journal.isFailing },
	};
}

/** One function. */
export function functionView(queue: FunctionQueue, recent: Recent, nowMs: number) {
	const [high, normal, low] = queue.maxQueue;
	const { completed, failed, wait, run } = new Tally(nowMs).add(queue.metrics);
	return {
		id: idOf(queue.name),
		name: textOf(queue.name),
		total: queue.total,
		queued: queue.queued,
		queuedByPriority: { high: queue.queuedAt(HIGH), normal: queue.queuedAt(NORMAL), low: queue.queuedAt(LOW) },
		running: queue.running,
		delayed: queue.delayed,
		workers: queue.workers,
		/** How long the job that has waited longest has, of those whose turn comes next. */
		oldestMs: oldestMs(queue, nowMs),
		maxQueue: { high, normal, low },
		/** Jobs wait, and nobody can do them. */
		isStuck: isStuck(queue),
		isFull: queue.isFull(HIGH) || queue.isFull(NORMAL) || queue.isFull(LOW),
		completed,
		failed,
		waitMs: quantilesOf(wait),
		runMs: quantilesOf(run),
		recent: recent.of(queue, nowMs),
	};
}

function isStuck(queue: FunctionQueue): boolean {
	return queue.queued > 0 && queue.workers === 0;
}

function oldestMs(queue: FunctionQueue, nowMs: number): number | null {
	let ageMs: number | null = null;
	for (const priority of [HIGH, NORMAL, LOW] as const) {
		const job = queue.firstAt(priority);
		if (job !== undefined) ageMs = Math.max(ageMs ?? 0, waitedMs(job, nowMs));
	}
	return ageMs;
}

function waitedMs(job: Job, nowMs: number): number {
	return Math.max(0, nowMs - Math.max(job.submittedMs, job.dueMs));
}

type Key = (queue: FunctionQueue, recent: Recent, nowMs: number) => number | string;

/** What functions can be sorted by. "need": where somebody should look first. */
const keys: Readonly<Record<string, Key>> = {
	need: (queue) => (isStuck(queue) ? 1e15 : 0) + queue.queued * 2 + queue.running,
	name: (queue) => queue.name,
	queued: (queue) => queue.queued,
	running: (queue) => queue.running,
	delayed: (queue) => queue.delayed,
	workers: (queue) => queue.workers,
	oldest: (queue, _recent, nowMs) => oldestMs(queue, nowMs) ?? -1,
	done: (queue, recent, nowMs) => recent.of(queue, nowMs)?.completedPerSecond ?? -1,
	failed: (queue, recent, nowMs) => recent.of(queue, nowMs)?.failedPerSecond ?? -1,
	wait: (queue, recent, nowMs) => recent.of(queue, nowMs)?.waitMs?.p95 ?? -1,
	run: (queue, recent, nowMs) => recent.of(queue, nowMs)?.runMs?.p95 ?? -1,
};

export const sortNames: readonly string[] = Object.keys(keys);

export interface FunctionsAsked {
	/** One of sortNames. */
	readonly sort: string;
	readonly isDescending: boolean;
	/** Part of the name, in any case. */
	readonly filter: string;
	readonly offset: number;
	readonly limit: number;
}

/** One page of functions; what is equal is in order of name. */
export function functionsPage(server: Server, recent: Recent, asked: FunctionsAsked) {
	const nowMs = server.nowMs();
	const filter = nameOf(asked.filter).toLowerCase();
	const keyOf = keys[asked.sort];
	const found: { queue: FunctionQueue; key: number | string }[] = [];
	for (const queue of server.jobs.functions.values()) {
		if (filter !== "" && !queue.name.toLowerCase().includes(filter)) continue;
		found.push({ queue, key: keyOf(queue, recent, nowMs) });
	}
	const sign = asked.isDescending ? -1 : 1;
	found.sort((a, b) => sign * compare(a.key, b.key) || compare(a.queue.name, b.queue.name));
	// Behind the last page is the last page: functions may be dropped while somebody looks.
	const offset = Math.min(asked.offset, Math.max(0, Math.ceil(found.length / asked.limit) - 1) * asked.limit);
	const page = found.slice(offset, offset + asked.limit);
	return {
		functions: page.map(({ queue }) => functionView(queue, recent, nowMs)),
		matching: found.length,
		offset,
	};
}

function compare(a: number | string, b: number | string): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

type WorkerView = ReturnType<typeof workerView>;

/** One worker; what is too much to name is counted. */
export function workerView(peer: Peer, worker: Worker, nowMs: number, named = ALL_NAMED) {
	return {
		id: peer.id,
		clientId: textOf(peer.clientId),
		address: peer.name,
		connectedForMs: nowMs - peer.connectedMs,
		isSleeping: worker.isSleeping,
		functions: first(worker.abilities.keys(), named).map(({ name }) => ({ id: idOf(name), name: textOf(name) })),
		functionCount: worker.abilities.size,
		jobs: first(worker.jobs, named).map((job): JobView => jobView(job, nowMs)),
		jobCount: worker.jobs.length,
	};
}

function first<T>(items: Iterable<T>, limit: number): T[] {
	const taken: T[] = [];
	for (const item of items) {
		if (taken.length === limit) break;
		taken.push(item);
	}
	return taken;
}

export interface WorkersAsked {
	/** Where an earlier page ended; 0: the first. */
	readonly cursor: number;
	readonly limit: number;
	/** Part of the client id, the address or a function's name, in any case. */
	readonly filter: string;
	/** Only those that can do it. */
	readonly queue?: FunctionQueue;
}

/** One page of workers, in the order they connected. */
export function workersPage(server: Server, asked: WorkersAsked) {
	const nowMs = server.nowMs();
	const filter = nameOf(asked.filter).toLowerCase();
	const workers: WorkerView[] = [];
	let looked = 0;
	let lastId = asked.cursor;
	let cursor: number | null = null;
	for (const peer of server.peers) {
		const { worker } = peer;
		if (worker === undefined || peer.id <= asked.cursor) continue;
		if (workers.length === asked.limit || looked > MAX_LOOKED) {
			cursor = lastId;
			break;
		}
		lastId = peer.id;
		looked += filter === "" ? 1 : worker.abilities.size;
		if (asked.queue !== undefined && !worker.abilities.has(asked.queue)) continue;
		if (filter === "" || isFound(peer, worker, filter)) workers.push(workerView(peer, worker, nowMs, NAMED));
	}
	return { workers, cursor };
}

function isFound(peer: Peer, worker: Worker, filter: string): boolean {
	if (`${peer.clientId}\n${peer.name}\n#${peer.id}`.toLowerCase().includes(filter)) return true;
	for (const { name } of worker.abilities.keys()) if (name.toLowerCase().includes(filter)) return true;
	return false;
}

// The jobs of one function, page by page: running, queued in the order of their turn, delayed. No page looks at more than
// MAX_EXAMINED jobs, however many there are and whatever is searched for; a cursor goes on from where it ended.
//
// The cursor names the last job looked at. When that has moved on meanwhile, so have, as a rule, all before it: the next
// page is then the first again, and says so.

import type { FunctionQueue } from "./function-queue.ts";
import { HIGH, type Job, JobState, LOW, NORMAL } from "./job.ts";
import type { JobTable } from "./jobs.ts";
import { idOf, nameOf, textOf } from "./names.ts";
import { Peer } from "./peer.ts";

/** A dozen milliseconds' worth. */
const MAX_EXAMINED = 10_000;

const states = ["held", "delayed", "queued", "running", "gone"] as const;
const priorities = ["high", "normal", "low"] as const;

export type JobView = ReturnType<typeof jobView>;

/** One job, without its workload. */
export function jobView(job: Job, nowMs: number) {
	const isRunning = job.state === JobState.RUNNING;
	return {
		handle: job.handle,
		functionId: idOf(job.functionName),
		functionName: textOf(job.functionName),
		unique: textOf(job.unique),
		state: states[job.state],
		priority: priorities[job.priority],
		isBackground: job.isBackground,
		isCancelled: job.isCancelled,
		ageMs: Math.max(0, nowMs - job.submittedMs),
		runningMs: isRunning ? Math.max(0, (nowMs - job.since) | 0) : null,
		dueInMs: job.state === JobState.DELAYED ? Math.max(0, job.dueMs - nowMs) : null,
		workerId: job.worker?.receiver instanceof Peer ? job.worker.receiver.id : null,
		workloadBytes: job.workload.length,
		/** Assignments lost. */
		retries: job.retries,
		numerator: job.numerator,
		denominator: job.denominator,
		clients: job.attachments.length,
	};
}

export interface JobsAsked {
	/** Where an earlier page ended; "": the first. */
	readonly cursor: string;
	readonly limit: number;
	/** Part of the unique or the handle. */
	readonly filter: string;
}

export interface JobPage {
	readonly jobs: readonly JobView[];
	/** For the next page; null: this was the last. */
	readonly cursor: string | null;
	/** Jobs looked at. */
	readonly examined: number;
	/** The cursor's job has moved on: this is the first page again. */
	readonly isRestarted: boolean;
}

export function jobPage(table: JobTable, queue: FunctionQueue, asked: JobsAsked, nowMs: number): JobPage {
	const filter = nameOf(asked.filter);
	const behind = asked.cursor === "" ? undefined : find(table, queue, asked.cursor);
	const jobs: JobView[] = [];
	// The whole handle or unique: found at once, wherever it is.
	const exact =
		filter === "" ? undefined : (table.findCoalescing(queue.name, filter) ?? find(table, queue, filter))?.handle;
	const first = exact === undefined || behind !== undefined ? undefined : table.find(exact);
	if (first !== undefined) jobs.push(jobView(first, nowMs));
	let examined = 0;
	let found = 0;
	let last = "";
	let cursor: string | null = null;
	for (const job of inOrder(table, queue, behind)) {
		if (found === asked.limit || examined === MAX_EXAMINED) {
			cursor = last;
			break;
		}
		examined++;
		last = job.handle;
		if (job.handle === exact) continue;
		if (filter !== "" && !job.unique.includes(filter) && !job.handle.includes(filter)) continue;
		found++;
		jobs.push(jobView(job, nowMs));
	}
	return { jobs, cursor, examined, isRestarted: asked.cursor !== "" && behind === undefined };
}

/** The function's job of that handle, when it has a place in the order. */
function find(table: JobTable, queue: FunctionQueue, handle: string): Job | undefined {
	const job = table.find(handle);
	return job?.queue === queue && job.state !== JobState.HELD ? job : undefined;
}

/** All jobs, or those behind one of them. */
function* inOrder(table: JobTable, queue: FunctionQueue, behind: Job | undefined): Generator<Job> {
	let isReached = behind === undefined;
	/** A list's own: all of it, what is behind, or nothing when all of it is in front. */
	const part = (isHere: boolean): "all" | "rest" | "none" => {
		if (isReached) return "all";
		isReached = isHere;
		return isHere ? "rest" : "none";
	};
	yield* linked(queue.runningJobs.first, behind, part(behind?.state === JobState.RUNNING));
	for (const priority of [HIGH, NORMAL, LOW] as const) {
		const which = part(behind?.state === JobState.QUEUED && behind.priority === priority);
		if (which !== "none") yield* table.queuedJobs(queue, priority, which === "rest" ? behind : undefined);
	}
	yield* linked(queue.delayedJobs.first, behind, part(behind?.state === JobState.DELAYED));
}

function* linked(first: Job | undefined, behind: Job | undefined, which: "all" | "rest" | "none"): Generator<Job> {
	if (which === "none") return;
	for (let job = which === "rest" ? behind?.next : first; job !== undefined; job = job.next) yield job;
}

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

/** Some milliseconds' worth. */
const MAX_EXAMINED = 20_000;

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
		clients: job.clients.length,
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
	const after = asked.cursor === "" ? undefined : find(table, queue, asked.cursor);
	const isRestarted = asked.cursor !== "" && after === undefined;
	const jobs: JobView[] = [];
	// The whole handle or unique: found at once, wherever it is.
	const exact = filter === "" ? undefined : (queue.uniques.get(filter) ?? find(table, queue, filter));
	if (exact !== undefined && after === undefined) jobs.push(jobView(exact, nowMs));
	let examined = 0;
	let job = after === undefined ? firstFrom(queue, 0) : following(queue, after);
	let last: Job | undefined;
	while (job !== undefined && jobs.length < asked.limit && examined < MAX_EXAMINED) {
		examined++;
		if (job !== exact && (filter === "" || job.unique.includes(filter) || job.handle.includes(filter))) {
			jobs.push(jobView(job, nowMs));
		}
		last = job;
		job = following(queue, job);
	}
	return { jobs, cursor: job === undefined || last === undefined ? null : last.handle, examined, isRestarted };
}

/** The function's job of that handle, when it is in one of the lists. */
function find(table: JobTable, queue: FunctionQueue, handle: string): Job | undefined {
	const job = table.find(handle);
	return job?.queue === queue && job.state !== JobState.HELD ? job : undefined;
}

/** The function's lists, in the order they are shown. */
const LISTS = 5;

function listOf(job: Job): number {
	return job.state === JobState.RUNNING ? 0 : job.state === JobState.DELAYED ? 4 : 1 + job.priority;
}

function following(queue: FunctionQueue, job: Job): Job | undefined {
	return job.next ?? firstFrom(queue, listOf(job) + 1);
}

function firstFrom(queue: FunctionQueue, list: number): Job | undefined {
	const firsts = [
		() => queue.runningJobs.first,
		() => queue.firstAt(HIGH),
		() => queue.firstAt(NORMAL),
		() => queue.firstAt(LOW),
		() => queue.delayedJobs.first,
	];
	for (let i = list; i < LISTS; i++) {
		const job = firsts[i]();
		if (job !== undefined) return job;
	}
	return undefined;
}

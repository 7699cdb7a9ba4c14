// How a job enters the server, whatever brings it: it joins one that is there, waits for its commit, or is queued at once.
// Called by commands.ts for packets and by protocols/ for what else there is.

import type { ServerErrorCode } from "../errors.ts";
import { Type } from "../protocol/commands.ts";
import { type Client, type Incoming, type Job, JobState, type Priority, uniqueKeyOf, type Waiter } from "./job.ts";
import { Count } from "./metrics.ts";
import type { Server } from "./server.ts";

/** gearmand's GEARMAN_MAX_UNIQUE_SIZE. */
export const MAX_UNIQUE = 64;

/** Who brings a job. What it is answered: JOB_CREATED or an error, now or when the commit is done. */
export interface Submitter extends Waiter {
	/** For the log. */
	readonly name: string;
	/** Takes the client role. */
	asClient(): Client;
	send(type: number, text: string): void;
	error(code: ServerErrorCode, text?: string): void;
	/** The new foreground job is about to be queued. */
	accepted(handle: string): void;
	/** The background job is queued, and need not be kept. */
	queued(handle: string): void;
	/** The answer comes later: committed() or refused(). */
	awaitCommit(job: Job): void;
}

/** Names are latin1, a character a byte. */
export function submitJob(
	server: Server,
	from: Submitter,
	functionName: string,
	unique: string,
	incoming: Incoming,
	priority: Priority,
	isBackground: boolean,
	dueMs: number,
	reducer: string | undefined,
): void {
	if (unique.length > MAX_UNIQUE) return from.error("ARGUMENT_TOO_LARGE", "Unique value too large");
	if (server.isDraining) return from.error("SHUTDOWN_GRACEFUL");
	const { jobs, journal } = server;
	const uniqueKey = unique === "-" ? uniqueKeyOf(unique, incoming.keepData()) : unique;
	const other = uniqueKey === "" ? undefined : jobs.findCoalescing(functionName, uniqueKey);
	if (other !== undefined) return join(server, from, other, isBackground);

	const queue = jobs.functionOf(functionName);
	if (queue.isFull(priority)) return from.error("QUEUE_ERROR", "Job queue is full");
	const submittedMs = server.nowMs();
	if (isBackground && dueMs === 0 && reducer === undefined && journal.keepsNothing) {
		const handle = jobs.append(queue, unique, uniqueKey, incoming, priority, submittedMs);
		if (handle !== undefined) {
			logAccepted(server, from, handle, functionName, unique, 0);
			return from.queued(handle);
		}
	}
	const workload = incoming.keepData();
	const request = { queue, unique, uniqueKey, workload, priority, isBackground, dueMs, reducer, submittedMs };
	const job = jobs.create(request);
	journal.used(jobs.lastNumber);
	logAccepted(server, from, job.handle, functionName, unique, dueMs);
	if (isBackground) {
		from.awaitCommit(job);
		journal.add(job, from);
	} else {
		jobs.attach(job, from.asClient());
		// Before release(), which may wake a worker: a connection that is both hears of its job first.
		from.accepted(job.handle);
		jobs.release(job, submittedMs);
	}
}

function logAccepted(
	{ log }: Server,
	from: Submitter,
	handle: string,
	functionName: string,
	unique: string,
	dueMs: number,
): void {
	if (!log.isNotice) return;
	const fields = { peer: from.name, job: handle, function: functionName, unique };
	log.notice(`accepted,${functionName},${unique},${dueMs / 1000}`, fields);
}

/** A submit that coalesces: the workload, priority and time of the job that is there stand. */
function join(server: Server, from: Submitter, job: Job, isBackground: boolean): void {
	job.queue.metrics.count(Count.COALESCED, job.priority);
	if (!isBackground) {
		server.jobs.attach(job, from.asClient());
		from.send(Type.JOB_CREATED, job.handle);
		return;
	}
	// From now on the job is kept, even when the clients that wait for it leave.
	job.isBackground = true;
	from.awaitCommit(job);
	server.journal.add(job, from);
}

/** The job is in the store: workers may have it. Each of its waiters says so. */
export function releaseCommitted(server: Server, job: Job): void {
	if (job.state === JobState.HELD) server.jobs.release(job, server.nowMs());
}

/** The store has refused the job: it goes on only for clients that wait for it. Each of its waiters says so. */
export function withdrawRefused(server: Server, job: Job): void {
	job.isBackground = false;
	job.isStored = false;
	if (job.state === JobState.HELD && job.attachments.length > 0) server.jobs.release(job, server.nowMs());
	else server.jobs.dropIfAbandoned(job, Count.REFUSED);
}

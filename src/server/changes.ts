// What an administrator may change about jobs and functions, whichever way he asks: admin text or HTTP.

import { Type } from "../protocol/commands.ts";
import type { FunctionQueue } from "./function-queue.ts";
import { type Job, JobState } from "./job.ts";
import { textOf } from "./names.ts";
import type { Server } from "./server.ts";

/** Cancels a job; whoever waits for it is told that it failed. */
export function cancel(server: Server, job: Job): void {
	for (const client of server.jobs.cancel(job)) client.receiver.send(Type.WORK_FAIL, job.handle);
}

/**
 * Drops a function, unless it has workers or running jobs: then false. Jobs still queued for it are cancelled: nobody
 * could ever get them otherwise.
 */
export function drop(server: Server, queue: FunctionQueue): boolean {
	if (queue.workers > 0 || queue.running > 0) return false;
	if (queue.total > 0) {
		server.log.notice(`drop function ${JSON.stringify(textOf(queue.name))} cancels its ${queue.total} jobs`);
		for (const job of [...server.jobs.jobs()]) {
			if (job.queue === queue && job.state !== JobState.RUNNING) cancel(server, job);
		}
	}
	server.jobs.dropFunction(queue);
	return true;
}

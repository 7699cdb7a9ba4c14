// POST /FUNCTION runs a job. GET /jobs/HANDLE tells its state, or follows it as events; DELETE /jobs/HANDLE cancels it.

import { GearmanError } from "../../errors.ts";
import { Type } from "../../protocol/commands.ts";
import { fromName } from "../../protocol/packet.ts";
import { HIGH, type Job, JobState, LOW } from "../job.ts";
import type { Server } from "../server.ts";
import { submitJob } from "../submit.ts";
import { answerJson, answerText, type Exchange } from "./http-answer.ts";
import { readBody } from "./http-body.ts";
import { HttpClient } from "./http-client.ts";
import { Events } from "./http-events.ts";
import { answerRefused, Result } from "./http-result.ts";
import { readSubmission, type Submission, wantsEvents } from "./http-submission.ts";

export async function runFunction(exchange: Exchange): Promise<void> {
	const { server, request, response, rest: functionName, query } = exchange;
	let submission: Submission;
	try {
		if (functionName.includes("\0")) throw new GearmanError("BAD_ARGUMENT", "A function's name has no NUL");
		if (query.size > 0) throw new GearmanError("BAD_ARGUMENT", "A ? in a function's name is written %3F");
		submission = readSubmission(request.headers, server.nowMs());
	} catch (error) {
		if (error instanceof GearmanError) return answerText(response, 400, error.message);
		throw error;
	}
	if (server.isDraining) return answerRefused(response, "SHUTDOWN_GRACEFUL");
	if (submission.requiresWorker && !hasWorker(server, functionName)) return answerRefused(response, "NO_WORKER");
	const workload = await readBody(exchange);
	if (workload === undefined) return;
	if (server.isStopping) return answerRefused(response, "SHUTDOWN_GRACEFUL");
	const { isBackground } = submission;
	// Nobody is left to wait for it.
	if (request.socket.destroyed && !isBackground) return;
	const client = new HttpClient(server, response);
	const isFollowed = submission.wantsEvents && !isBackground;
	const report = isFollowed
		? new Events(client, response)
		: new Result(client, response, (line) => server.log.warning(line));
	client.reportTo(report, submission.timeoutMs);
	if (request.headers["x-gearman-unique"] !== undefined) response.setHeader("X-Gearman-Unique", submission.unique);
	const { unique, priority, dueMs } = submission;
	const incoming = { bytes: workload, dataStart: 0, end: workload.length, keepData: () => workload };
	submitJob(server, client, functionName, unique, incoming, priority, isBackground, dueMs, undefined);
	server.turn.schedule();
}

export function showJob({ server, request, response, rest: handle }: Exchange): void {
	response.setHeader("Cache-Control", "no-store");
	const job = server.jobs.find(handle);
	if (job === undefined) answerJson(response, 404, { handle, known: false, running: false });
	else if (wantsEvents(request.headers) && request.method === "GET" && !job.isCancelled) {
		const client = new HttpClient(server, response);
		client.reportTo(new Events(client, response), undefined);
		server.jobs.attach(job, client.asClient());
		client.send(Type.JOB_CREATED, job.handle);
	} else answerJson(response, 200, describe(job));
}

export function cancelJob({ server, response, rest: handle }: Exchange): void {
	const job = server.jobs.find(handle);
	if (job === undefined || !server.cancel(job)) answerText(response, 404, "No such job");
	else answerText(response, 200, "cancelled");
	server.turn.schedule();
}

function hasWorker(server: Server, functionName: string): boolean {
	return (server.jobs.functions.get(functionName)?.workers ?? 0) > 0;
}

function describe(job: Job): object {
	return {
		handle: job.handle,
		known: true,
		running: job.state === JobState.RUNNING,
		numerator: job.numerator,
		denominator: job.denominator,
		state: stateOf(job),
		function: fromName(job.functionName),
		unique: fromName(job.unique),
		priority: job.priority === HIGH ? "high" : job.priority === LOW ? "low" : "normal",
		background: job.isBackground,
		clients: job.attachments.length,
		retries: job.retries,
		submitted: new Date(job.submittedMs).toISOString(),
	};
}

function stateOf(job: Job): string {
	if (job.isCancelled) return "cancelled";
	switch (job.state) {
		case JobState.RUNNING:
			return "running";
		case JobState.DELAYED:
			return "delayed";
		case JobState.HELD:
			return "storing";
		default:
			return "queued";
	}
}

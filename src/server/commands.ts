// THE SWITCH: one packet from a peer in, state changes and replies out. Peer.onPacket calls run(); nothing here waits.
// Whatever a packet holds, the answer is a reply, an ERROR packet, silence where the protocol has none, or (for numbers
// that are not Gearman) a closed connection; the peer's other packets are not harmed.

import { argumentCount, fieldCount, nameOf, Type } from "../protocol/commands.ts";
import type { Packet } from "../protocol/parser.ts";
import { HIGH, type Job, LOW, NORMAL, type Priority, toUint32 } from "./job.ts";
import { Count, type Ending } from "./metrics.ts";
import type { Peer } from "./peer.ts";
import type { Server } from "./server.ts";
import { MAX_UNIQUE, submitJob } from "./submit.ts";

/** gearmand's GEARMAND_JOB_HANDLE_SIZE, the NUL included. */
const HANDLE_LIMIT = 64;
const MAX_CLIENT_ID = 127;
/** Digits of WORK_STATUS's denominator that gearmand lets pass. */
const MAX_DENOMINATOR = 11;
/** Longest argument in front of the data, in bytes. */
const MAX_ARGUMENT = 65_536;
const MAX_INT64 = 0x7fffffffffffffffn;

const FOREGROUND = false;
const BACKGROUND = true;

export function run(server: Server, peer: Peer, packet: Packet): void {
	const type = packet.type;
	if (!packet.isRequest) return peer.error("INVALID_MAGIC");
	if (fieldCount(type) < 0 && type !== 5) return peer.onGarbage(`sent packet ${type}, which is not Gearman`);
	if (server.log.isDebug) {
		server.log.debug(`${peer.name} ${nameOf(type) ?? type} ${packet.end - packet.start}`, { peer: peer.name });
	}
	if (!packet.isComplete) {
		return peer.error("INVALID_PACKET", `${nameOf(type)} has ${packet.count} of its ${fieldCount(type)} arguments`);
	}
	if (packet.end - packet.start > MAX_ARGUMENT && hasLargeArgument(packet)) {
		return peer.error("ARGUMENT_TOO_LARGE", `An argument of ${nameOf(type)} is over ${MAX_ARGUMENT} bytes`);
	}
	server.metrics.packets[type]++;
	switch (type) {
		case Type.SUBMIT_JOB:
			return submit(server, peer, packet, NORMAL, FOREGROUND);
		case Type.SUBMIT_JOB_BG:
			return submit(server, peer, packet, NORMAL, BACKGROUND);
		case Type.GRAB_JOB:
		case Type.GRAB_JOB_UNIQ:
		case Type.GRAB_JOB_ALL:
			return server.grabs.grab(peer.asWorker(), type);
		case Type.PRE_SLEEP:
			if (server.jobs.sleep(peer.asWorker(), server.nowMs()) && server.isGranting) peer.send(Type.NOOP, "");
			return;
		case Type.WORK_COMPLETE:
			return workComplete(server, peer, packet);
		case Type.WORK_DATA:
		case Type.WORK_WARNING:
			return workData(server, peer, packet);
		case Type.WORK_STATUS:
			return workStatus(server, peer, packet);
		case Type.WORK_FAIL:
			return workFail(server, peer, packet);
		case Type.WORK_EXCEPTION:
			return workException(server, peer, packet);
		case Type.SUBMIT_JOB_HIGH:
			return submit(server, peer, packet, HIGH, FOREGROUND);
		case Type.SUBMIT_JOB_HIGH_BG:
			return submit(server, peer, packet, HIGH, BACKGROUND);
		case Type.SUBMIT_JOB_LOW:
			return submit(server, peer, packet, LOW, FOREGROUND);
		case Type.SUBMIT_JOB_LOW_BG:
			return submit(server, peer, packet, LOW, BACKGROUND);
		case Type.SUBMIT_JOB_EPOCH:
			return submitEpoch(server, peer, packet);
		case Type.SUBMIT_REDUCE_JOB:
			return submitReduce(server, peer, packet, FOREGROUND);
		case Type.SUBMIT_REDUCE_JOB_BACKGROUND:
			return submitReduce(server, peer, packet, BACKGROUND);
		case Type.GET_STATUS:
			return getStatus(server, peer, packet);
		case Type.GET_STATUS_UNIQUE:
			return getStatusUnique(server, peer, packet);
		case Type.ECHO_REQ:
			return peer.forward(Type.ECHO_RES, packet);
		case Type.CAN_DO:
			return server.jobs.addAbility(peer.asWorker(), packet.text(0), 0, server.nowMs());
		case Type.CAN_DO_TIMEOUT:
			return canDoTimeout(server, peer, packet);
		case Type.CANT_DO:
			return server.jobs.removeAbility(peer.asWorker(), packet.text(0), server.nowMs());
		case Type.RESET_ABILITIES:
			return server.jobs.removeAbilities(peer.asWorker(), server.nowMs());
		case Type.SET_CLIENT_ID:
			peer.clientId = untilNul(packet.text(0)).slice(0, MAX_CLIENT_ID);
			return;
		case Type.OPTION_REQ:
			return option(peer, packet);
		// SUBMIT_JOB_SCHED and ALL_YOURS were never implemented; the others are a server's words.
		default:
			return peer.error("INVALID_COMMAND");
	}
}

function hasLargeArgument(packet: Packet): boolean {
	for (let i = 0; i < argumentCount(packet.type); i++) if (packet.lengthOf(i) > MAX_ARGUMENT) return true;
	return false;
}

function submit(server: Server, peer: Peer, packet: Packet, priority: Priority, isBackground: boolean): void {
	submitJob(server, peer, packet.name(), packet.text(1), packet, priority, isBackground, 0, undefined);
}

function submitEpoch(server: Server, peer: Peer, packet: Packet): void {
	// As strtoll reads it: what is no number is 0, now.
	const digits = /^\s*([+-]?\d+)/.exec(packet.text(2))?.[1] ?? "0";
	const epoch = BigInt(digits);
	if (epoch > MAX_INT64 || epoch < -MAX_INT64) return peer.error("ARGUMENT_TOO_LARGE", "Epoch value too large");
	const dueMs = Math.max(0, Number(epoch) * 1000);
	submitJob(server, peer, packet.text(0), packet.text(1), packet, NORMAL, BACKGROUND, dueMs, undefined);
}

function submitReduce(server: Server, peer: Peer, packet: Packet, isBackground: boolean): void {
	// The aggregator argument has no meaning in gearmand either; its length limit and sentence for the reducer are kept.
	if (packet.lengthOf(2) > MAX_UNIQUE) return peer.error("ARGUMENT_TOO_LARGE", "Unique value too large");
	const reducer = packet.text(2) || undefined;
	submitJob(server, peer, packet.text(0), packet.text(1), packet, NORMAL, isBackground, 0, reducer);
}

/** The job a worker's packet is about; only the connection it is assigned to may report on it. */
function ownJob(server: Server, peer: Peer, handle: string): Job | undefined {
	const job = server.jobs.find(handle);
	return job !== undefined && job.worker !== undefined && job.worker === peer.worker ? job : undefined;
}

function workComplete(server: Server, peer: Peer, packet: Packet): void {
	const job = ownJob(server, peer, packet.text(0));
	if (job === undefined) return peer.error("JOB_NOT_FOUND");
	forward(peer, job, Type.WORK_COMPLETE, packet);
	end(server, job, Count.COMPLETED);
}

function workData(server: Server, peer: Peer, packet: Packet): void {
	const job = ownJob(server, peer, packet.text(0));
	if (job === undefined) return peer.error("JOB_NOT_FOUND", "Job does not exist on server");
	forward(peer, job, packet.type, packet);
}

function workStatus(server: Server, peer: Peer, packet: Packet): void {
	const job = ownJob(server, peer, packet.text(0));
	if (job === undefined) return peer.error("JOB_NOT_FOUND");
	if (packet.lengthOf(2) > MAX_DENOMINATOR) return peer.error("ARGUMENT_TOO_LARGE", "Denominator too large");
	job.numerator = toUint32(packet.text(1));
	job.denominator = toUint32(packet.text(2));
	forward(peer, job, Type.WORK_STATUS, packet);
}

function workFail(server: Server, peer: Peer, packet: Packet): void {
	if (packet.lengthOf(0) >= HANDLE_LIMIT) {
		const text = "Error occurred due to GEARMAND_JOB_HANDLE_SIZE being too small from snprintf";
		return peer.error("ARGUMENT_TOO_LARGE", text);
	}
	const handle = untilNul(packet.text(0));
	const job = ownJob(server, peer, handle);
	if (job === undefined) {
		// Some workers send WORK_FAIL after WORK_EXCEPTION, which has ended the job already, and die of an ERROR.
		if (peer.worker !== undefined && peer.worker.lastException === handle) peer.worker.lastException = undefined;
		else peer.error("JOB_NOT_FOUND");
		return;
	}
	for (const { client } of job.attachments) client.receiver.send(Type.WORK_FAIL, handle);
	end(server, job, Count.FAILED);
}

function workException(server: Server, peer: Peer, packet: Packet): void {
	const handle = packet.text(0);
	const job = ownJob(server, peer, handle);
	if (job === undefined) {
		return peer.error("JOB_NOT_FOUND", "An exception was received for a job that does not exist");
	}
	for (const { client } of job.attachments) {
		if (client.wantsExceptions) client.receiver.forward(Type.WORK_EXCEPTION, packet);
		else client.receiver.send(Type.WORK_FAIL, handle);
	}
	peer.asWorker().lastException = handle;
	end(server, job, Count.EXCEPTIONS);
}

/** Its worker has said how the job ended. */
function end(server: Server, job: Job, ending: Ending): void {
	job.queue.metrics.run.observe((server.nowMs() - job.since) | 0);
	server.jobs.remove(job, ending);
}

/** The worker's packet goes to every client of the job; one that takes it too slowly makes the worker wait. */
function forward(peer: Peer, job: Job, type: number, packet: Packet): void {
	if (type !== Type.WORK_STATUS) job.queue.metrics.count(Count.RESULT_BYTES, job.priority, packet.lengthOf(1));
	for (const { client } of job.attachments) {
		const { receiver } = client;
		receiver.forward(type, packet);
		if (receiver.isCongested) {
			peer.pause();
			receiver.onceDrained(() => peer.resume());
		}
	}
}

function getStatus(server: Server, peer: Peer, packet: Packet): void {
	const handle = untilNul(packet.text(0));
	if (handle.length >= HANDLE_LIMIT) return peer.error("ARGUMENT_TOO_LARGE", "Job handle too large");
	peer.send(Type.STATUS_RES, `${handle}\0${statusOf(server.jobs.find(handle))}`);
}

function getStatusUnique(server: Server, peer: Peer, packet: Packet): void {
	const unique = untilNul(packet.text(0));
	if (unique.length > MAX_UNIQUE) return peer.error("ARGUMENT_TOO_LARGE", "Unique value too large");
	const job = server.jobs.findUnique(unique);
	peer.send(Type.STATUS_RES_UNIQUE, `${unique}\0${statusOf(job)}\0${job?.attachments.length ?? 0}`);
}

/** known, running, numerator, denominator */
function statusOf(job: Job | undefined): string {
	if (job === undefined) return "0\x000\x000\x000";
	return `1\0${job.worker === undefined ? 0 : 1}\0${job.numerator}\0${job.denominator}`;
}

function canDoTimeout(server: Server, peer: Peer, packet: Packet): void {
	if (packet.lengthOf(1) > 20) return peer.error("ARGUMENT_TOO_LARGE", "Timeout value too large");
	// What is no number is 0, no timeout; as is a number gearmand would have overflowed on.
	const timeoutMs = Number.parseInt(packet.text(1), 10) || 0;
	const isSane = timeoutMs <= Number.MAX_SAFE_INTEGER;
	server.jobs.addAbility(peer.asWorker(), packet.text(0), isSane ? timeoutMs : 0, server.nowMs());
}

function option(peer: Peer, packet: Packet): void {
	const name = packet.text(0);
	if (untilNul(name).toLowerCase() !== "exceptions") return peer.error("UNKNOWN_OPTION");
	peer.wantsExceptions = true;
	if (peer.client !== undefined) peer.client.wantsExceptions = true;
	peer.send(Type.OPTION_RES, name);
}

/** Some clients end a packet's last argument with a NUL as well; gearmand reads it up to there. */
function untilNul(text: string): string {
	const nul = text.indexOf("\0");
	return nul < 0 ? text : text.slice(0, nul);
}

// One HTTP request as a client of a job: what the job sends goes to a report, which makes an answer of it. Its bytes
// leave a piece at a time, so that a client that reads slowly is told from one that does not read: the first makes the
// worker wait, the second is dropped, as on the Gearman port.

import type { ServerResponse } from "node:http";
import { SERVER_ERRORS, type ServerErrorCode } from "../../errors.ts";
import { Type } from "../../protocol/commands.ts";
import type { Packet } from "../../protocol/parser.ts";
import { type Blockable, Client, CONGESTED, HIGH_WATER, type Job, type Receiver } from "../job.ts";
import type { Server } from "../server.ts";
import { releaseCommitted, type Submitter, withdrawRefused } from "../submit.ts";

/** What becomes of a job's words. After complete(), failed(), exception(), refused() and timedOut() nothing comes. */
export interface Report {
	/** The client waits for this job. */
	created(handle: string): void;
	/** The background job is kept. */
	kept(handle: string): void;
	data(bytes: Buffer): void;
	warning(bytes: Buffer): void;
	status(numerator: string, denominator: string): void;
	complete(bytes: Buffer): void;
	failed(): void;
	exception(bytes: Buffer): void;
	refused(code: ServerErrorCode, text: string): void;
	timedOut(): void;
}

/** Responses that end as soon as all that was written has left. */
const ending = new WeakSet<ServerResponse>();

/** All that the response is to say has been said, if not sent. */
export function isEnding(response: ServerResponse): boolean {
	return response.writableEnded || ending.has(response);
}

/** Bytes given to the response at a time. */
const WRITE_LIMIT = 1 << 16;

export class HttpClient implements Receiver, Submitter, Blockable {
	readonly name: string;
	movedAtMs = 0;
	pendingBytes = 0;
	readonly #server: Server;
	readonly #response: ServerResponse;
	readonly #client = new Client(this);
	#report: Report | undefined;
	#queue: Buffer[] = [];
	#isWriting = false;
	#finish: (() => void) | undefined;
	#onDrained: (() => void)[] = [];
	#timer: NodeJS.Timeout | undefined;
	#isClosed = false;

	constructor(server: Server, response: ServerResponse) {
		const { remoteAddress, remotePort } = response.req.socket;
		this.name = `${remoteAddress}:${remotePort}`;
		this.#server = server;
		this.#response = response;
		// Exceptions are what status codes are for.
		this.#client.wantsExceptions = true;
		response.once("close", () => this.#leave());
	}

	/** Reports to it from now on; for at most timeoutMs. */
	reportTo(report: Report, timeoutMs: number | undefined): void {
		this.#report = report;
		if (timeoutMs === undefined) return;
		this.#timer = setTimeout(() => {
			this.#last()?.timedOut();
			this.#detach();
		}, timeoutMs);
	}

	asClient(): Client {
		return this.#client;
	}

	send(type: number, text: string): void {
		if (type === Type.JOB_CREATED) this.#report?.created(text);
		else if (type === Type.WORK_FAIL) this.#last()?.failed();
	}

	forward(type: number, packet: Packet): void {
		switch (type) {
			case Type.WORK_DATA:
				return this.#report?.data(packet.keepData());
			case Type.WORK_WARNING:
				return this.#report?.warning(packet.keepData());
			case Type.WORK_STATUS:
				return this.#report?.status(packet.text(1), packet.text(2));
			case Type.WORK_COMPLETE:
				return this.#last()?.complete(packet.keepData());
			case Type.WORK_EXCEPTION:
				return this.#last()?.exception(packet.keepData());
		}
	}

	error(code: ServerErrorCode, text: string = SERVER_ERRORS[code]): void {
		this.#server.log.warning(`${this.name} GEARMAN_${code}:${text}`, { peer: this.name });
		this.#last()?.refused(code, text);
	}

	awaitCommit(): void {
		// An answer of its own holds up no other.
	}

	accepted(handle: string): void {
		this.send(Type.JOB_CREATED, handle);
	}

	queued(handle: string): void {
		this.#last()?.kept(handle);
	}

	committed(job: Job): void {
		releaseCommitted(this.#server, job);
		this.#last()?.kept(job.handle);
	}

	refused(job: Job): void {
		withdrawRefused(this.#server, job);
		this.#last()?.refused("QUEUE_ERROR", "The store does not keep the job");
	}

	/** Appends to the response's body. */
	write(bytes: Buffer): void {
		if (this.#isClosed || bytes.length === 0) return;
		this.#queue.push(bytes);
		this.pendingBytes += bytes.length;
		if (!this.#isWriting) this.#writeNext();
		this.#watch();
	}

	/** Sees to it that a client is dropped that does not read. One whose turn on its connection has not come may wait. */
	#watch(): void {
		const { blocked } = this.#server;
		const isOwed = this.pendingBytes > HIGH_WATER && (this.#response.socket !== null || this.isCongested);
		if (!isOwed) blocked.delete(this);
		else if (!blocked.has(this)) {
			this.movedAtMs = this.#server.nowMs();
			blocked.add(this);
			this.#server.turn.schedule();
		}
	}

	/** Calls `finish`, which ends the response, when all that was written before has left. */
	end(finish: () => void): void {
		this.#finish = finish;
		ending.add(this.#response);
		if (!this.#isWriting) this.#writeNext();
	}

	get isCongested(): boolean {
		return this.pendingBytes > CONGESTED;
	}

	onceDrained(resume: () => void): void {
		this.#onDrained.push(resume);
	}

	get holdsUpWorker(): boolean {
		return this.#onDrained.length > 0;
	}

	destroy(): void {
		this.#response.req.socket.destroy();
	}

	/** The report, for its last word. */
	#last(): Report | undefined {
		const report = this.#report;
		this.#report = undefined;
		clearTimeout(this.#timer);
		return report;
	}

	#writeNext(): void {
		if (this.#queue.length === 0) {
			const finish = this.#finish;
			this.#finish = undefined;
			if (!this.#isClosed) finish?.();
			return;
		}
		const piece = this.#takePiece();
		this.#isWriting = true;
		this.#response.write(piece, () => {
			this.#isWriting = false;
			this.pendingBytes -= piece.length;
			this.movedAtMs = this.#server.nowMs();
			if (!this.isCongested) this.#release();
			if (this.#isClosed) return;
			this.#watch();
			this.#writeNext();
		});
	}

	/** As much of the queue as is written at once: a piece of something large, or small ones together. */
	#takePiece(): Buffer {
		const first = this.#queue[0];
		if (first.length > WRITE_LIMIT) {
			this.#queue[0] = first.subarray(WRITE_LIMIT);
			return first.subarray(0, WRITE_LIMIT);
		}
		let count = 1;
		let size = first.length;
		while (count < this.#queue.length && size + this.#queue[count].length <= WRITE_LIMIT) {
			size += this.#queue[count++].length;
		}
		const pieces = this.#queue.splice(0, count);
		return count === 1 ? first : Buffer.concat(pieces, size);
	}

	/** The connection is gone, or the response is out. */
	#leave(): void {
		this.#isClosed = true;
		this.#last();
		this.#queue = [];
		this.#finish = undefined;
		this.#server.blocked.delete(this);
		this.#release();
		this.#detach();
	}

	/** Its jobs are dropped when nobody else wants them. */
	#detach(): void {
		// A restart is nobody's leaving.
		if (!this.#server.isStopping) this.#server.jobs.removeClient(this.#client);
	}

	#release(): void {
		const waiting = this.#onDrained;
		this.#onDrained = [];
		for (const resume of waiting) resume();
	}
}

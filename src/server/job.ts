// A job as the server keeps it, and the client role it is attached to. Data only; jobs.ts moves it through its states.

import { createHash } from "node:crypto";
import type { Packet } from "../protocol/parser.ts";
import type { FunctionQueue, Worker } from "./function-queue.ts";

/** HIGH, NORMAL, LOW: an index into per-priority arrays. */
export type Priority = 0 | 1 | 2;
export const HIGH = 0;
export const NORMAL = 1;
export const LOW = 2;

/** Where a job is; the picture is at the head of jobs.ts. */
export const JobState = { HELD: 0, DELAYED: 1, QUEUED: 2, RUNNING: 3, GONE: 4 } as const;
export type JobState = (typeof JobState)[keyof typeof JobState];

/** Where packets for a connection's role go. */
export interface Receiver {
	/** Queues one response packet: `text` (latin1) and then `data` are its body. */
	send(type: number, text: string, data?: Buffer): void;
	/** Queues a packet of that type with the body of one that came in. */
	forward(type: number, packet: Packet): void;
	/** So much is waiting to leave that whoever sends more should stop. */
	readonly isCongested: boolean;
	/** Calls back once it is congested no more, or gone. */
	onceDrained(resume: () => void): void;
}

/** A connection that does jobs. */
export interface Assignee {
	/** As Receiver.send(). */
	send(type: number, text: string, data?: Buffer): void;
	/** What was sent leaves now, not at the end of the turn. */
	flush(): void;
}

/** Somebody that waits for a job to be durable. */
export interface Waiter {
	/** The job is in the store. Called once. */
	committed(job: Job): void;
	/** It is not, and will not be. Called once. */
	refused(job: Job): void;
}

/** Who has more than this on its way out is not read from, and watched. */
export const HIGH_WATER = 1 << 20;
/** A worker is not read from while a client it sends to has more than this on its way out. */
export const CONGESTED = 1 << 24;

/** Somebody who may not take what is sent. */
export interface Blockable {
	/** Address and port, for the log. */
	readonly name: string;
	/** Bytes on their way out. */
	readonly pendingBytes: number;
	/** When bytes last moved out, while above HIGH_WATER. */
	readonly movedAtMs: number;
	/** A worker waits until more is taken. */
	readonly holdsUpWorker: boolean;
	/** Ends the connection at once. */
	destroy(): void;
}

/** A connection that waits for jobs. */
export class Client {
	readonly receiver: Receiver;
	/** Asked for WORK_EXCEPTION; others get WORK_FAIL instead. */
	wantsExceptions = false;
	/** The jobs it waits for. */
	attachments: Attachment[] = [];
	/** How many jobs it has submitted, each when it waited for no other. */
	inARow = 0;

	constructor(receiver: Receiver) {
		this.receiver = receiver;
	}

	/** It waits for one job, and had waited for the one before when it submitted that. */
	get hasOneJob(): boolean {
		return this.inARow > 0 && this.attachments.length === 1;
	}
}

/** A client that waits for a job. */
export class Attachment {
	readonly client: Client;
	readonly job: Job;
	/** Its place among the client's. */
	index: number;

	constructor(client: Client, job: Job) {
		this.client = client;
		this.job = job;
		this.index = client.attachments.length;
	}
}

const NOBODY: Attachment[] = [];

/** A workload, bytes[dataStart … end), that may have to be copied to be kept. A packet is one. */
export interface Incoming {
	readonly bytes: Buffer;
	readonly dataStart: number;
	readonly end: number;
	keepData(): Buffer;
}

/** What a submit asks for. */
export interface NewJob {
	readonly queue: FunctionQueue;
	/** The client's name for the job, at most 64 bytes; "" none. */
	readonly unique: string;
	/** What the job coalesces by, see uniqueKeyOf(). */
	readonly uniqueKey: string;
	readonly workload: Buffer;
	readonly priority: Priority;
	readonly isBackground: boolean;
	/** Not before this time, ms since 1970; 0: now. */
	readonly dueMs: number;
	/** SUBMIT_REDUCE_JOB's reducer function. */
	readonly reducer: string | undefined;
	/** ms since 1970. */
	readonly submittedMs: number;
}

/** One piece of work. */
export class Job {
	readonly handle: string;
	readonly queue: FunctionQueue;
	readonly unique: string;
	readonly uniqueKey: string;
	readonly workload: Buffer;
	readonly priority: Priority;
	readonly reducer: string | undefined;
	readonly dueMs: number;
	readonly submittedMs: number;
	/** Kept until it is done, whoever leaves. */
	isBackground: boolean;
	/** The store has it, or is about to: it must be deleted there when the job is done. */
	isStored = false;
	/** Those who wait for the commit that stores it. The journal's. */
	waiters: Waiter[] | undefined = undefined;
	/** Cancelled while running: it ends with its worker's next word, and the result goes nowhere. */
	isCancelled = false;
	state: JobState = JobState.HELD;
	/** DELAYED: when it is due; RUNNING with a timeout: when that is over. ms since 1970. */
	timeMs = 0;
	heapIndex = -1;
	/** QUEUED behind the Jobs of its function: where; 0: not. Kept by backlog.ts. */
	place = 0;
	/** QUEUED, RUNNING: since when; the low 32 bits of ms since 1970, a number that needs no box on the heap. */
	since = 0;
	/** Assignments lost so far. */
	retries = 0;
	numerator = 0;
	denominator = 0;
	/** Who waits for it. */
	attachments: Attachment[] = NOBODY;
	worker: Worker | undefined = undefined;
	/** Its place among the worker's. */
	workerIndex = 0;
	/** Neighbours among the function's jobs of the same state. */
	previous: Job | undefined = undefined;
	next: Job | undefined = undefined;

	constructor(handle: string, request: NewJob) {
		this.handle = handle;
		this.queue = request.queue;
		this.unique = request.unique;
		this.uniqueKey = request.uniqueKey;
		this.workload = request.workload;
		this.priority = request.priority;
		this.reducer = request.reducer;
		this.isBackground = request.isBackground;
		this.dueMs = request.dueMs;
		this.submittedMs = request.submittedMs;
	}

	/** The client gets what the job sends from now on. */
	attach(client: Client): void {
		const attachment = new Attachment(client, this);
		client.attachments.push(attachment);
		if (this.attachments === NOBODY) this.attachments = [attachment];
		else this.attachments.push(attachment);
	}

	/** Nobody waits for it any more; returns who did. */
	detachAll(): readonly Attachment[] {
		const { attachments } = this;
		this.attachments = NOBODY;
		for (const attachment of attachments) {
			const others = attachment.client.attachments;
			const last = others.pop();
			if (last === undefined || last === attachment) continue;
			others[attachment.index] = last;
			last.index = attachment.index;
		}
		return attachments;
	}

	get functionName(): string {
		return this.queue.name;
	}

	/** Nobody wants it any more. */
	get isAbandoned(): boolean {
		return !this.isBackground && this.attachments.length === 0;
	}
}

/**
 * What jobs of one function coalesce by: their unique; for the unique "-" their workload. "" never coalesces, nor does
 * "-" with an empty workload.
 */
export function uniqueKeyOf(unique: string, workload: Buffer): string {
	if (unique !== "-") return unique;
	if (workload.length === 0) return "";
	// No client's unique can hold a NUL, so this cannot meet one.
	return `\0${createHash("sha256").update(workload).digest("base64")}`;
}

/** As atoi reads it, in 32 bits: "-1" is 4294967295, "5abc" is 5, "abc" is 0. */
export function toUint32(text: string): number {
	return (Number.parseInt(text, 10) || 0) >>> 0;
}

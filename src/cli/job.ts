// A job of one gearman call, from its submit until what came of it is printed. What is done with its bytes is its kind's
// affair: job-output.ts prints them, job-json.ts makes a line of them, job-result.ts hands them on whole.

import type { TaskObserver } from "../client/link.ts";
import type { GearmanError } from "../errors.ts";
import type { Packet } from "../protocol/parser.ts";
import type { Jobs } from "./jobs.ts";

/** What tells one job from another. */
export interface JobName {
	readonly functionName: string;
	readonly unique: string;
	/** Its number in the order of the input, from 1; 0: it is no part of the input. */
	readonly seq: number;
	/** Where in the input its workload begins: bytes of workloads before it. */
	readonly offset: number;
}

export abstract class Job implements TaskObserver {
	readonly functionName: string;
	readonly unique: string;
	readonly seq: number;
	readonly offset: number;
	readonly workloadBytes: number;
	/** Until the server has the job, or no other try may follow. */
	workload: Uint8Array | undefined;
	/** Bytes of what waits for the job's turn. */
	keptBytes = 0;
	receivedBytes = 0;
	/** What was sent for it, until it is queued: it holds the workload. */
	request: { readonly isWritten: boolean } | undefined;
	handle = "";
	hasEnded = false;
	/** Set at the end: 0 done, else as the program's exit code. */
	exitCode = 0;
	/** Tries that failed. */
	failures = 0;
	/** For the job log: Unix time in ms of the last try's submit and of the end; of the workload, a hash. */
	startedAt = 0;
	endedAt = 0;
	hash = "";
	protected readonly jobs: Jobs;

	constructor(jobs: Jobs, name: JobName, workload: Uint8Array) {
		this.jobs = jobs;
		this.functionName = name.functionName;
		this.unique = name.unique;
		this.seq = name.seq;
		this.offset = name.offset;
		this.workload = workload;
		this.workloadBytes = workload.length;
	}

	/** All jobs before it are printed. Called once; what is not held may be printed from here on. */
	abstract beginTurn(): void;

	onCreated(handle: string): void {
		this.handle = handle;
		this.request = undefined;
		this.jobs.created(this);
		this.created();
		if (this.jobs.isBackground) this.#end();
	}

	onData(packet: Packet): void {
		this.jobs.signOfLife();
		this.data(packet);
	}

	onWarning(packet: Packet): void {
		this.jobs.signOfLife();
		this.warning(packet);
	}

	onStatus(numerator: number, denominator: number): void {
		this.jobs.signOfLife();
		this.status(numerator, denominator);
	}

	onComplete(packet: Packet): void {
		this.jobs.signOfLife();
		if (this.hasEnded) return;
		this.complete(packet);
		this.#end();
	}

	onError(error: GearmanError): void {
		if (this.hasEnded || this.jobs.isOver) return;
		if (this.jobs.triesAgain(this, error)) {
			this.jobs.forget(this);
			this.receivedBytes = 0;
			this.reset();
			return;
		}
		this.jobs.failed(this, error);
		this.error(error);
		this.#end();
	}

	protected abstract created(): void;
	protected abstract data(packet: Packet): void;
	protected abstract warning(packet: Packet): void;
	protected abstract status(numerator: number, denominator: number): void;
	protected abstract complete(packet: Packet): void;
	protected abstract error(error: GearmanError): void;
	/** Drops what has come: the job is tried again. */
	protected abstract reset(): void;

	#end(): void {
		this.hasEnded = true;
		this.jobs.ended(this);
	}
}

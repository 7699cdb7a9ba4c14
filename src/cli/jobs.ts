// The jobs of one gearman call: how many are under way, whose turn it is to print, which are tried again, how it ends.
// Takes workloads from a source as long as there is room and resolves with the exit code.
//
//   source ──next()──▶ submitted, at most `limit` ──▶ queue in input order ──beginTurn()──▶ printed, or collected
//
// What must stay true: nothing is read that there is no room for, so an endless input needs no endless memory.

import { type Client, newUnique } from "../client/client.ts";
import { murmur3 } from "../client/hash.ts";
import type { SubmitOptions } from "../client/submission.ts";
import { GearmanError } from "../errors.ts";
import { backoff } from "../net/connection.ts";
import type { Source } from "./input.ts";
import type { Job, JobName } from "./job.ts";
import type { Printer } from "./printer.ts";
import { SignOfLife } from "./sign-of-life.ts";
import { Turns } from "./turns.ts";

export interface JobsOptions {
	readonly functions: readonly string[];
	/** What every job is submitted with. */
	readonly submit: Pick<SubmitOptions, "priority" | "reducer">;
	/** Unix seconds: not before. */
	readonly epoch: number | undefined;
	readonly isBackground: boolean;
	readonly isVerbose: boolean;
	/** As given by -u. */
	readonly unique: string | undefined;
	/** Jobs under way. */
	readonly limit: number;
	/** Workloads under way and results that wait for their turn. */
	readonly maxKeptBytes: number;
	/** The source is a stream of records: a server that goes away is waited for, and the stream goes on. */
	readonly isStream: boolean;
	readonly timeoutMs: number | undefined;
	/** Jobs are pieces of one input, and their results parts of one result. */
	readonly isMap: boolean;
	/** A result is printed when all of it is there; one of a failed job is not. */
	readonly isWhole: boolean;
	/** Results come as they are ready, not in the order of the input. */
	readonly isUnordered: boolean;
	/** The first job that fails ends the reading. */
	readonly stopsAtFailure: boolean;
	/** Further tries of a job that failed. */
	readonly retries: number;
	makeJob(jobs: Jobs, name: JobName, workload: Uint8Array): Job;
	/** Called when the first job is queued at the server. */
	onFirstCreated?(): void;
}

/** Where results go on to, when they are not printed. */
export interface Collector {
	/** Bytes that could not go on yet. What lowers it calls Jobs.fill(). */
	readonly waitingBytes: number;
	/** Called once, with all results in. Without `gives` the result would be wrong and is not given. The exit code. */
	finish(gives: boolean): Promise<number>;
}

/** Remembers which jobs are done (--joblog). */
export interface JobLog {
	/** Before the job is sent: whether an earlier run has done it. Throws a GearmanError when it was not this one. */
	isDone(job: Job): boolean;
	/** The job has ended and what came of it is printed. */
	write(job: Job): void;
	/** All jobs of the input were seen. Throws as isDone(). */
	close(jobs: number): void;
}

const EMPTY = new Uint8Array(0);
/** Jobs submitted and not yet printed: how far the fast ones may run ahead of a slow one. */
const MAX_AHEAD = 8192;
/** How long a stream waits for a server to come back, and how often it looks. */
const WAIT_MS = 30_000;
const RETRY_MS = 500;
const LOST = 69;
const TIMED_OUT = 75;

export class Jobs {
	readonly printer: Printer;
	readonly isBackground: boolean;
	readonly isVerbose: boolean;
	readonly isMap: boolean;
	readonly isWhole: boolean;
	/** For the progress bar. */
	doneBytes = 0;
	failures = 0;
	readonly #client: Client;
	readonly #source: Source;
	readonly #options: JobsOptions;
	#collector: Collector | undefined;
	#log: JobLog | undefined;
	/** Not yet printed; unused where results are unordered. */
	readonly #turns = new Turns<Job>();
	#underWay = 0;
	#keptBytes = 0;
	/** What one job gave at most: as much is expected of each that is under way. */
	#largestResult = 0;
	#seq = 0;
	#offset = 0;
	#exitCode = 0;
	#isDrained = false;
	#isFilling = false;
	#isFinishing = false;
	#hasCreated = false;
	/** What ended a connection → how many jobs with it that may have run. */
	readonly #losses = new Map<string, number>();
	/** Since when no server could be reached; 0: one can. */
	#awaySince = 0;
	#isCutShort = false;
	readonly #signOfLife: SignOfLife | undefined;
	/** Under way, where somebody may have to end them all. */
	readonly #live: Set<Job> | undefined;
	#resolve: ((code: number) => void) | undefined;

	constructor(client: Client, source: Source, printer: Printer, options: JobsOptions) {
		this.#client = client;
		this.#source = source;
		this.#options = options;
		this.printer = printer;
		this.isBackground = options.isBackground;
		this.isVerbose = options.isVerbose;
		this.isMap = options.isMap;
		this.isWhole = options.isWhole;
		const { timeoutMs } = options;
		if (timeoutMs === undefined || timeoutMs < 0) return;
		this.#live = new Set();
		this.#signOfLife = new SignOfLife(timeoutMs, () => this.#timeOut(timeoutMs));
	}

	/** Before run(). */
	use({ collector, log }: { collector?: Collector | undefined; log?: JobLog | undefined }): void {
		this.#collector = collector;
		this.#log = log;
	}

	/** The exit code is known: what still comes is of no interest. */
	get isOver(): boolean {
		return this.#resolve === undefined;
	}

	get running(): number {
		return this.#underWay;
	}

	/** Runs all jobs of the source; the exit code. */
	run(): Promise<number> {
		return new Promise((resolve) => {
			this.#resolve = resolve;
			this.fill();
		});
	}

	/** Submits while there is room. */
	fill(): void {
		if (this.#isFilling || this.isOver) return;
		this.#isFilling = true;
		while (!this.#isDrained && this.#hasRoom()) {
			const workload = this.#next();
			if (workload === undefined) break;
			if (workload === null) this.#isDrained = true;
			else this.#submitAll(workload);
		}
		this.#isFilling = false;
		if (this.#isDrained && this.#isIdle) this.#finish();
	}

	/** Runs a job that is no part of the input; takes its turn when it ends. */
	runApart(job: Job): void {
		this.#start(job);
	}

	/** The input broke; jobs under way are seen to their end. */
	inputFailed(reason: string): void {
		this.printer.say(`gearman: ${reason}`);
		this.#exitCode ||= 1;
		this.#isDrained = true;
		this.fill();
	}

	/** Nobody takes the results any more: ends at once. */
	stop(exitCode: number): void {
		this.#exitCode ||= exitCode;
		this.#end();
	}

	signOfLife(): void {
		this.#signOfLife?.sign();
	}

	created(job: Job): void {
		this.signOfLife();
		this.#awaySince = 0;
		if (this.#options.retries === 0) this.#release(job);
		if (this.#hasCreated) return;
		this.#hasCreated = true;
		this.#options.onFirstCreated?.();
	}

	/** A job keeps bytes until its turn. */
	keep(job: Job, bytes: number): void {
		job.keptBytes += bytes;
		this.#keptBytes += bytes;
	}

	/** A job has let go of what it kept. */
	forget(job: Job): void {
		this.#keptBytes -= job.keptBytes;
		job.keptBytes = 0;
	}

	failed(job: Job, error: GearmanError): void {
		job.exitCode = exitCodeOf(error);
		this.failures++;
		if (this.#options.stopsAtFailure) this.#stopReading();
		if (job.exitCode === 1 && error.code !== "BAD_ARGUMENT") {
			this.#exitCode ||= 1;
			return;
		}
		// The rest are a connection's errors. A stream goes on with the next server, or this one when it is back; all else
		// that could be read has nowhere to go.
		if (error.code !== "CONNECTION_LOST" || !this.#options.isStream) this.#stopReading();
		if (this.#exitCode < LOST) this.#exitCode = job.exitCode;
		this.#losses.set(error.message, (this.#losses.get(error.message) ?? 0) + (error.mayHaveRun ? 1 : 0));
	}

	/** Whether a job that failed is sent again: by --retry, or because nobody could be asked and the server may come back. */
	triesAgain(job: Job, error: GearmanError): boolean {
		if (this.isOver) return false;
		if (error.code === "COULD_NOT_CONNECT") return this.#waitsForServer(job, error);
		if (error.code === "TIMED_OUT" || error.code === "BAD_ARGUMENT" || error.code === "ABORTED") return false;
		if (job.failures >= this.#options.retries) return false;
		setTimeout(() => this.#send(job), backoff(job.failures++));
		return true;
	}

	/** The job's last call: prints what has its turn now, and goes on. */
	ended(job: Job): void {
		if (--this.#underWay === 0) this.#signOfLife?.rest();
		this.#live?.delete(job);
		this.#release(job);
		if (job.receivedBytes > this.#largestResult) this.#largestResult = job.receivedBytes;
		if (job.seq > 0) this.doneBytes += job.workloadBytes;
		if (this.#log !== undefined) job.endedAt = Date.now();
		if (this.#options.isUnordered || job.seq === 0) {
			job.beginTurn();
			this.#settle(job);
		} else if (this.#turns.head === job) this.#passTurn(job);
		this.fill();
	}

	#next(): Uint8Array | undefined | null {
		try {
			return this.#source.next();
		} catch (error) {
			this.#refuse(error);
			return undefined;
		}
	}

	#hasRoom(): boolean {
		if (this.#isIdle) return true;
		const { limit, functions, maxKeptBytes } = this.#options;
		const underWay = this.#underWay + functions.length;
		return (
			underWay <= limit &&
			this.#turns.length < MAX_AHEAD &&
			this.#keptBytes + underWay * this.#largestResult + (this.#collector?.waitingBytes ?? 0) < maxKeptBytes
		);
	}

	/** One job of each function. */
	#submitAll(workload: Uint8Array): void {
		const { functions, unique: key, makeJob } = this.#options;
		for (const functionName of functions) {
			const unique = key === "#" ? String(murmur3(workload)) : key || newUnique();
			const job = makeJob(this, { functionName, unique, seq: ++this.#seq, offset: this.#offset }, workload);
			if (this.#log !== undefined && this.#isLoggedAsDone(job)) continue;
			if (!this.#options.isUnordered) {
				this.#turns.push(job);
				if (this.#turns.length === 1 && !this.#options.isWhole) job.beginTurn();
			}
			this.#start(job);
		}
		this.#offset += workload.length;
	}

	#isLoggedAsDone(job: Job): boolean {
		try {
			if (!this.#log?.isDone(job)) return false;
			this.doneBytes += job.workloadBytes;
		} catch (error) {
			this.#refuse(error);
		}
		return true;
	}

	#start(job: Job): void {
		if (this.#underWay++ === 0) this.#signOfLife?.watch();
		this.#live?.add(job);
		this.#keptBytes += job.workloadBytes;
		this.#send(job);
	}

	#send(job: Job): void {
		if (this.isOver) return;
		const { functionName, unique, workload = EMPTY } = job;
		const { submit, epoch } = this.#options;
		if (this.#log !== undefined) job.startedAt = Date.now();
		if (!this.isBackground) job.request = this.#client.start(job, functionName, workload, { ...submit, unique });
		else {
			const options = epoch === undefined ? { ...submit, unique } : { ...submit, unique, at: epoch };
			job.request = this.#client.startBackground(job, functionName, workload, options);
		}
	}

	/** Lets go of the workload: there is no other try. */
	#release(job: Job): void {
		if (job.workload === undefined) return;
		job.workload = undefined;
		this.#keptBytes -= job.workloadBytes;
	}

	#waitsForServer(job: Job, error: GearmanError): boolean {
		if (!this.#options.isStream || !this.#hasCreated) return false;
		const now = Date.now();
		if (this.#awaySince === 0) {
			this.#awaySince = now;
			this.printer.say(`gearman: ${error.message}; trying again`);
		} else if (now - this.#awaySince > WAIT_MS) return false;
		this.signOfLife();
		setTimeout(() => this.#send(job), RETRY_MS);
		return true;
	}

	#stopReading(): void {
		if (!this.#isDrained) this.#isCutShort = true;
		this.#isDrained = true;
	}

	/** Something about the input is not to be: no more of it is read. */
	#refuse(error: unknown): void {
		if (!(error instanceof Error) || error.name !== "GearmanError") throw error;
		this.printer.say(`gearman: ${error.message}`);
		this.#exitCode ||= 1;
		this.#isDrained = true;
	}

	get #isIdle(): boolean {
		return this.#underWay === 0 && this.#turns.length === 0;
	}

	/** The job is printed. */
	#settle(job: Job): void {
		this.forget(job);
		this.#log?.write(job);
	}

	/** The head has ended: it is printed, and those behind it that have ended too. */
	#passTurn(job: Job): void {
		if (this.#options.isWhole) job.beginTurn();
		for (let head: Job | undefined = job; head?.hasEnded; head = this.#turns.head) {
			if (head !== job) head.beginTurn();
			this.#settle(head);
			this.#turns.shift();
		}
		if (!this.#options.isWhole) this.#turns.head?.beginTurn();
	}

	#timeOut(timeoutMs: number): void {
		const message = `timed out: no sign of life for ${timeoutMs} ms`;
		for (const job of [...(this.#live ?? [])]) {
			job.onError(new GearmanError("TIMED_OUT", message, { mayHaveRun: job.request?.isWritten ?? true }));
		}
	}

	#finish(): void {
		if (this.#isFinishing) return;
		this.#isFinishing = true;
		try {
			if (!this.#isCutShort && this.#exitCode === 0) this.#log?.close(this.#seq);
		} catch (error) {
			this.#refuse(error);
		}
		if (this.#collector === undefined) {
			this.#conclude();
			return;
		}
		const gives = this.#exitCode === 0 || (!this.#options.stopsAtFailure && this.#exitCode === 1);
		this.printer.close();
		void this.#collector.finish(gives).then((code) => {
			this.#exitCode ||= code;
			this.#conclude();
		});
	}

	#conclude(): void {
		if (this.isOver) return;
		this.printer.close();
		for (const [message, count] of this.#losses) {
			const fate = count === 1 ? "; the job may have run" : `; ${count} jobs may have run`;
			this.printer.say(`gearman: ${message}${count > 0 ? fate : ""}`);
		}
		if (this.#isCutShort && this.#options.isStream) this.printer.say("gearman: the rest of the input was not sent");
		this.#end();
	}

	#end(): void {
		this.#signOfLife?.close();
		const resolve = this.#resolve;
		this.#resolve = undefined;
		resolve?.(this.#exitCode);
	}
}

function exitCodeOf(error: GearmanError): number {
	switch (error.code) {
		case "TIMED_OUT":
			return TIMED_OUT;
		// A certificate file that cannot be read, a function with a NUL in its name.
		case "BAD_ARGUMENT":
		case "JOB_FAILED":
		case "JOB_EXCEPTION":
		case "SERVER_ERROR":
			return 1;
		default:
			return LOST;
	}
}

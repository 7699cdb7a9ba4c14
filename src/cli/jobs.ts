// The jobs of one gearman call: how many are under way, what is printed next, how it ends. Takes workloads from a source
// as long as there is room, prints in the order of the source, and resolves with the exit code.
//
//   source ──next()──▶ submitted, at most `limit` ──▶ queue in input order ──▶ printed
//
// What must stay true: nothing is read that there is no room for, so an endless input needs no endless memory.

import { type Client, newUnique, type SubmitOptions } from "../client/client.ts";
import { murmur3 } from "../client/hash.ts";
import { GearmanError } from "../errors.ts";
import { type Job, JobOutput } from "./job-output.ts";
import { Output } from "./output.ts";
import { Progress, percent } from "./progress.ts";

/** Where workloads come from. */
export interface Source {
	/** undefined: none yet, `Jobs.fill()` is to be called when there is; null: that was the last. */
	next(): Uint8Array | undefined | null;
}

export interface JobsOptions {
	readonly functions: readonly string[];
	readonly submit: SubmitOptions;
	/** Unix seconds: not before. */
	readonly epoch: number | undefined;
	readonly isBackground: boolean;
	readonly isPrefixed: boolean;
	readonly isVerbose: boolean;
	/** As given by -u. */
	readonly unique: string | undefined;
	/** Jobs under way. */
	readonly limit: number;
	/** The source is a stream of records: a server that goes away is waited for, and the stream goes on. */
	readonly isStream: boolean;
	readonly timeoutMs: number | undefined;
	/** Makes jobs that print in another way (--json). */
	readonly JobClass?: new (
		jobs: Jobs,
		functionName: string,
		unique: string,
		workload: Uint8Array,
	) => Job;
	/** Called when the first job is queued at the server. */
	onFirstCreated?(): void;
}

const EMPTY = new Uint8Array(0);
/** Workloads under way and results that wait for their turn. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** Jobs submitted and not yet printed: how far the fast ones may run ahead of a slow one. */
const MAX_AHEAD = 8192;
/** How long a stream waits for a server to come back, and how often it looks. */
const WAIT_MS = 30_000;
const RETRY_MS = 500;
const LOST = 69;
const TIMED_OUT = 75;

export class Jobs {
	readonly isBackground: boolean;
	readonly isPrefixed: boolean;
	readonly isVerbose: boolean;
	readonly #client: Client;
	readonly #source: Source;
	readonly #options: JobsOptions;
	readonly #out: Output;
	readonly #progress = new Progress();
	readonly #JobClass: NonNullable<JobsOptions["JobClass"]>;
	/** In input order: #queue[#first …] are not yet printed. */
	#queue: (Job | undefined)[] = [];
	#first = 0;
	#underWay = 0;
	#keptBytes = 0;
	#exitCode = 0;
	#isDrained = false;
	#isFilling = false;
	#hasCreated = false;
	/** What ended a connection → how many jobs with it that may have run. */
	readonly #losses = new Map<string, number>();
	#lastSign = 0;
	/** Since when no server could be reached; 0: one can. */
	#awaySince = 0;
	#isCutShort = false;
	#timer: NodeJS.Timeout | undefined;
	#resolve: ((code: number) => void) | undefined;

	constructor(client: Client, source: Source, options: JobsOptions) {
		this.#client = client;
		this.#source = source;
		this.#options = options;
		this.isBackground = options.isBackground;
		this.isPrefixed = options.isPrefixed;
		this.isVerbose = options.isVerbose;
		this.#JobClass = options.JobClass ?? JobOutput;
		this.#out = new Output((error) => this.#cannotPrint(error));
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
		if (this.#isFilling || this.#resolve === undefined) return;
		this.#isFilling = true;
		while (!this.#isDrained && this.#hasRoom()) {
			const workload = this.#source.next();
			if (workload === undefined) break;
			if (workload === null) this.#isDrained = true;
			else for (const functionName of this.#options.functions) this.#submit(functionName, workload);
		}
		this.#isFilling = false;
		if (this.#isDrained && this.#first === this.#queue.length) this.#finish();
	}

	/** The input broke; jobs under way are seen to their end. */
	inputFailed(reason: string): void {
		this.#say(`gearman: could not read the input: ${reason}`);
		this.#exitCode ||= 1;
		this.#isDrained = true;
		this.fill();
	}

	signOfLife(): void {
		if (this.#timer !== undefined) this.#lastSign = Date.now();
	}

	created(): void {
		this.signOfLife();
		this.#awaySince = 0;
		if (this.#hasCreated) return;
		this.#hasCreated = true;
		this.#options.onFirstCreated?.();
	}

	/** A job keeps bytes until its turn. */
	keep(job: Job, bytes: number): void {
		job.keptBytes += bytes;
		this.#keptBytes += bytes;
	}

	failed(error: GearmanError): void {
		if (error.code === "JOB_FAILED" || error.code === "JOB_EXCEPTION" || error.code === "SERVER_ERROR") {
			this.#exitCode ||= 1;
			return;
		}
		// The rest are a connection's errors. A stream goes on with the next server, or this one when it is back; all else
		// that could be read has nowhere to go.
		if (error.code !== "CONNECTION_LOST" || !this.#options.isStream) this.#stopReading();
		if (this.#exitCode < LOST) this.#exitCode = exitCodeOf(error);
		this.#losses.set(error.message, (this.#losses.get(error.message) ?? 0) + (error.mayHaveRun ? 1 : 0));
	}

	/** Whether a job that nobody could be asked to do is tried again: its server was there, and may come back. */
	triesAgain(job: Job, error: GearmanError): boolean {
		if (error.code !== "COULD_NOT_CONNECT" || !this.#options.isStream || !this.#hasCreated || this.#isOver)
			return false;
		const now = Date.now();
		if (this.#awaySince === 0) {
			this.#awaySince = now;
			this.#say(`gearman: ${error.message}; trying again`);
		} else if (now - this.#awaySince > WAIT_MS) return false;
		this.signOfLife();
		setTimeout(() => this.#send(job), RETRY_MS);
		return true;
	}

	/** The job's last call: prints what has its turn now, and goes on. */
	ended(job: Job): void {
		this.#underWay--;
		this.#keptBytes -= job.workloadBytes;
		if (this.#queue[this.#first] === job) {
			for (;;) {
				const head = this.#queue[this.#first];
				if (head === undefined) break;
				if (head !== job) head.beginTurn();
				if (!head.hasEnded) break;
				this.#keptBytes -= head.keptBytes;
				this.#shift();
			}
		}
		this.fill();
	}

	print(bytes: Uint8Array | string): void {
		this.#progress.clear();
		this.#out.write(bytes);
	}

	/** On stderr; what was printed on stdout before comes first. */
	printError(prefix: string, bytes: Uint8Array | string): void {
		this.#progress.clear();
		this.#out.flush();
		if (prefix !== "") process.stderr.write(prefix);
		if (bytes.length > 0) process.stderr.write(bytes);
	}

	/** gearman(1)'s line, or a bar where somebody watches. */
	printStatus(functionName: string, prefix: string, numerator: number, denominator: number): void {
		if (process.stderr.isTTY) this.showProgress(functionName, numerator, denominator);
		else this.print(`${prefix}${percent(numerator, denominator)}% Complete\n`);
	}

	showProgress(functionName: string, numerator: number, denominator: number): void {
		if (!process.stderr.isTTY) return;
		this.#out.flush();
		this.#progress.show(functionName, numerator, denominator);
	}

	#hasRoom(): boolean {
		if (this.#underWay === 0 && this.#first === this.#queue.length) return true;
		return (
			this.#underWay + this.#options.functions.length <= this.#options.limit &&
			this.#queue.length - this.#first < MAX_AHEAD &&
			this.#keptBytes < MAX_KEPT_BYTES
		);
	}

	#submit(functionName: string, workload: Uint8Array): void {
		const { unique: key } = this.#options;
		const unique = key === "#" ? String(murmur3(workload)) : key || newUnique();
		const job = new this.#JobClass(this, functionName, unique, workload);
		if (this.#underWay++ === 0) this.#watch();
		this.#keptBytes += workload.length;
		this.#queue.push(job);
		if (this.#queue.length - this.#first === 1) job.beginTurn();
		this.#send(job);
	}

	#send(job: Job): void {
		const { functionName, unique, workload = EMPTY } = job;
		const { submit, epoch } = this.#options;
		const options = { ...submit, unique };
		job.request = this.isBackground
			? this.#client.startBackground(
					job,
					functionName,
					workload,
					epoch === undefined ? options : { ...options, at: epoch },
				)
			: this.#client.start(job, functionName, workload, options);
	}

	#stopReading(): void {
		if (!this.#isDrained) this.#isCutShort = true;
		this.#isDrained = true;
	}

	get #isOver(): boolean {
		return this.#resolve === undefined;
	}

	#shift(): void {
		this.#queue[this.#first++] = undefined;
		if (this.#first === this.#queue.length) {
			this.#queue.length = 0;
			this.#first = 0;
		} else if (this.#first > MAX_AHEAD && this.#first * 2 > this.#queue.length) {
			this.#queue = this.#queue.slice(this.#first);
			this.#first = 0;
		}
	}

	/** Begins to count the time without a sign of life. */
	#watch(): void {
		const { timeoutMs } = this.#options;
		if (timeoutMs === undefined || timeoutMs < 0) return;
		this.#lastSign = Date.now();
		if (this.#timer !== undefined) return;
		const check = (): void => {
			const leftMs = this.#lastSign + timeoutMs - Date.now();
			if (leftMs > 0) this.#timer = setTimeout(check, leftMs);
			else if (this.#underWay === 0) this.#timer = undefined;
			// Output may have held us up while packets came: let them be read before it counts.
			else setImmediate(() => (this.#lastSign + timeoutMs > Date.now() ? check() : this.#timeOut(timeoutMs)));
		};
		this.#timer = setTimeout(check, timeoutMs);
	}

	#timeOut(timeoutMs: number): void {
		const message = `timed out: no sign of life for ${timeoutMs} ms`;
		for (const job of this.#queue.slice(this.#first)) {
			job?.onError(new GearmanError("TIMED_OUT", message, { mayHaveRun: job.request?.isWritten ?? true }));
		}
	}

	#cannotPrint(error: NodeJS.ErrnoException): void {
		// `gearman … | head`: nobody wants more, and that is no failure.
		if (error.code !== "EPIPE") {
			process.stderr.write(`gearman: could not write the output: ${error.message}\n`);
			this.#exitCode ||= 1;
		}
		this.#end();
	}

	#finish(): void {
		this.#progress.clear();
		this.#out.flush();
		for (const [message, count] of this.#losses) {
			const fate = count === 1 ? "; the job may have run" : `; ${count} jobs may have run`;
			this.#say(`gearman: ${message}${count > 0 ? fate : ""}`);
		}
		if (this.#isCutShort && this.#options.isStream) this.#say("gearman: the rest of the input was not sent");
		this.#end();
	}

	#say(line: string): void {
		this.printError("", `${line}\n`);
	}

	#end(): void {
		clearTimeout(this.#timer);
		const resolve = this.#resolve;
		this.#resolve = undefined;
		resolve?.(this.#exitCode);
	}
}

function exitCodeOf(error: GearmanError): number {
	if (error.code === "TIMED_OUT") return TIMED_OUT;
	// A certificate file that cannot be read, a function with a NUL in its name.
	return error.code === "BAD_ARGUMENT" ? 1 : LOST;
}

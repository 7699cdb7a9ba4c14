// A command as a worker function: one process a job, workload on stdin, result from stdout. Called by cli/worker.ts.
// What must stay true: stdin and stdout move at the same time, so neither can fill a pipe the other waits for; every way
// a command can go wrong fails the job; and whoever is killed is killed with all it started (its process group).
//
// child_process.spawn and not execa: measured with 100 bytes through /bin/cat, one after the other (Node 20.20, 2 cores),
// spawn took 1.2 ms of CPU and 2.8 ms in all a job, execa 3.7 and 4.2 ms. What stdout and status cost is told in outlet.ts.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Readable, Transform } from "node:stream";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import split2 from "split2";
import { GearmanError } from "../errors.ts";
import type { Job } from "./job.ts";
import { makeOutlets, Outlet } from "./outlet.ts";
import { collect, type Output, sendChunks, sendLines } from "./output.ts";
import { type Exit, failureOf, GRACE_MS, isLost, isShortage, killGroup, programOf } from "./program.ts";
import { openStdin } from "./stdin.ts";

export interface CommandOptions {
	/**
	 * What stdout becomes: `result` (default) one result; `chunks` WORK_DATA as it comes; `lines` one WORK_DATA a line;
	 * `stripped` the same without the newlines. All but the first end in an empty result.
	 */
	readonly output?: "result" | "chunks" | "lines" | "stripped";
	/** Where stderr goes: to ours (default), or as WORK_WARNING to the client. */
	readonly stderr?: "inherit" | "warning";
	/** The command is killed after this long and the job fails; default: never. */
	readonly timeoutMs?: number;
	/** Told why the command cannot be started yet, once a job. */
	readonly onShortage?: (job: Job, reason: string) => void;
	/** Told of a line on GEARMAN_STATUS_FD that is no status, once a job. */
	readonly onBadStatus?: (job: Job, line: string) => void;
}

/** Starts the process on these descriptors. */
type Start = (stdin: number | "pipe", stdout: number | "pipe", status: number | "pipe") => ChildProcess;

const STATUS_FD = 3;
/** A command that cannot be started for want of something is tried again after this long, then twice as long, … */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 2000;
/** A command that runs for longer is listened to; a shorter one is read when it has exited. */
const LISTEN_MS = 5;
/** An endless line is skipped, not kept. Its own constant: split2's types do not know skipOverflow. */
const STATUS_LINES = { maxLength: 256, skipOverflow: true };
const OUTPUTS = {
	result: collect,
	chunks: sendChunks,
	lines: (job: Job) => sendLines(job, false),
	stripped: (job: Job) => sendLines(job, true),
};
/**
 * A worker function that runs the command once a job. One operand with blanks or shell syntax in it is run by `sh -c`;
 * anything else is a program and its arguments, and no shell sees them.
 */
export function command(operands: readonly string[], options: CommandOptions = {}) {
	const [file, ...args] = programOf(operands);
	// Reading process.env anew would cost a system call a variable, for every job.
	const environment = { ...process.env, GEARMAN_STATUS_FD: String(STATUS_FD) };
	const outputOf = OUTPUTS[options.output ?? "result"];
	/** stdout's and status', of commands that have ended. */
	const free: Outlet[][] = [];

	return async (job: Job): Promise<Uint8Array | undefined> => {
		const output = outputOf(job);
		const outlets = free.pop() ?? makeOutlets(2);
		const start: Start = (stdin, stdout, status) =>
			spawn(file, args, {
				// A session of its own: its process group can be killed whole, and Ctrl-C at our terminal spares it.
				detached: true,
				env: {
					...environment,
					GEARMAN_FUNCTION: job.functionName,
					GEARMAN_HANDLE: job.handle,
					GEARMAN_UNIQUE: job.unique,
				},
				stdio: [stdin, stdout, options.stderr === "warning" ? "pipe" : "inherit", status],
			});
		let run = new Run(job, output, outlets, options);
		let failure = await run.end(start);
		if (run.isShort) options.onShortage?.(job, failure ?? "");
		// A job is not to fail because there are too many others: it waits, and holds its place of -j, unless it is given back.
		let waitMs = FIRST_WAIT_MS;
		while (run.isShort) {
			await sleep(waitMs, undefined, { signal: job.signal }).catch(() => undefined);
			if (job.signal.aborted) break;
			waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
			run = new Run(job, output, outlets, options);
			failure = await run.end(start);
		}
		if (outlets.map((outlet) => outlet.close()).every(Boolean)) free.push(outlets);
		const result = await output.end();
		if (failure === undefined || job.signal.aborted) return result;
		if (result !== undefined && result.length > 0) await job.sendData(result);
		throw new GearmanError("COMMAND_FAILED", failure);
	};
}

/** One process of one job. */
class Run {
	readonly #job: Job;
	readonly #output: Output;
	readonly #stdout: Outlet;
	readonly #status: Outlet;
	readonly #options: CommandOptions;
	#child: ChildProcess | undefined;
	/** Settles when stdout has ended, once somebody listens. */
	#listening: Promise<void> | undefined;
	#statusLines: Transform | undefined;
	/** The command could not be started, but may be able to later. */
	isShort = false;
	#isTimedOut = false;
	#isTerminated = false;
	#graceTimer: NodeJS.Timeout | undefined;
	#giveUp: () => void = () => undefined;
	/** Resolves when what the process left open is not to be waited for. */
	readonly #givenUp = new Promise<void>((resolve) => {
		this.#giveUp = resolve;
	});

	constructor(job: Job, output: Output, outlets: readonly Outlet[], options: CommandOptions) {
		this.#job = job;
		this.#output = output;
		[this.#stdout, this.#status] = outlets;
		this.#options = options;
	}

	/**
	 * Starts the process and waits for its end; why it failed, or undefined. As in a shell's $(…) the end is that of the
	 * process and of its stdout: a grandchild that keeps stdout open keeps the job running, up to the timeout.
	 */
	async end(start: Start): Promise<string | undefined> {
		const { timeoutMs = 0, output = "result" } = this.#options;
		const { signal } = this.#job;
		const stdin = openStdin(this.#job.workload);
		let child: ChildProcess | undefined;
		try {
			child = start(stdin ?? "pipe", this.#stdout.open(), this.#status.open());
		} catch (error) {
			this.isShort = isShortage(error);
			return failureOf({ error });
		} finally {
			if (stdin !== undefined) closeSync(stdin);
			this.#stdout.handOver(child?.stdout);
			this.#status.handOver(child?.stdio?.[STATUS_FD] as Readable | undefined);
		}
		this.#child = child;
		const exited = new Promise<Exit>((resolve) => {
			child.once("exit", (code, exitSignal) => resolve({ code, signal: exitSignal }));
			child.on("error", (error) => resolve({ error }));
		});
		const onAbort = () => this.#giveBack();
		signal.addEventListener("abort", onAbort);
		const timer = timeoutMs > 0 ? setTimeout(() => this.#timeOut(), timeoutMs) : undefined;
		// A command may leave its stdin unread: EPIPE or ECONNRESET, and none of our business.
		child.stdin?.on("error", () => undefined);
		child.stdin?.end(this.#job.workload);
		const warnings = this.#sendWarnings(child);
		const listenTimer = setTimeout(() => this.#listen(), LISTEN_MS);
		if (output !== "result" || this.#stdout.mustListen) this.#listen();
		if (signal.aborted) onAbort();

		const exit = await exited;
		this.isShort = isShortage(exit.error);
		clearTimeout(listenTimer);
		if (exit.error === undefined) await Promise.race([Promise.all([this.#lastOutput(), warnings]), this.#givenUp]);
		await this.#lastStatus();
		clearTimeout(timer);
		clearTimeout(this.#graceTimer);
		signal.removeEventListener("abort", onAbort);
		if (this.#isTerminated) killGroup(this.#child?.pid, "SIGKILL");
		child.stderr?.destroy();
		return this.#isTimedOut ? `command was killed after ${timeoutMs} ms` : failureOf(exit);
	}

	#listen(): void {
		if (this.#listening !== undefined) return;
		this.#listening = this.#stdout.listen((chunk) => this.#output.write(chunk));
		void this.#status.listen((chunk) => this.#readStatus(chunk));
	}

	async #lastOutput(): Promise<void> {
		if (this.#listening === undefined && !this.#stdout.drain((chunk) => this.#output.write(chunk))) this.#listen();
		await this.#listening;
	}

	/** What was written before the exit is readable by now; the end of the pipe may never come, daemons inherit it. */
	async #lastStatus(): Promise<void> {
		if (this.#listening === undefined) this.#status.drain((chunk) => this.#readStatus(chunk));
		else for (let turn = 0; turn < 2; turn++) await nextTurn();
		if (this.#statusLines === undefined) return;
		// A last line without newline comes with the end, a turn later.
		this.#statusLines.end();
		await nextTurn();
	}

	#readStatus(chunk: Buffer): undefined {
		this.#statusLines ??= this.#makeStatusLines();
		if (!this.#statusLines.writableEnded) this.#statusLines.write(chunk);
	}

	#makeStatusLines(): Transform {
		const lines = split2(STATUS_LINES);
		let isBad = false;
		lines.on("data", (line: string) => {
			const match = /^\s*(\d{1,10})\s*\/\s*(\d{1,10})\s*$/.exec(line);
			const [numerator, denominator] = match === null ? [Infinity, Infinity] : [Number(match[1]), Number(match[2])];
			if (Math.max(numerator, denominator) <= 0xffff_ffff) this.#job.sendStatus(numerator, denominator);
			else if (!isBad) {
				isBad = true;
				this.#options.onBadStatus?.(this.#job, line);
			}
		});
		return lines;
	}

	/** Resolves when stderr has ended, where that is sent to the client. */
	#sendWarnings({ stderr }: ChildProcess): Promise<void> | undefined {
		if (!stderr) return undefined;
		const outlet = new Outlet(undefined);
		outlet.handOver(stderr);
		return outlet.listen((chunk) => this.#job.sendWarning(chunk));
	}

	#timeOut(): void {
		this.#isTimedOut = true;
		this.#terminate();
	}

	/** The job is somebody else's: no two of the same at once, so this one ends. */
	#giveBack(): void {
		if (isLost(this.#job.signal)) return this.#terminate();
		this.#isTerminated = true;
		killGroup(this.#child?.pid, "SIGKILL");
		this.#giveUp();
	}

	#terminate(): void {
		if (this.#isTerminated) return;
		this.#isTerminated = true;
		killGroup(this.#child?.pid, "SIGTERM");
		this.#graceTimer = setTimeout(() => {
			killGroup(this.#child?.pid, "SIGKILL");
			this.#giveUp();
		}, GRACE_MS);
	}
}

// A command as a worker function: one process a job, workload on stdin, result from stdout. Called by cli/worker.ts.
// What must stay true: stdin and stdout move at the same time, so neither can fill a pipe the other waits for; every way
// a command can go wrong fails the job; and whoever is killed is killed with all it started (its process group).
//
// child_process.spawn and not execa: measured with 100 bytes through /bin/cat, one after the other (Node 20.20, 2 cores),
// spawn took 1.2 ms of CPU and 2.8 ms in all a job, execa 3.7 and 4.2 ms. The pipe for the status is lost in the noise.
//
// BUG: Node makes socket pairs where C makes pipes, and a socket cannot be opened by name: a command that opens
// /dev/stdout fails with ENXIO, as does one that opens /dev/stdin for a workload over 1 MB. `COMMAND | cat` gives it a pipe.

import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import split2 from "split2";
import { GearmanError } from "../errors.ts";
import type { Job } from "./job.ts";
import { collect, type Output, sendChunks, sendLines } from "./output.ts";
import { type Exit, failureOf, GRACE_MS, isLost, killGroup, programOf } from "./program.ts";
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
	/** Told of a line on GEARMAN_STATUS_FD that is no status, once a job. */
	readonly onBadStatus?: (job: Job, line: string) => void;
}

const STATUS_FD = 3;
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

	return async (job: Job): Promise<Uint8Array | undefined> => {
		const output = outputOf(job);
		const run = new Run(job, output, options);
		const failure = await run.end((stdin) =>
			spawn(file, args, {
				// A session of its own: its process group can be killed whole, and Ctrl-C at our terminal spares it.
				detached: true,
				env: {
					...environment,
					GEARMAN_FUNCTION: job.functionName,
					GEARMAN_HANDLE: job.handle,
					GEARMAN_UNIQUE: job.unique,
				},
				stdio: [stdin, "pipe", options.stderr === "warning" ? "pipe" : "inherit", "pipe"],
			}),
		);
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
	readonly #options: CommandOptions;
	#child: ChildProcess | undefined;
	#isTimedOut = false;
	#isTerminated = false;
	#graceTimer: NodeJS.Timeout | undefined;
	#giveUp: () => void = () => undefined;
	/** Resolves when what the process left open is not to be waited for. */
	readonly #givenUp = new Promise<void>((resolve) => {
		this.#giveUp = resolve;
	});

	constructor(job: Job, output: Output, options: CommandOptions) {
		this.#job = job;
		this.#output = output;
		this.#options = options;
	}

	/**
	 * Starts the process and waits for its end; why it failed, or undefined. As in a shell's $(…) the end is that of the
	 * process and of its stdout: a grandchild that keeps stdout open keeps the job running, up to the timeout.
	 */
	async end(start: (stdin: number | "pipe") => ChildProcess): Promise<string | undefined> {
		const { timeoutMs = 0 } = this.#options;
		const { signal } = this.#job;
		const stdin = openStdin(this.#job.workload);
		let child: ChildProcess;
		try {
			child = start(stdin ?? "pipe");
		} catch (error) {
			return failureOf({ error });
		} finally {
			if (stdin !== undefined) closeSync(stdin);
		}
		this.#child = child;
		const exited = new Promise<Exit>((resolve) => {
			child.once("exit", (code, exitSignal) => resolve({ code, signal: exitSignal }));
			child.on("error", (error) => resolve({ error }));
		});
		const onAbort = () => this.#giveBack();
		signal.addEventListener("abort", onAbort);
		const timer = timeoutMs > 0 ? setTimeout(() => this.#timeOut(), timeoutMs) : undefined;
		const outputs = this.#connectPipes(child);
		if (signal.aborted) onAbort();

		const exit = await exited;
		if (exit.error === undefined) await Promise.race([outputs, this.#givenUp]);
		await this.#lastStatus(child);
		clearTimeout(timer);
		clearTimeout(this.#graceTimer);
		signal.removeEventListener("abort", onAbort);
		if (this.#isTerminated) killGroup(this.#child?.pid, "SIGKILL");
		for (const stream of child.stdio ?? []) stream?.destroy();

		return this.#isTimedOut ? `command was killed after ${timeoutMs} ms` : failureOf(exit);
	}

	/** Resolves when stdout has ended (and stderr, where that is sent to the client). */
	#connectPipes(child: ChildProcess): Promise<unknown> {
		// A command may leave its stdin unread: EPIPE or ECONNRESET, and none of our business.
		child.stdin?.on("error", () => undefined);
		child.stdin?.end(this.#job.workload);
		(child.stdio?.[STATUS_FD] as Readable | undefined)?.once("data", (chunk) => this.#readStatus(child, chunk));
		return Promise.all([
			pump(child.stdout, (chunk) => this.#output.write(chunk)),
			pump(child.stderr, (chunk) => this.#job.sendWarning(chunk)),
		]);
	}

	#readStatus(child: ChildProcess, firstChunk: Buffer): void {
		const status = child.stdio[STATUS_FD] as Readable;
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
		lines.write(firstChunk);
		status.pipe(lines);
	}

	/** What was written before the exit is readable by now; the end of the pipe may never come, daemons inherit it. */
	async #lastStatus(child: ChildProcess): Promise<void> {
		const status = child.stdio?.[STATUS_FD];
		for (let turn = 0; turn < 2 && status && !status.destroyed; turn++) await nextTurn();
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

/** Calls `write` for each chunk, reading on when the promise it may return has settled. Resolves when the stream closes. */
function pump(stream: Readable | null, write: (chunk: Buffer) => Promise<void> | undefined): Promise<void> | undefined {
	if (!stream) return undefined;
	stream.on("data", (chunk: Buffer) => {
		const written = write(chunk);
		if (written === undefined) return;
		stream.pause();
		void written.then(() => stream.resume());
	});
	return new Promise((resolve) => {
		stream.on("error", () => undefined);
		stream.once("close", resolve);
	});
}

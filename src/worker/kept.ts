// A command that stays alive: started once a slot, one workload in, one answer out, again and again. Called by
// cli/worker.ts (--keep). Some twenty times the jobs a second of one process a job.
//
//   down ──start──▶ idle ──ask──▶ asked ──answer──▶ idle
//    ▲                │             │
//    └──── ended ◀────┴─ exits, writes unasked or too much, takes too long, or its job is given back: killed
//
// What must stay true: an answer goes to the job whose workload it answers. So one job at a time, and whatever leaves a
// doubt about whose the next bytes are ends the process; a fresh one takes the next job.
//
// BUG: its stdin and stdout are Node's pipes, which are sockets: it cannot open /dev/stdin or /dev/stdout by name.

import { type ChildProcess, spawn } from "node:child_process";
import { GearmanError } from "../errors.ts";
import { Answer, type Framing, frame } from "./framing.ts";
import type { Job } from "./job.ts";
import { failureOf, GRACE_MS, isLost, killGroup, programOf } from "./program.ts";

export interface KeepOptions {
	readonly framing: Framing;
	/** Started at once; more when more jobs run at the same time. */
	readonly processes: number;
	/** Where stderr goes: to ours (default), or as WORK_WARNING to the client of the job in hand. */
	readonly stderr?: "inherit" | "warning";
	/** A command that has not answered after this long is killed and its job fails; default: never. */
	readonly timeoutMs?: number;
	/** Told why a command was started again without having failed a job. */
	readonly onRestart?: (reason: string) => void;
}

/** A command that ends before it has answered anything is started again after this long, then twice as long, … */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 10_000;
/** How long a command that starts has to be silent before it is asked: the first one, and any behind one that was not. */
const SETTLE_MS = 100;
/** How long the last output of a process that has exited may take, should another one hold its stdout open. */
const LAST_OUTPUT_MS = 200;

const MISDEEDS = {
	unasked: "command wrote without being asked",
	excess: "command wrote more than one answer to one job",
	"too large": "the command's answer is too large",
} as const;

/** The kept processes of one command. */
export class KeptCommand {
	readonly #operands: readonly string[];
	readonly #options: KeepOptions;
	readonly #all: Kept[] = [];
	readonly #free: Kept[] = [];

	/** Starts the processes. */
	constructor(operands: readonly string[], options: KeepOptions) {
		this.#operands = operands;
		this.#options = options;
		for (let i = 0; i < options.processes; i++) this.#free.push(this.#add());
	}

	/** The worker function. */
	readonly run = async (job: Job): Promise<Buffer> => {
		const packed = frame(job.workload, this.#options.framing);
		const kept = this.#free.pop() ?? this.#add();
		try {
			return await kept.ask(job, packed);
		} finally {
			this.#free.push(kept);
		}
	};

	/** Ends their input; resolves when they have exited, which they are made to when they take too long. */
	async close(): Promise<void> {
		await Promise.all(this.#all.map((kept) => kept.close()));
	}

	#add(): Kept {
		const kept = new Kept(programOf(this.#operands), this.#options);
		this.#all.push(kept);
		kept.start();
		return kept;
	}
}

/** The job in hand. */
interface Asked {
	readonly job: Job;
	readonly packed: readonly Buffer[];
	readonly resolve: (answer: Buffer) => void;
	readonly reject: (error: GearmanError) => void;
	isWritten: boolean;
}

/** One process at a time. */
class Kept {
	readonly #program: readonly [string, ...string[]];
	readonly #options: KeepOptions;
	readonly #answer: Answer;
	/** Undefined while down. */
	#child: ChildProcess | undefined;
	#asked: Asked | undefined;
	/** Why the process is being ended by us. */
	#verdict: string | undefined;
	#hasAnswered = false;
	/** It is not asked yet, because it might greet us, and that would be taken for an answer. */
	#isSettling = false;
	#mustSettle = true;
	#waitMs = 0;
	#isClosed = false;
	#startTimer: NodeJS.Timeout | undefined;
	#timer: NodeJS.Timeout | undefined;
	#graceTimer: NodeJS.Timeout | undefined;
	#onDown: () => void = () => undefined;
	readonly #onAbort = (): void => this.#giveBack();

	constructor(program: readonly [string, ...string[]], options: KeepOptions) {
		this.#program = program;
		this.#options = options;
		this.#answer = new Answer(options.framing);
	}

	start(): void {
		const [file, ...args] = this.#program;
		this.#hasAnswered = false;
		this.#verdict = undefined;
		let child: ChildProcess;
		try {
			child = spawn(file, args, {
				// A session of its own: its process group can be killed whole, and Ctrl-C at our terminal spares it.
				detached: true,
				stdio: ["pipe", "pipe", this.#options.stderr === "warning" ? "pipe" : "inherit"],
			});
		} catch (error) {
			return this.#ended(undefined, failureOf({ error }));
		}
		this.#child = child;
		let failure: string | undefined;
		child.once("error", (error) => this.#ended(child, failureOf({ error })));
		child.once("exit", (code, signal) => {
			failure = failureOf({ code, signal });
			setTimeout(() => child.stdout?.destroy(), LAST_OUTPUT_MS).unref();
		});
		// Not at its exit: the last answer may still be on its way.
		child.once("close", () => this.#ended(child, failure));
		// EPIPE: the exit tells more.
		child.stdin?.on("error", () => undefined);
		child.stdout?.on("error", () => undefined);
		child.stdout?.on("data", (chunk: Buffer) => this.#read(chunk));
		child.stderr?.on("data", (chunk: Buffer) => this.#warn(chunk));
		this.#isSettling = this.#mustSettle;
		if (this.#mustSettle) this.#startTimer = setTimeout(() => this.#settled(), SETTLE_MS);
		else this.#settled();
		this.#mustSettle = false;
	}

	/** One job. Rejects COMMAND_FAILED with why, the process being gone by then. */
	ask(job: Job, packed: readonly Buffer[]): Promise<Buffer> {
		return new Promise((resolve, reject) => {
			const asked: Asked = { job, packed, resolve, reject, isWritten: false };
			this.#asked = asked;
			job.signal.addEventListener("abort", this.#onAbort);
			const { timeoutMs = 0 } = this.#options;
			if (timeoutMs > 0) {
				this.#timer = setTimeout(() => this.#fail(`command was killed after ${timeoutMs} ms`, "SIGTERM"), timeoutMs);
			}
			if (job.signal.aborted) this.#giveBack();
			else if (this.#child !== undefined && this.#verdict === undefined && !this.#isSettling) this.#write(asked);
		});
	}

	close(): Promise<void> {
		this.#isClosed = true;
		clearTimeout(this.#startTimer);
		const child = this.#child;
		if (child === undefined) return Promise.resolve();
		child.stdin?.end();
		this.#graceTimer ??= setTimeout(() => this.#end("the worker ended", "SIGTERM"), GRACE_MS);
		return new Promise((resolve) => {
			this.#onDown = resolve;
		});
	}

	#settled(): void {
		this.#isSettling = false;
		if (this.#asked !== undefined && this.#verdict === undefined) this.#write(this.#asked);
	}

	#write(asked: Asked): void {
		asked.isWritten = true;
		const stdin = this.#child?.stdin;
		stdin?.cork();
		for (const part of asked.packed) stdin?.write(part);
		stdin?.uncork();
	}

	#read(chunk: Buffer): void {
		if (this.#verdict !== undefined) return;
		const asked = this.#asked;
		const progress = asked?.isWritten ? this.#answer.write(chunk) : "unasked";
		if (progress === "more") return;
		if (progress !== "whole") {
			this.#mustSettle = true;
			return this.#end(MISDEEDS[progress], "SIGTERM");
		}
		this.#hasAnswered = true;
		this.#waitMs = 0;
		this.#finish()?.resolve(this.#answer.take());
	}

	#warn(chunk: Buffer): void {
		const stderr = this.#child?.stderr;
		const job = this.#asked?.job;
		// Nobody's while it is idle: then it is for whoever watches the worker.
		if (job === undefined) process.stderr.write(chunk);
		else {
			stderr?.pause();
			void job.sendWarning(chunk).then(() => stderr?.resume());
		}
	}

	/** The job is somebody else's: no two of the same at once. */
	#giveBack(): void {
		const signal = this.#asked?.job.signal;
		this.#fail("the job was given back", signal !== undefined && isLost(signal) ? "SIGTERM" : "SIGKILL");
	}

	/** The job in hand fails: with its process, or at once while it waits for one. */
	#fail(reason: string, signal: "SIGTERM" | "SIGKILL"): void {
		if (this.#asked?.isWritten) this.#end(reason, signal);
		else this.#finish()?.reject(new GearmanError("COMMAND_FAILED", reason));
	}

	/** Ends the process, gently or not, because of `verdict`. */
	#end(verdict: string, signal: "SIGTERM" | "SIGKILL"): void {
		if (this.#verdict !== undefined && signal === "SIGTERM") return;
		this.#verdict ??= verdict;
		killGroup(this.#child?.pid, signal);
		clearTimeout(this.#graceTimer);
		if (signal === "SIGTERM") {
			this.#graceTimer = setTimeout(() => killGroup(this.#child?.pid, "SIGKILL"), GRACE_MS);
		}
	}

	#ended(child: ChildProcess | undefined, failure: string | undefined): void {
		if (child !== this.#child) return;
		if (this.#verdict !== undefined) killGroup(child?.pid, "SIGKILL");
		this.#child = undefined;
		clearTimeout(this.#graceTimer);
		this.#graceTimer = undefined;
		this.#answer.clear();
		for (const stream of child?.stdio ?? []) stream?.destroy();

		const asked = this.#asked;
		const reason = this.#verdict ?? failure ?? "command exited";
		// One that had its turn and left, as commands do that live for a number of jobs, is no reason to fail the next.
		if (asked?.isWritten || !this.#hasAnswered || this.#mustSettle) {
			const isEarly = asked?.isWritten === true && this.#verdict === undefined && child?.pid !== undefined;
			const told = isEarly ? `${reason} before it had answered` : reason;
			this.#finish()?.reject(new GearmanError("COMMAND_FAILED", told));
		}
		const isWorthALine = this.#verdict !== undefined || failure !== undefined || !this.#hasAnswered;
		if (asked === undefined && isWorthALine && !this.#isClosed) this.#options.onRestart?.(reason);

		this.#onDown();
		if (this.#isClosed) {
			this.#finish()?.reject(new GearmanError("COMMAND_FAILED", "the worker ended"));
			return;
		}
		if (!this.#hasAnswered) this.#waitMs = Math.min(this.#waitMs * 2 || FIRST_WAIT_MS, LONGEST_WAIT_MS);
		this.#startTimer = setTimeout(() => this.start(), this.#waitMs);
	}

	/** The job in hand is one no more. */
	#finish(): Asked | undefined {
		const asked = this.#asked;
		this.#asked = undefined;
		clearTimeout(this.#timer);
		asked?.job.signal.removeEventListener("abort", this.#onAbort);
		return asked;
	}
}

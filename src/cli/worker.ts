// gearman -w: does jobs by running a command, or by writing their workloads to stdout. Called by main.ts.
//
// The first SIGTERM, SIGINT or SIGUSR1 takes no more jobs, finishes those that run and exits 0. The second one kills the
// commands and gives their jobs back, as SIGHUP and SIGQUIT do at once: a command must never run on for a job that the
// server has already given to another worker.

import { constants } from "node:os";
import { GearmanError } from "../errors.ts";
import { nameOf, type ServerAddress } from "../net/connection.ts";
import type { Options } from "../options.ts";
import type { Job } from "../worker/job.ts";
import { Worker, type WorkFunction } from "../worker/worker.ts";
import { tellReady } from "./process.ts";
import { serversOf } from "./servers.ts";
import { calledAs } from "./usage.ts";

/** What a shell says of a program that SIGPIPE ended. */
const EXIT_PIPE = 141;

/** Resolves to the exit code. */
export async function run(options: Options<"worker">, operands: string[]): Promise<number> {
	const functions = new Set(options.function);
	if (functions.size === 0) throw new GearmanError("USAGE", "No Functions were provided");

	if (functions.has("")) throw new GearmanError("USAGE", "A function has an empty name");
	const watch = new Watch(options);
	const worker = new Worker(serversOf(options), {
		id: options.id,
		concurrency: options.jobs,
		maxJobs: options.count || undefined,
		onConnect: (server) => watch.connected(server),
		onDisconnect: (server, error) => watch.disconnected(server, error),
		onServerError: (_server, error) => say(error.message),
		onJobStart: (job) => watch.started(job),
		onJobEnd: (job, error) => watch.ended(job, error),
	});
	let brokenPipe: NodeJS.ErrnoException | undefined;
	const work = await workOf(options, operands, (error) => {
		brokenPipe = error;
		worker.kill();
	});
	for (const name of functions) worker.add(name, work.run);

	const signals = new Signals(worker, watch);
	// A crash must not leave commands behind either.
	process.once("exit", () => worker.kill());
	tellReady();
	try {
		await worker.run();
	} finally {
		watch.close();
		signals.close();
		await work.close?.();
	}
	if (brokenPipe === undefined) return signals.exitCode;
	if (brokenPipe.code === "EPIPE") return EXIT_PIPE;
	say(`could not write to stdout: ${brokenPipe.message}`);
	return 1;
}

/** What is done for each job, and what is to be ended behind the last one. */
interface Work {
	readonly run: WorkFunction;
	close?(): Promise<void>;
}

async function workOf(
	options: Options<"worker">,
	operands: string[],
	onBroken: (error: NodeJS.ErrnoException) => void,
): Promise<Work> {
	checkTogether(options, operands);
	if (operands.length > 0) {
		const { programOf, whyNotStartable } = await import("../worker/program.ts");
		const [file] = programOf(operands);
		const reason = whyNotStartable(file);
		if (reason !== undefined) say(`${file}: ${reason}: every job will fail until it can be started`);
	}
	const stderr = options.stderr === "warning" ? "warning" : "inherit";
	const timeoutMs = options["job-timeout"];
	if (options["split-command"] !== undefined || options.aggregate !== undefined) {
		const { mapReduce } = await import("./map-reduce.ts");
		return { run: mapReduce(options, stderr === "warning") };
	}
	if (options.keep) {
		const { KeptCommand } = await import("../worker/kept.ts");
		return new KeptCommand(operands, {
			framing: options.frames ? "frames" : options.null ? "null" : options.strip ? "stripped" : "lines",
			processes: options.jobs,
			stderr,
			timeoutMs,
			onRestart: (reason) => say(`${reason}; starting it again`),
		});
	}
	if (operands.length === 0) {
		process.stdout.on("error", () => undefined);
		// Written first, then answered; when writing fails the promise stays open, and the job goes back.
		return {
			run: (job) =>
				new Promise<undefined>((resolve) => {
					process.stdout.write(job.workload, (error) => (error ? onBroken(error) : resolve(undefined)));
				}),
		};
	}
	const { command } = await import("../worker/command.ts");
	return {
		run: command(operands, {
			output: options.strip ? "stripped" : options.lines ? "lines" : options.stream ? "chunks" : "result",
			stderr,
			timeoutMs,
			onShortage: (job, reason) => say(`${nameOfJob(job)}: ${reason}; trying again`),
			onBadStatus: (job, line) => say(`${nameOfJob(job)}: not a status such as 3/10: ${JSON.stringify(line)}`),
		}),
	};
}

/** Options that say nothing together are refused: whoever gave them means something else. */
function checkTogether(options: Options<"worker">, operands: readonly string[]): void {
	const { keep, stream, lines, strip, frames } = options;
	const isMapReduce = options["split-command"] !== undefined || options.aggregate !== undefined;
	const refuse = (sentence: string): never => {
		throw new GearmanError("USAGE", sentence);
	};
	if (isMapReduce && operands.length > 0) refuse("with --split-command and --aggregate there is no other command");
	if (isMapReduce && (keep || stream)) refuse("--keep and --stream are not for --split-command and --aggregate");
	if (options.null && !keep && !isMapReduce) refuse("-0 is for --keep, --split-command and --aggregate");
	if (frames && !keep) refuse("--frames is for --keep");
	if (!keep) return;
	if (operands.length === 0) refuse("--keep needs a command");
	if (stream) refuse("--keep and --stream exclude each other");
	if ([lines || strip, options.null, frames].filter(Boolean).length !== 1)
		refuse("--keep needs exactly one of -n, -N, -0 and --frames: where a workload and its answer end");
}

/** Says on stderr what is worth a line. */
class Watch {
	running = 0;
	readonly #isVerbose: boolean;
	readonly #idleTimer: NodeJS.Timeout | undefined;
	readonly #away = new Set<ServerAddress>();
	readonly #startTimes = new Map<Job, number>();

	constructor({ verbose, timeout = 0 }: Options<"worker">) {
		this.#isVerbose = verbose;
		if (timeout > 0) {
			this.#idleTimer = setInterval(() => {
				if (this.running === 0) say(`no job for ${timeout} ms`);
			}, timeout);
		}
	}

	connected(server: ServerAddress): void {
		if (this.#away.delete(server) || this.#isVerbose) say(`connected to ${nameOf(server)}`);
	}

	disconnected(server: ServerAddress, error: GearmanError): void {
		this.#away.add(server);
		say(`${error.message}; trying again`);
	}

	started(job: Job): void {
		this.running++;
		if (this.#isVerbose) this.#startTimes.set(job, performance.now());
	}

	ended(job: Job, error: unknown): void {
		this.running--;
		this.#idleTimer?.refresh();
		const startTime = this.#startTimes.get(job);
		this.#startTimes.delete(job);
		const problem = error instanceof Error ? error.message : error;
		if (job.signal.aborted) say(`${nameOfJob(job)}: given back: ${problem}`);
		else if (error !== undefined) say(`${nameOfJob(job)}: ${problem}`);
		else if (startTime !== undefined) say(`${nameOfJob(job)}: done in ${Math.round(performance.now() - startTime)} ms`);
	}

	close(): void {
		clearInterval(this.#idleTimer);
	}
}

/** The worker's end by signal. */
class Signals {
	exitCode = 0;
	readonly #worker: Worker;
	readonly #watch: Watch;
	#isStopping = false;
	readonly #onStop = (signal: NodeJS.Signals): void => {
		if (this.#isStopping) return this.#onKill(signal);
		this.#isStopping = true;
		if (this.#watch.running > 0) say(`${signal}: finishing ${this.#watch.running} running; once more gives up`);
		void this.#worker.stop();
	};
	readonly #onKill = (signal: NodeJS.Signals): void => {
		this.exitCode = 128 + constants.signals[signal];
		this.#worker.kill();
	};

	constructor(worker: Worker, watch: Watch) {
		this.#worker = worker;
		this.#watch = watch;
		// SIGUSR1 above all: without a listener Node answers it by opening its debugger's port.
		for (const signal of ["SIGTERM", "SIGINT", "SIGUSR1"] as const) process.on(signal, this.#onStop);
		for (const signal of ["SIGHUP", "SIGQUIT"] as const) process.on(signal, this.#onKill);
	}

	close(): void {
		for (const signal of ["SIGTERM", "SIGINT", "SIGUSR1"] as const) process.off(signal, this.#onStop);
		for (const signal of ["SIGHUP", "SIGQUIT"] as const) process.off(signal, this.#onKill);
	}
}

function nameOfJob(job: Job): string {
	return `${job.handle} ${job.functionName}`;
}

function say(line: string): void {
	process.stderr.write(`${calledAs}: ${line}\n`);
}

// Map and reduce from the shell: what `gearman -f …` needs beside client.ts for --split, --reduce, --merge, --joblog and
// their like. Loaded when one of them is given.

import type { Client } from "../client/client.ts";
import { GearmanError } from "../errors.ts";
import type { Options } from "../options.ts";
import type { Cutter, Stdin } from "./input.ts";
import { JobResult, type TakeResult } from "./job-result.ts";
import { JobLogFile } from "./joblog.ts";
import type { Collector, Jobs, JobsOptions } from "./jobs.ts";
import { Merge } from "./merge.ts";
import { Output } from "./output.ts";
import { LF, NUL, Pieces } from "./pieces.ts";
import type { Printer } from "./printer.ts";
import type { Progress } from "./progress.ts";
import { ReduceCommand } from "./reduce-command.ts";
import { ReduceTree } from "./reduce-tree.ts";
import { sizeInBytes } from "./size.ts";
import { checkFlags } from "./sort.ts";

/** Pieces and results in memory. */
const MAX_KEPT_BYTES = 128 * 1024 * 1024;

/** Results of one reduce job. */
const REDUCE_SIZE = 16;

/** What client.ts has made by the time the map begins. */
export interface Parts {
	readonly client: Client;
	readonly jobs: Jobs;
	readonly printer: Printer;
	readonly progress: Progress;
	readonly stdin: Stdin | undefined;
}

type MapOptions = Options<"client">;

/** Reads the options. Throws a GearmanError when they do not go together. */
export async function openMap(options: MapOptions, operands: readonly string[]): Promise<MapRun> {
	check(options, operands);
	const { merge } = options;
	const flags = merge.flatMap((words) => words.split(/ +/)).filter((flag) => flag !== "");
	if (merge.length > 0) await checkFlags(flags);
	return new MapRun(options, flags);
}

export class MapRun {
	/** Cuts standard input, with --split. */
	readonly cutter: Cutter | undefined;
	readonly jobsOptions: Pick<
		JobsOptions,
		"isMap" | "isWhole" | "isUnordered" | "stopsAtFailure" | "retries" | "maxKeptBytes"
	>;
	/** Makes the jobs, when their results are not printed as they are. */
	readonly makeJob: JobsOptions["makeJob"] | undefined;
	/** Where results go instead of standard output. */
	readonly output: Output | undefined;
	readonly #options: MapOptions;
	readonly #flags: readonly string[];
	#command: ReduceCommand | undefined;
	#take: TakeResult = () => {};
	#log: JobLogFile | undefined;

	constructor(options: MapOptions, flags: readonly string[]) {
		this.#options = options;
		this.#flags = flags;
		this.cutter = cutterOf(options);
		const isCollected = options.merge.length > 0 || options["reduce-function"] !== undefined;
		const isMap = this.cutter !== undefined || isCollected || options.reduce !== undefined;
		const { unordered, retry, joblog, "keep-going": keepsGoing } = options;
		this.jobsOptions = {
			isMap,
			isWhole: isCollected || unordered || retry > 0 || keepsGoing || joblog !== undefined,
			isUnordered: unordered,
			stopsAtFailure: isMap && !keepsGoing,
			retries: retry,
			maxKeptBytes: MAX_KEPT_BYTES,
		};
		if (isCollected) {
			this.makeJob = (jobs, name, workload) => new JobResult(jobs, name, workload, (parts) => this.#take(parts));
		}
		if (options.reduce !== undefined) this.output = new Output((bytes) => this.#command?.put(bytes));
	}

	/** Before the first job. Throws a GearmanError. */
	begin(parts: Parts): void {
		const { jobs, printer } = parts;
		const { joblog, resume } = this.#options;
		if (joblog !== undefined) {
			this.#log = new JobLogFile(joblog, resume, printer, (reason) => jobs.inputFailed(reason));
			if (this.#log.done > 0) printer.say(`gearman: ${this.#log.done} jobs are done according to ${joblog}`);
		}
		jobs.use({ collector: this.#collector(parts), log: this.#log });
		this.#showProgress(parts);
	}

	end(): void {
		this.#log?.end();
	}

	#collector({ client, jobs }: Parts): Collector | undefined {
		const { reduce, merge, "reduce-function": reducer, "reduce-size": size = REDUCE_SIZE } = this.#options;
		if (reduce !== undefined) {
			this.#command = new ReduceCommand(reduce, client, jobs);
			return this.#command;
		}
		const collector =
			merge.length > 0
				? new Merge(this.#flags, jobs)
				: reducer !== undefined
					? new ReduceTree(jobs, reducer, size)
					: undefined;
		if (collector !== undefined) this.#take = (parts) => collector.take(parts);
		return collector;
	}

	#showProgress({ jobs, progress, stdin }: Parts): void {
		const { json, verbose, function: functions } = this.#options;
		if (!this.jobsOptions.isMap || stdin === undefined || json || verbose || !process.stderr.isTTY) return;
		const inputBytes = stdin.totalBytes;
		const totalBytes = inputBytes === undefined ? undefined : inputBytes * functions.length;
		const start = performance.now();
		progress.follow(() => ({
			doneBytes: jobs.doneBytes,
			totalBytes,
			running: jobs.running,
			failures: jobs.failures,
			elapsedMs: performance.now() - start,
		}));
		for (const signal of ["SIGINT", "SIGTERM"] as const) {
			process.once(signal, () => {
				progress.close();
				process.kill(process.pid, signal);
			});
		}
	}
}

function cutterOf(options: MapOptions): Cutter | undefined {
	const { split, "split-bytes": size, "split-null": isNull } = options;
	if (split === undefined && size === undefined && !isNull) return undefined;
	const bytes = size === undefined ? undefined : sizeInBytes("split-bytes", size);
	return new Pieces(isNull ? NUL : LF, { records: split ?? (size === undefined ? 1 : undefined), bytes });
}

function check(options: MapOptions, operands: readonly string[]): void {
	const given = (names: readonly (keyof MapOptions)[]): string[] =>
		names.filter((name) => isGiven(options[name])).map((name) => `--${name}`);
	const exclude = (one: string | undefined, others: readonly string[]): void => {
		if (one === undefined || others.length === 0) return;
		throw new GearmanError("USAGE", `${one} and ${others[0]} exclude each other`);
	};
	const [split] = given(["split", "split-bytes", "split-null"]);
	const collectors = given(["reduce", "merge", "reduce-function"]);
	exclude(split, given(["lines", "strip", "null", "no-input"]));
	if (split !== undefined && operands.length > 0) {
		throw new GearmanError("USAGE", `${split} cuts standard input, so there can be no operand ('${operands[0]}')`);
	}
	exclude(collectors[0], collectors.slice(1));
	exclude(collectors[0], given(["background", "epoch", "delay", "resume"]));
	exclude(given(["merge", "reduce-function"])[0], given(["json", "prefix"]));
	if (options["reduce-size"] !== undefined && options["reduce-function"] === undefined) {
		throw new GearmanError("USAGE", "--reduce-size needs --reduce-function NAME");
	}
	if (options.resume && options.joblog === undefined) throw new GearmanError("USAGE", "--resume needs --joblog FILE");
	if (options.reduce?.trim() === "") throw new GearmanError("USAGE", "--reduce needs a command");
	if (options["reduce-function"] === "") throw new GearmanError("USAGE", "--reduce-function needs a name");
}

function isGiven(value: unknown): boolean {
	return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
}

// `gearman -f …`: the client. Reads workloads from operands or standard input, submits them, prints what comes back.
//
// Start-up counts here: whatever only some calls need is imported by those.

import { Client } from "../client/client.ts";
import { GearmanError } from "../errors.ts";
import type { Options } from "../options.ts";
import { reasonOf } from "../reason.ts";
import { type Cutter, listSource, operandSource, Stdin, Whole, wholeFile } from "./input.ts";
import { JobOutput } from "./job-output.ts";
import { Jobs, type JobsOptions } from "./jobs.ts";
import { stdoutOutput } from "./output.ts";
import { LF, NUL, Pieces } from "./pieces.ts";
import { Printer } from "./printer.ts";
import { Progress } from "./progress.ts";
import { serversOf } from "./servers.ts";

const EMPTY = new Uint8Array(0);
const UNAVAILABLE = 69;
/** Whoever sits at a terminal is told then, once, that nobody can do what was asked for. */
const HINT_MS = 2000;

/** The exit code: 0 all done · 1 a job failed · 69 no server, or lost · 75 timed out. */
export async function run(options: Options<"client">, operands: string[]): Promise<number> {
	const servers = serversOf(options);
	if (options.status !== undefined) return (await import("./job-status.ts")).run(servers, options, options.status);
	if (options.function.length === 0) throw new GearmanError("USAGE", "No Functions were provided");
	if (options.function.includes("")) throw new GearmanError("USAGE", "A function has an empty name");
	const epoch = epochOf(options);
	const able = options["require-worker"]
		? await (await import("./served.ts")).serversWithWorkers(servers, options)
		: servers;
	if (able.length === 0) return UNAVAILABLE;
	const map = wantsMap(options) ? await (await import("./map.ts")).openMap(options, operands) : undefined;
	const cutter = map?.cutter ?? recordsOf(options);
	const takesStdin = operands.length === 0 && !options["no-input"];
	const file = takesStdin && cutter === undefined ? wholeFile() : undefined;
	const stdin = takesStdin && file === undefined ? new Stdin(cutter ?? new Whole()) : undefined;
	const isStream = stdin !== undefined && cutter !== undefined;
	const hasSeveralFunctions = options.function.length > 1;
	const isMap = map?.jobsOptions.isMap ?? false;

	const client = new Client(able);
	const progress = new Progress();
	const out = map?.output ?? stdoutOutput((error) => jobs.stop(cannotPrint(error)));
	const printer = new Printer(out, progress, { isPrefixed: options.prefix, hasSeveralFunctions, isMap });
	const jobs = new Jobs(
		client,
		stdin ?? file ?? (operands.length > 0 ? operandSource(operands) : listSource([EMPTY])),
		printer,
		{
			...PLAIN,
			...map?.jobsOptions,
			functions: options.function,
			submit: { priority: options.high ? "high" : options.low ? "low" : "normal", reducer: options.reducer },
			epoch,
			isBackground: options.background || epoch !== undefined,
			isVerbose: options.verbose,
			unique: options.unique,
			isStream,
			// Operands go one after the other, all functions of one together.
			limit: isStream || isMap ? options.jobs : options.function.length,
			timeoutMs: options.timeout,
			makeJob: map?.makeJob ?? (options.json ? await jsonJobs() : outputJob),
			...(options.daemon ? { onFirstCreated: (await import("./process.ts")).tellReady } : {}),
		},
	);
	map?.begin({ client, jobs, printer, progress, stdin });
	stdin?.open(jobs, isStream ? "records" : "the workload");
	let isOver = false;
	const tellUnserved = async (): Promise<void> => {
		const name = await (await import("./served.ts")).unserved(able, options.function);
		if (name !== undefined && !isOver) printer.say(`gearman: no worker can do ${name} yet, waiting; Ctrl-C gives up`);
	};
	const isWatched = process.stderr.isTTY && !options.background && epoch === undefined;
	const hint = isWatched ? setTimeout(tellUnserved, HINT_MS) : undefined;
	try {
		return await jobs.run();
	} finally {
		isOver = true;
		clearTimeout(hint);
		map?.end();
		stdin?.close();
		client.close();
	}
}

/** gearman(1)'s ways. */
const PLAIN = {
	isMap: false,
	isWhole: false,
	isUnordered: false,
	stopsAtFailure: false,
	retries: 0,
	maxKeptBytes: 64 * 1024 * 1024,
};

const outputJob: JobsOptions["makeJob"] = (jobs, name, workload) => new JobOutput(jobs, name, workload);

async function jsonJobs(): Promise<JobsOptions["makeJob"]> {
	const { JobJson } = await import("./job-json.ts");
	return (jobs, name, workload) => new JobJson(jobs, name, workload);
}

/** Whether an option is given that map.ts looks after. */
function wantsMap(options: Options<"client">): boolean {
	return (
		options.split !== undefined ||
		options["split-bytes"] !== undefined ||
		options["split-null"] ||
		options.reduce !== undefined ||
		options.merge.length > 0 ||
		options["reduce-function"] !== undefined ||
		options["reduce-size"] !== undefined ||
		options.unordered ||
		options.retry > 0 ||
		options["keep-going"] ||
		options.joblog !== undefined ||
		options.resume
	);
}

/** Cuts standard input, with -n, -N and -0; else it is one workload. */
function recordsOf(options: Pick<Options<"client">, "lines" | "strip" | "null">): Cutter | undefined {
	if (!options.lines && !options.strip && !options.null) return undefined;
	return new Pieces(options.null ? NUL : LF, { records: 1, isStripped: options.strip || options.null });
}

/** The exit code. */
function cannotPrint(error: NodeJS.ErrnoException): number {
	// `gearman … | head`: nobody wants more, and that is no failure.
	if (error.code === "EPIPE") return 0;
	process.stderr.write(`gearman: could not write the output: ${reasonOf(error)}\n`);
	return 1;
}

/** --epoch and --delay as Unix seconds. */
function epochOf(options: Pick<Options<"client">, "epoch" | "delay">): number | undefined {
	const { epoch, delay } = options;
	if (epoch !== undefined && delay !== undefined) {
		throw new GearmanError("USAGE", "--epoch and --delay exclude each other");
	}
	if (delay !== undefined) return Math.ceil((Date.now() + delay) / 1000);
	if (epoch === undefined) return undefined;
	const text = epoch.trim();
	// What Date.parse() makes of other texts is rarely what was meant: "tomorrow 10" is a day in 2001.
	const isDate = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$/.test(text);
	const seconds = /^\d+$/.test(text) ? Number(text) : isDate ? Math.ceil(Date.parse(text) / 1000) : Number.NaN;
	if (!Number.isSafeInteger(seconds) || seconds < 0) {
		throw new GearmanError("USAGE", `"${epoch}" is neither Unix seconds nor a date`);
	}
	return seconds;
}

// `gearman -f …`: the client. Reads workloads from operands or standard input, submits them, prints what comes back.
//
// Start-up counts here: whatever only some calls need is imported by those.

import { readFileSync } from "node:fs";
import { Client } from "../client/client.ts";
import { GearmanError } from "../errors.ts";
import type { ServerAddress } from "../net/connection.ts";
import type { Options } from "../options.ts";
import { Jobs, type Source } from "./jobs.ts";
import { LF, NUL, Records } from "./records.ts";
import { serversOf } from "./servers.ts";

const EMPTY = new Uint8Array(0);
const UNAVAILABLE = 69;

/** The exit code: 0 all done · 1 a job failed · 69 no server, or lost · 75 timed out. */
export async function run(options: Options<"client">, operands: string[]): Promise<number> {
	const servers = serversOf(options);
	if (options.status !== undefined) return (await import("./job-status.ts")).run(servers, options, options.status);
	if (options.function.length === 0) throw new GearmanError("USAGE", "No Functions were provided");
	if (options.function.includes("")) throw new GearmanError("USAGE", "A function has an empty name");
	const epoch = epochOf(options);
	const able = options["require-worker"] ? await serversWithWorkers(servers, options) : servers;
	if (able.length === 0) return UNAVAILABLE;
	const client = new Client(able);
	const input = operands.length > 0 ? operandSource(operands) : options["no-input"] ? listSource([EMPTY]) : undefined;
	const stdin = input === undefined ? new Stdin(options) : undefined;
	const jobs = new Jobs(client, input ?? stdin ?? listSource([]), {
		functions: options.function,
		submit: { priority: options.high ? "high" : options.low ? "low" : "normal", reducer: options.reducer },
		epoch,
		isBackground: options.background || epoch !== undefined,
		isPrefixed: options.prefix,
		isVerbose: options.verbose,
		unique: options.unique,
		// Operands go one after the other, all functions of one together.
		isStream: stdin?.isRecords ?? false,
		limit: stdin?.isRecords ? options.jobs : options.function.length,
		timeoutMs: options.timeout,
		...(options.json ? { JobClass: (await import("./job-json.ts")).JobJson } : {}),
		...(options.daemon ? { onFirstCreated: (await import("./process.ts")).tellReady } : {}),
	});
	stdin?.open(jobs);
	try {
		return await jobs.run();
	} finally {
		stdin?.close();
		client.close();
	}
}

/** Standard input: records with -n, -N and -0, else one workload in all. */
class Stdin implements Source {
	readonly isRecords: boolean;
	readonly #records: Records;
	/** The whole input, where it is one workload. */
	#parts: Buffer[] | undefined;
	#hasEnded = false;
	#isWanted = false;

	constructor(options: Pick<Options<"client">, "lines" | "strip" | "null">) {
		this.isRecords = options.lines || options.strip || options.null;
		this.#records = new Records(options.null ? NUL : LF, options.lines && !options.strip && !options.null);
		if (!this.isRecords) this.#parts = [];
	}

	next(): Uint8Array | undefined | null {
		const next = this.#parts === undefined ? this.#records.next() : this.#hasEnded ? this.#whole() : undefined;
		if (next === undefined && !this.#isWanted) {
			this.#isWanted = true;
			process.stdin.resume();
		}
		return next;
	}

	open(jobs: Jobs): void {
		const stdin = process.stdin;
		if (stdin.isTTY && process.stderr.isTTY) {
			process.stderr.write(
				`gearman: reading ${this.isRecords ? "records" : "the workload"} from the terminal, Ctrl-D ends\n`,
			);
		}
		stdin.on("data", (chunk: Buffer) => {
			if (this.#parts !== undefined) {
				this.#parts.push(chunk);
				return;
			}
			this.#records.write(chunk);
			this.#isWanted = false;
			jobs.fill();
			// next() did not ask again: the window is full.
			if (!this.#isWanted) stdin.pause();
		});
		const end = () => {
			this.#hasEnded = true;
			this.#records.end();
			jobs.fill();
		};
		stdin.once("end", end);
		stdin.once("error", (error) => jobs.inputFailed(error.message));
		stdin.pause();
	}

	close(): void {
		process.stdin.destroy();
	}

	#whole(): Uint8Array | null {
		const parts = this.#parts ?? [];
		this.#parts = undefined;
		return Buffer.concat(parts);
	}
}

function operandSource(operands: readonly string[]): Source {
	return listSource(bytesOf(operands));
}

function listSource(workloads: readonly Uint8Array[]): Source {
	let at = 0;
	return { next: () => (at < workloads.length ? workloads[at++] : null) };
}

/** The operands as they were typed. Node has decoded them as UTF-8; where that lost bytes, Linux still has them. */
function bytesOf(operands: readonly string[]): Uint8Array[] {
	let words: Buffer[] | undefined;
	return operands.map((operand) => {
		if (!operand.includes("\ufffd")) return Buffer.from(operand, "utf8");
		words ??= typedWords();
		// Operands stand in the command line in their order, so each word is somebody's once.
		const index = words.findIndex((word) => word.toString("utf8") === operand);
		return index < 0 ? Buffer.from(operand, "utf8") : words.splice(0, index + 1)[index];
	});
}

function typedWords(): Buffer[] {
	const words: Buffer[] = [];
	try {
		const line = readFileSync("/proc/self/cmdline");
		for (let at = 0, end = line.indexOf(0); end >= 0; at = end + 1, end = line.indexOf(0, at)) {
			words.push(line.subarray(at, end));
		}
	} catch {
		// Not Linux: what Node made of them has to do.
	}
	return words;
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

/** The servers where each function has a worker. None: it has been said why. */
async function serversWithWorkers(
	servers: readonly ServerAddress[],
	options: Pick<Options<"client">, "function" | "timeout">,
): Promise<ServerAddress[]> {
	const { Admin } = await import("../admin/admin.ts");
	const errors: GearmanError[] = [];
	let missing = options.function[0];
	const able: ServerAddress[] = [];
	for (const server of servers) {
		await using admin = new Admin(server, options.timeout === undefined ? {} : { timeoutMs: options.timeout });
		try {
			const rows = await admin.status();
			const without = options.function.find(
				(name) => !rows.some((row) => row.functionName === name && row.workers > 0),
			);
			if (without === undefined) able.push(server);
			else missing = without;
		} catch (error) {
			if (!(error instanceof GearmanError)) throw error;
			errors.push(error);
		}
	}
	if (able.length > 0) return able;
	if (errors.length === servers.length) throw errors[0];
	process.stderr.write(`gearman: no worker can do ${missing}\n`);
	return [];
}

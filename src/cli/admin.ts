// `gearadmin …`, `gearman --status …`: asks the job server and prints what it says: byte for byte where the output is read
// by programs, as a table on a terminal, or as JSON.

import { Admin } from "../admin/admin.ts";
import { readMetrics } from "../admin/metrics.ts";
import {
	linesOf,
	readJobs,
	readPriorityStatus,
	readQueueInfo,
	readStatus,
	readWorkers,
	textOf,
} from "../admin/replies.ts";
import { GearmanError } from "../errors.ts";
import { nameOf } from "../net/connection.ts";
import type { Options } from "../options.ts";
import { endingOutput } from "./output.ts";
import { serversOf } from "./servers.ts";
import { calledAs, helpOf } from "./usage.ts";

/** A reply as data for JSON. */
type Reader = (lines: readonly string[]) => unknown;

interface Operation {
	readonly name: keyof Options<"admin">;
	readonly command: string;
	readonly read: Reader;
	/** Headings of the table; without, the reply is printed as it is. */
	readonly headings: readonly string[];
	/** It changes something: not to be repeated. */
	readonly isChange: boolean;
}

type Row = readonly [name: keyof Options<"admin">, command: string, read: Reader, headings?: readonly string[]];

const UNAVAILABLE = 69;
const stdout = endingOutput();

const readText: Reader = (lines) => textOf(lines[0] ?? "");
const readOk: Reader = () => true;

/** In the order they are done: C's, and shutdown last. */
const ROWS: readonly Row[] = [
	["getpid", "getpid", (lines) => Number(textOf(lines[0] ?? ""))],
	["create-function", "create function", readOk],
	["drop-function", "drop function", readOk],
	[
		"show-jobs",
		"show jobs",
		(lines) =>
			readJobs(lines).map(({ handle, retries, isIgnored, isBackground }) => ({
				handle,
				retries,
				ignored: isIgnored,
				background: isBackground,
			})),
		["HANDLE", "RETRIES", "IGNORED", "BACKGROUND"],
	],
	["show-unique-jobs", "show unique jobs", (lines) => lines],
	["queue-info", "queue info", readQueueInfo, ["FIELD", "VALUE"]],
	["cancel-job", "cancel job", readOk],
	["server-verbose", "verbose", readText],
	["server-version", "version", readText],
	["workers", "workers", readWorkers, ["FD", "ADDRESS", "ID", "FUNCTIONS"]],
	[
		"priority-status",
		"prioritystatus",
		(lines) => readPriorityStatus(lines).map(({ functionName, ...rest }) => ({ function: functionName, ...rest })),
		["FUNCTION", "HIGH", "NORMAL", "LOW", "WORKERS"],
	],
	[
		"status",
		"status",
		(lines) => readStatus(lines).map(({ functionName, ...rest }) => ({ function: functionName, ...rest })),
		["FUNCTION", "TOTAL", "RUNNING", "WORKERS"],
	],
	["metrics", "metrics", readMetrics],
	["shutdown", "shutdown", readOk],
];

/** The exit code: 0 done · 1 the server answered ERR · 69 no server · 75 timed out. */
export async function run(options: Options<"admin">, operands: string[]): Promise<number> {
	const operations = operationsOf(options);
	if (options.top) {
		if (operations.length > 0) throw new GearmanError("USAGE", `--top and --${operations[0].name} do not go together`);
		return (await import("./top.ts")).run(options);
	}
	if (operations.length === 0) {
		// "gearadmin status", as the text protocol has it.
		const typed = `${operands.join(" ")} `;
		const meant = ROWS.find(([name, command]) => typed.startsWith(`${command} `) || typed.startsWith(`${name} `));
		if (meant !== undefined)
			throw new GearmanError("USAGE", `'${typed.trim()}' is no option; did you mean '--${meant[0]}'?`);
		process.stdout.write(`No option execution operation given.\n\n${await helpOf("admin")}`);
		return 1;
	}
	const { watch } = options;
	if (watch !== undefined && operations.some((operation) => operation.isChange)) {
		throw new GearmanError("USAGE", "--watch repeats questions, not changes");
	}
	const admins = serversOf(options).map((server) => new Admin(server, { timeoutMs: options.timeout }));
	try {
		let code = await ask(admins, operations, options);
		while (watch !== undefined) {
			await new Promise((resolve) => setTimeout(resolve, watch));
			code = await ask(admins, operations, options).catch(complain);
		}
		return code;
	} finally {
		for (const admin of admins) admin.close();
	}
}

/** A watch goes on through a restart of the server. */
function complain(error: unknown): number {
	if (!(error instanceof GearmanError)) throw error;
	process.stderr.write(`${calledAs}: ${error.message}\n`);
	return 1;
}

function operationsOf(options: Options<"admin">): Operation[] {
	const operations: Operation[] = [];
	for (const [name, command, read, headings = []] of ROWS) {
		const value = options[name];
		if (value === undefined || value === false) continue;
		const isChange = typeof value === "string" || name === "shutdown";
		operations.push({
			name,
			command: typeof value === "string" ? `${command} ${value}` : command,
			read,
			isChange,
			headings,
		});
	}
	return operations;
}

/** Asks everything of every server and prints the answers; the exit code. */
async function ask(
	admins: readonly Admin[],
	operations: readonly Operation[],
	options: Options<"admin">,
): Promise<number> {
	const output: Buffer[] = [];
	const document: Record<string, Record<string, unknown>> = {};
	let code = 0;
	for (const admin of admins) {
		const server = nameOf(admin.address);
		if (admins.length > 1 && !options.json) output.push(Buffer.from(`${server}\n`));
		const answers: Record<string, unknown> = {};
		document[server] = answers;
		// Sent in one go: the server answers in order.
		let replies: Buffer[];
		try {
			replies = await Promise.all(operations.map((operation) => admin.raw(operation.command)));
		} catch (error) {
			// One of several that is away must not hide what the others say.
			if (admins.length === 1) throw error;
			complain(error);
			answers.error = (error as GearmanError).message;
			code = UNAVAILABLE;
			continue;
		}
		for (const [i, operation] of operations.entries()) {
			try {
				const lines = linesOf(replies[i]);
				if (options.json) answers[operation.name] = operation.read(lines);
				else output.push(print(operation, replies[i], lines));
			} catch (error) {
				if (!(error instanceof GearmanError)) throw error;
				process.stderr.write(`Error: ${error.message}\n`);
				answers[operation.name] = { error: error.message };
				code ||= 1;
			}
		}
	}
	if (options.json) {
		const answers = admins.length > 1 ? document : document[nameOf(admins[0].address)];
		output.push(Buffer.from(`${JSON.stringify(answers)}\n`));
	}
	if (options.watch !== undefined && process.stdout.isTTY) stdout.write("\x1b[H\x1b[2J");
	for (const bytes of output) stdout.write(bytes);
	stdout.flush();
	return code;
}

/** gearadmin prints `OK text` as text, and lists as they are. */
function print(operation: Operation, reply: Buffer, lines: readonly string[]): Buffer {
	if (operation.headings.length > 0 && process.stdout.isTTY) return Buffer.from(table(operation, lines));
	// Without the dot, for programs that read this format.
	if (operation.name === "metrics") return reply.subarray(0, reply.lastIndexOf(".\n"));
	if (reply.subarray(0, 3).toString("latin1") === "OK ") return reply.subarray(3);
	return lines.length === 1 && lines[0] === "OK" ? Buffer.from("OK\n") : reply;
}

/** Columns aligned: names to the left, numbers to the right. */
function table(operation: Operation, lines: readonly string[]): string {
	const { headings } = operation;
	const rows = lines.map((line) => {
		if (operation.name !== "workers") return line.split("\t");
		const [{ fd, address, id, functions }] = readWorkers([line]);
		return [String(fd), address, id, functions.join(" ")];
	});
	const widths = headings.map((heading, i) => Math.max(heading.length, ...rows.map((row) => (row[i] ?? "").length)));
	const isNumber = (i: number) => rows.length > 0 && rows.every((row) => /^\d+$/.test(row[i] ?? ""));
	const layOut = (row: readonly string[]) =>
		row.map((cell, i) => (i > 0 && isNumber(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("  ");
	return `${[headings, ...rows].map((row) => layOut(row).trimEnd()).join("\n")}\n`;
}

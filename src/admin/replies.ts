// Replies of the admin text protocol: where one ends in the stream of bytes, and what its lines say. No I/O.
//
// A reply is one line (`OK`, `OK 1.2.3`, `ERR CODE text`), or a list of lines up to a line with a single dot. Nothing in
// the reply itself tells which: the command does. Lists are tables of one row a line; an ERR line may stand for any list.

import { GearmanError } from "../errors.ts";

/** What a command is answered with. */
export type Shape = "line" | "list";

/** A row of `status`. */
export interface FunctionStatus {
	readonly functionName: string;
	/** Jobs queued and running. */
	readonly total: number;
	readonly running: number;
	readonly workers: number;
}

/** A row of `prioritystatus`: queued jobs. */
export interface PriorityStatus {
	readonly functionName: string;
	readonly high: number;
	readonly normal: number;
	readonly low: number;
	readonly workers: number;
}

/** A row of `workers`: a connection, which may be a client's and do nothing. */
export interface WorkerRow {
	/** The server's number for the connection. */
	readonly fd: number;
	readonly address: string;
	/** As set by the worker; "-" when it was not. */
	readonly id: string;
	readonly functions: readonly string[];
}

/** A row of `show jobs`. */
export interface JobRow {
	readonly handle: string;
	readonly retries: number;
	/** Cancelled or left by its clients, and not yet swept. */
	readonly isIgnored: boolean;
	readonly isBackground: boolean;
}

/** What `queue info` tells of the server's background jobs. */
export interface QueueInfo {
	/** As for --queue-type. */
	readonly store: string;
	/** A path, or an address without passwords; absent when jobs are in memory. */
	readonly place?: string;
	/** `failing`: the last commit was refused, and so are background jobs until it works again. */
	readonly state: "ready" | "replaying" | "failing";
	/** Kept there now. */
	readonly jobs: number;
	/** Of its files; absent for what is on another server. */
	readonly bytes?: number;
	/** Since the server's start. */
	readonly commits: number;
	readonly changes: number;
	readonly failedCommits: number;
	/** Absent before the first. `time` is ISO 8601, `bytes` counts workloads added. */
	readonly lastCommit?: {
		readonly time: string;
		readonly changes: number;
		readonly bytes: number;
		readonly durationMs: number;
	};
}

const LISTS = new Set(["status", "prioritystatus", "workers", "metrics"]);
const LF = 0x0a;

/** The shape of the reply to a command line. */
export function shapeOf(command: string): Shape {
	const [word, argument] = command.trim().toLowerCase().split(/ +/);
	const isList = word === "show" ? argument !== undefined : word === "queue" ? argument === "info" : LISTS.has(word);
	return isList ? "list" : "line";
}

/** Cuts replies out of the stream. */
export class ReplyReader {
	/** Shapes of the replies to come. */
	#shapes: Shape[] = [];
	readonly #onReply: (reply: Buffer) => void;
	/** The unfinished reply: whole lines, and the start of one. */
	#lines: Buffer[] = [];
	#partial: Buffer[] = [];

	constructor(onReply: (reply: Buffer) => void) {
		this.#onReply = onReply;
	}

	expect(shape: Shape): void {
		this.#shapes.push(shape);
	}

	write(bytes: Buffer): void {
		let at = 0;
		for (;;) {
			const lf = bytes.indexOf(LF, at);
			if (lf < 0) break;
			const end = bytes.subarray(at, lf + 1);
			this.#line(this.#partial.length === 0 ? end : Buffer.concat([...this.#partial, end]));
			this.#partial = [];
			at = lf + 1;
		}
		if (at < bytes.length) this.#partial.push(bytes.subarray(at));
	}

	#line(line: Buffer): void {
		const shape = this.#shapes[0];
		// Nobody asked: a server's word of its own.
		if (shape === undefined) return;
		this.#lines.push(line);
		const isLast = shape === "line" || isDot(line) || (this.#lines.length === 1 && isError(line));
		if (!isLast) return;
		const reply = Buffer.concat(this.#lines);
		this.#lines = [];
		this.#shapes.shift();
		this.#onReply(reply);
	}
}

/** The lines of a reply without their ends, a list's final dot not among them. Throws SERVER_ERROR for an ERR line. */
export function linesOf(reply: Buffer): string[] {
	const lines = reply.toString("utf8").split("\n");
	lines.pop();
	const texts = lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
	if (texts.length === 1 && isError(reply)) throw errorOf(texts[0]);
	if (texts.length > 0 && isDot(reply.subarray(reply.lastIndexOf(LF, -2) + 1))) texts.pop();
	return texts;
}

/** `OK text` → text. */
export function textOf(line: string): string {
	return line === "OK" ? "" : line.startsWith("OK ") ? line.slice(3) : line;
}

/** The row of each line; a line of another shape throws INVALID_RESPONSE. */
export function readStatus(lines: readonly string[]): FunctionStatus[] {
	return lines.map((line) => {
		const [functionName, total, running, workers] = columns(line, 4);
		return { functionName, total: Number(total), running: Number(running), workers: Number(workers) };
	});
}

export function readPriorityStatus(lines: readonly string[]): PriorityStatus[] {
	return lines.map((line) => {
		const [functionName, high, normal, low, workers] = columns(line, 5);
		return { functionName, high: Number(high), normal: Number(normal), low: Number(low), workers: Number(workers) };
	});
}

export function readWorkers(lines: readonly string[]): WorkerRow[] {
	return lines.map((line) => {
		// 32 127.0.0.1 an id : function function
		const match = /^(\d+) (\S+) (.*?) :(?: (.*))?$/.exec(line);
		if (match === null) throw unreadable(line);
		const [, fd, address, id, functions] = match;
		return { fd: Number(fd), address, id, functions: functions ? functions.split(" ") : [] };
	});
}

export function readJobs(lines: readonly string[]): JobRow[] {
	return lines.map((line) => {
		const [handle, retries, ignored, background] = columns(line, 4);
		return { handle, retries: Number(retries), isIgnored: ignored === "1", isBackground: background === "1" };
	});
}

export function readQueueInfo(lines: readonly string[]): QueueInfo {
	const fields = new Map(lines.map((line) => columns(line, 2)).map(([name, value]) => [name, value]));
	const text = (name: string): string => {
		const value = fields.get(name);
		if (value === undefined) throw new GearmanError("INVALID_RESPONSE", `queue info has no field ${name}`);
		return value;
	};
	const place = fields.get("place");
	const bytes = fields.get("bytes");
	return {
		store: text("store"),
		...(place === undefined ? {} : { place }),
		state: text("state") as QueueInfo["state"],
		jobs: Number(text("jobs")),
		...(bytes === undefined ? {} : { bytes: Number(bytes) }),
		commits: Number(text("commits")),
		changes: Number(text("changes")),
		failedCommits: Number(text("failed_commits")),
		...(fields.has("last_commit") && {
			lastCommit: {
				time: text("last_commit"),
				changes: Number(text("last_commit_changes")),
				bytes: Number(text("last_commit_bytes")),
				durationMs: Number(text("last_commit_ms")),
			},
		}),
	};
}

/** The last columns are numbers; whatever stands before them is the first, tabs and all. */
function columns(line: string, count: number): string[] {
	const parts = line.split("\t");
	if (parts.length < count) throw unreadable(line);
	return [parts.slice(0, parts.length - count + 1).join("\t"), ...parts.slice(parts.length - count + 1)];
}

function isDot(line: Buffer): boolean {
	return line[0] === 0x2e && (line[1] === LF || (line[1] === 0x0d && line[2] === LF));
}

/** Rows of tables have tabs. A unique key that looks like an error cannot be told from one when it comes first. */
function isError(line: Buffer): boolean {
	const text = line.toString("latin1", 0, Math.min(line.length, 256));
	return text.startsWith("ERR ") && !text.includes("\t");
}

function errorOf(line: string): GearmanError {
	const text = line.slice(4);
	const serverCode = /^[A-Z_]+(?= |$)/.exec(text)?.[0];
	const [, unknown] = /^UNKNOWN_COMMAND Unknown\+server\+command(.*)$/.exec(text) ?? [];
	if (unknown !== undefined) {
		// A server says so of the command that it was not allowed.
		const allowed = unknown === "shutdown" ? ", or it was started without --allow-shutdown" : "";
		return new GearmanError("SERVER_ERROR", `the job server has no command "${unknown}"${allowed}`, { serverCode });
	}
	// "NOT_ALLOWED This+command+is…": the words behind a code have no blanks on the wire.
	const words = text.slice(serverCode?.length ?? text.length).trim();
	const sentence = words === "" || words.includes(" ") ? text : `${serverCode}: ${words.replaceAll("+", " ")}`;
	return new GearmanError("SERVER_ERROR", sentence, serverCode === undefined ? {} : { serverCode });
}

function unreadable(line: string): GearmanError {
	return new GearmanError(
		"INVALID_RESPONSE",
		`the job server answered with an unreadable line: ${JSON.stringify(line)}`,
	);
}

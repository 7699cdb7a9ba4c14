// The admin protocol: a text line in, the text of the reply out, with gearmand's exact words and line ends (which differ
// by command). Replies are latin1 strings of bytes, as names are.

import { expose } from "./exposition.ts";
import type { FunctionQueue } from "./function-queue.ts";
import { LOW, NORMAL, type Priority } from "./job.ts";
import { shown } from "./listeners.ts";
import type { Peer } from "./peer.ts";
import type { Server } from "./server.ts";

interface TextCommand {
	/** Lower case; one or two words. */
	readonly name: string;
	/** Taken at the admin listeners alone, where there are any. */
	readonly isChange?: true;
	/** Runs with the words behind the name. A long reply is bytes: text has an end at half a gigabyte. */
	run(server: Server, args: readonly string[], peer: Peer): string | Buffer;
}

const OK = "OK\r\n";
const LISTING_PART = 65_536;
/** Times a function is named in `workers` that was registered more often on one connection. */
const MAX_REPEATS = 100;

const commands: readonly TextCommand[] = [
	{ name: "status", run: (server) => listing(functions(server), statusLine) },
	{ name: "prioritystatus", run: (server) => listing(functions(server), priorityStatusLine) },
	{ name: "workers", run: (server) => listing(server.peers, workersLine) },
	{ name: "show jobs", run: showJobs },
	{ name: "show unique jobs", run: (server) => listing(server.jobs.jobs(), (job) => printable(job.unique)) },
	{ name: "cancel job", isChange: true, run: cancelJob },
	{ name: "create function", isChange: true, run: createFunction },
	{ name: "drop function", isChange: true, run: dropFunction },
	{ name: "maxqueue", isChange: true, run: maxQueue },
	{ name: "metrics", run: metrics },
	{ name: "getpid", run: () => `OK ${process.pid}\n` },
	{ name: "verbose", run: (server) => `OK ${server.log.level}\n` },
	{ name: "version", run: (server) => `OK ${server.options.version}\n` },
	{ name: "shutdown", isChange: true, run: shutdown },
];

/** What a line whose first word is known, but not the rest, is answered. */
const misuses = new Map<string, (args: readonly string[]) => string>([
	["show", (args) => (args.length === 0 ? unknownCommand("show") : "ERR UNKNOWN_SHOW_ARGUMENTS\r\n")],
	["cancel", (args) => (args.length < 2 ? unknownCommand("cancel") : "ERR UNKNOWN_ERROR\r\n")],
	["create", () => incomplete("create")],
	["drop", () => incomplete("drop")],
]);

/** Answers one line; command words in any case, blanks in front and extra words do no harm. */
export function runLine(server: Server, peer: Peer, line: string): string | Buffer {
	const [first = "", ...rest] = line.split(" ").filter((word) => word !== "");
	server.log.debug(`${peer.name} ${printable(line)}`, { peer: peer.name });
	const lower = [first, ...rest].map((word) => word.toLowerCase());
	for (const command of commands) {
		const length = command.name.split(" ").length;
		if (lower.slice(0, length).join(" ") !== command.name) continue;
		if (command.isChange && !peer.mayChange) return elsewhere(server);
		return command.run(server, rest.slice(length - 1), peer);
	}
	return misuses.get(lower[0])?.(rest) ?? unknownCommand(first);
}

function unknownCommand(word: string): string {
	return `ERR UNKNOWN_COMMAND Unknown+server+command${printable(word)}\r\n`;
}

function elsewhere(server: Server): string {
	const places = server.addressesOf("admin").map(shown).join("+or+");
	return `ERR NOT_ALLOWED This+command+is+taken+at+${places}\r\n`;
}

function incomplete(command: string): string {
	return `ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+${command}\r\n`;
}

/** A line a row, and the dot. A row that may be long comes in pieces. */
function listing<T>(rows: Iterable<T>, toLine: (row: T) => string | Iterable<string>): Buffer {
	const parts: Buffer[] = [];
	let text = "";
	const add = (piece: string) => {
		text += piece;
		if (text.length < LISTING_PART) return;
		parts.push(Buffer.from(text, "latin1"));
		text = "";
	};
	for (const row of rows) {
		const line = toLine(row);
		if (typeof line === "string") add(line);
		else for (const piece of line) add(piece);
		add("\n");
	}
	parts.push(Buffer.from(`${text}.\n`, "latin1"));
	return Buffer.concat(parts);
}

function functions(server: Server): Iterable<FunctionQueue> {
	return server.jobs.functions.values();
}

function statusLine(queue: FunctionQueue): string {
	return `${printable(queue.name)}\t${queue.total}\t${queue.running}\t${queue.workers}`;
}

function priorityStatusLine(queue: FunctionQueue): string {
	// Epoch jobs wait at normal priority, and are counted there before they are due.
	const normal = queue.queuedAt(NORMAL) + queue.delayed;
	return `${printable(queue.name)}\t${queue.queuedAt(0)}\t${normal}\t${queue.queuedAt(LOW)}\t${queue.workers}`;
}

/** `FD IP ID :` and the functions, the last registered first. */
function* workersLine(peer: Peer): Generator<string> {
	yield `${peer.id} ${peer.address} ${printable(peer.clientId)} :`;
	for (const { queue, registrations } of [...(peer.worker?.abilities.values() ?? [])].reverse()) {
		const name = ` ${printable(queue.name)}`;
		for (let i = 0; i < Math.min(registrations, MAX_REPEATS); i++) yield name;
	}
}

/** Text for Prometheus, and the dot: no line of the text is one. */
function metrics(server: Server): Buffer {
	return Buffer.concat([expose(server, "prometheus"), Buffer.from(".\n")]);
}

function showJobs(server: Server): Buffer {
	return listing(server.jobs.jobs(), (job) => {
		const isIgnored = job.isCancelled || job.isAbandoned;
		return `${job.handle}\t${job.retries}\t${isIgnored ? 1 : 0}\t${job.isBackground ? 1 : 0}`;
	});
}

function cancelJob(server: Server, [handle]: readonly string[]): string {
	if (handle === undefined) return unknownCommand("cancel");
	const job = server.jobs.find(handle);
	return job !== undefined && server.cancel(job) ? OK : "ERR UNKNOWN_JOB\r\n";
}

function createFunction(server: Server, [name]: readonly string[]): string {
	if (name === undefined) return incomplete("create");
	server.jobs.functionOf(name);
	return OK;
}

function dropFunction(server: Server, [name]: readonly string[]): string {
	if (name === undefined) return incomplete("drop");
	const queue = server.jobs.functions.get(name) ?? findIgnoringCase(server, name);
	if (queue === undefined) return "ERR function not found\r\n";
	return server.dropFunction(queue) ? OK : "ERR there are still connected workers or executing clients\r\n";
}

function findIgnoringCase(server: Server, name: string): FunctionQueue | undefined {
	const lower = name.toLowerCase();
	for (const queue of functions(server)) if (queue.name.toLowerCase() === lower) return queue;
	return undefined;
}

/** `maxqueue F` no limit, `maxqueue F n` one for all, `maxqueue F h n l` one a priority; 0 and less: none. */
function maxQueue(server: Server, [name, ...limits]: readonly string[]): string {
	if (name === undefined) return incomplete("maxqueue");
	const queue = server.jobs.functionOf(name);
	for (const priority of [0, 1, 2] as Priority[]) {
		const limit = limits.length === 1 ? limits[0] : limits[priority];
		queue.maxQueue[priority] = Math.max(0, Number.parseInt(limit ?? "0", 10) || 0);
	}
	return OK;
}

function shutdown(server: Server, [how]: readonly string[]): string {
	if (!server.options.allowShutdown) return unknownCommand("shutdown");
	if (how !== undefined && how.toLowerCase() !== "graceful") return incomplete("shutdown");
	// After this turn, so that the reply is on its way first.
	setImmediate(() => server.requestStop(how === undefined ? "quick" : "graceful"));
	return OK;
}

/** A name from the wire, in one line whatever bytes it holds. */
function printable(name: string): string {
	// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what would break the listing
	return name.replace(/[\0-\x1f\x7f]/g, "?");
}

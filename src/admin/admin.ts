// Asks one job server by the admin text protocol. Connects when first used; commands may be sent without waiting, replies
// come in order. A lost connection fails the commands under way; the next one connects anew.

import { GearmanError } from "../errors.ts";
import { Connection, nameOf, parseServers, type ServerAddress } from "../net/connection.ts";
import type { TlsFiles } from "../net/tls.ts";
import { readMetrics, type Sample } from "./metrics.ts";
import {
	type FunctionStatus,
	type JobRow,
	linesOf,
	type PriorityStatus,
	type QueueInfo,
	ReplyReader,
	readJobs,
	readPriorityStatus,
	readQueueInfo,
	readStatus,
	readWorkers,
	shapeOf,
	textOf,
	type WorkerRow,
} from "./replies.ts";

export interface AdminOptions {
	/** Port of a server named without one; 4730. */
	readonly port?: number;
	/** Speak TLS to a server given as text. */
	readonly tls?: TlsFiles;
	/** Longest wait for any byte of an answer, connecting included. */
	readonly timeoutMs?: number;
}

export interface AskOptions {
	/** Gives up waiting; the server may have done what was asked. */
	readonly signal?: AbortSignal;
}

/** A command that waits for its reply. */
interface Waiter {
	resolve(reply: Buffer): void;
	reject(error: GearmanError): void;
}

export class Admin {
	readonly address: ServerAddress;
	readonly #timeoutMs: number | undefined;
	#connection: Connection | undefined;
	#connecting: Promise<Connection> | undefined;
	#reader = new ReplyReader((reply) => this.#waiting.shift()?.resolve(reply));
	#waiting: Waiter[] = [];
	#timer: NodeJS.Timeout | undefined;
	#isClosed = false;

	/** Throws BAD_ARGUMENT. */
	constructor(server: string | ServerAddress = "localhost", options: AdminOptions = {}) {
		this.address = typeof server === "string" ? parseServers(server, options.port, options.tls)[0] : server;
		this.#timeoutMs = options.timeoutMs;
	}

	/** Functions: jobs and workers. */
	async status(options: AskOptions = {}): Promise<FunctionStatus[]> {
		return readStatus(await this.command("status", options));
	}

	/** Functions: queued jobs by priority. */
	async priorityStatus(options: AskOptions = {}): Promise<PriorityStatus[]> {
		return readPriorityStatus(await this.command("prioritystatus", options));
	}

	/** All connections, clients included. */
	async workers(options: AskOptions = {}): Promise<WorkerRow[]> {
		return readWorkers(await this.command("workers", options));
	}

	async showJobs(options: AskOptions = {}): Promise<JobRow[]> {
		return readJobs(await this.command("show jobs", options));
	}

	/** The unique key of each job. */
	async showUniqueJobs(options: AskOptions = {}): Promise<string[]> {
		return await this.command("show unique jobs", options);
	}

	/** Where background jobs are kept, and how that goes. C's gearmand has no such command: SERVER_ERROR, UNKNOWN_COMMAND. */
	async queueInfo(options: AskOptions = {}): Promise<QueueInfo> {
		return readQueueInfo(await this.command("queue info", options));
	}

	async cancelJob(handle: string, options: AskOptions = {}): Promise<void> {
		await this.command(`cancel job ${word("handle", handle)}`, options);
	}

	async createFunction(functionName: string, options: AskOptions = {}): Promise<void> {
		await this.command(`create function ${word("function name", functionName)}`, options);
	}

	async dropFunction(functionName: string, options: AskOptions = {}): Promise<void> {
		await this.command(`drop function ${word("function name", functionName)}`, options);
	}

	/** Most jobs a function may have: for all priorities, or for [high, normal, low]; 0: no limit. */
	async maxQueue(
		functionName: string,
		limits: number | readonly number[] = 0,
		options: AskOptions = {},
	): Promise<void> {
		const words = ["maxqueue", word("function name", functionName)].concat([limits].flat().map(String));
		await this.command(words.join(" "), options);
	}

	/** All metrics. C's server has none, and rejects SERVER_ERROR. */
	async metrics(options: AskOptions = {}): Promise<Sample[]> {
		return readMetrics(await this.command("metrics", options));
	}

	/** Process id of the server. */
	async getpid(options: AskOptions = {}): Promise<number> {
		return Number(await this.#text("getpid", options));
	}

	async version(options: AskOptions = {}): Promise<string> {
		return await this.#text("version", options);
	}

	/** Log level of the server. */
	async verbose(options: AskOptions = {}): Promise<string> {
		return await this.#text("verbose", options);
	}

	/** Stops the server, where it allows that; gracefully: after the jobs under way. */
	async shutdown({ graceful = false, ...options }: { graceful?: boolean } & AskOptions = {}): Promise<void> {
		await this.command(graceful ? "shutdown graceful" : "shutdown", options);
	}

	/** Sends any command. The lines of its reply; a reply `ERR …` rejects SERVER_ERROR with `serverCode`. */
	async command(line: string, options: AskOptions = {}): Promise<string[]> {
		return linesOf(await this.raw(line, options));
	}

	/** Sends any command. Its reply as it came, ERR or not. */
	async raw(line: string, { signal }: AskOptions = {}): Promise<Buffer> {
		if (signal?.aborted) throw new GearmanError("ABORTED", undefined, { cause: signal.reason });
		if (/[\r\n\0]/.test(line)) throw new GearmanError("BAD_ARGUMENT", "a command is one line");
		if (this.#isClosed) throw new GearmanError("ABORTED", "the admin connection was closed");
		if (this.#connection === undefined) this.#connecting ??= this.#connect();
		const connection = this.#connection ?? (await this.#connecting);
		if (connection === undefined) throw new GearmanError("ABORTED", "the admin connection was closed");
		return await new Promise((resolve, reject) => {
			// An aborted command's reply still comes, and is passed over: replies are known by their order alone.
			const onAbort = () => reject(new GearmanError("ABORTED", undefined, { cause: signal?.reason }));
			const forget = () => signal?.removeEventListener("abort", onAbort);
			signal?.addEventListener("abort", onAbort, { once: true });
			this.#waiting.push({
				resolve: (reply) => {
					forget();
					resolve(reply);
				},
				reject: (error) => {
					forget();
					reject(error);
				},
			});
			this.#reader.expect(shapeOf(line));
			// CRLF: gearmand takes the last letter of a name for the CR that is not there.
			connection.send(Buffer.from(`${line}\r\n`, "utf8"));
			this.#watch();
		});
	}

	close(): void {
		this.#isClosed = true;
		this.#connection?.close();
		this.#connection = undefined;
		this.#failAll(new GearmanError("ABORTED", "the admin connection was closed"));
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.close();
	}

	async #text(command: string, options: AskOptions): Promise<string> {
		const [line = ""] = await this.command(command, options);
		return textOf(line);
	}

	async #connect(): Promise<Connection> {
		const connection = new Connection(this.address, {
			onPacket: () => {},
			onLine: () => {},
			onBytes: (bytes) => {
				this.#reader.write(bytes);
				if (this.#waiting.length === 0) clearTimeout(this.#timer);
				else this.#timer?.refresh();
			},
			onClose: (error) => this.#lose(error),
		});
		const abort = new AbortController();
		const timer =
			this.#timeoutMs === undefined ? undefined : setTimeout(() => abort.abort(this.#timedOut()), this.#timeoutMs);
		try {
			await connection.connect(abort.signal);
		} catch (error) {
			throw abort.signal.aborted ? this.#timedOut() : error;
		} finally {
			clearTimeout(timer);
			this.#connecting = undefined;
		}
		if (this.#isClosed) {
			connection.close();
			throw new GearmanError("ABORTED", "the admin connection was closed");
		}
		this.#reader = new ReplyReader((reply) => this.#waiting.shift()?.resolve(reply));
		this.#connection = connection;
		return connection;
	}

	#watch(): void {
		if (this.#timeoutMs === undefined) return;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => {
			this.#connection?.close();
			this.#lose(this.#timedOut());
		}, this.#timeoutMs);
	}

	#lose(error: GearmanError): void {
		this.#connection = undefined;
		this.#failAll(error);
	}

	#failAll(error: GearmanError): void {
		clearTimeout(this.#timer);
		const waiting = this.#waiting;
		this.#waiting = [];
		for (const { reject } of waiting) reject(error);
	}

	#timedOut(): GearmanError {
		return new GearmanError("TIMED_OUT", `${nameOf(this.address)} did not answer within ${this.#timeoutMs} ms`);
	}
}

/** A command's words are divided by blanks, so an argument cannot hold one. */
function word(what: string, text: string): string {
	if (text === "" || /[\s\0]/.test(text)) {
		throw new GearmanError("BAD_ARGUMENT", `the admin protocol cannot name a ${what} that is empty or has blanks`);
	}
	return text;
}

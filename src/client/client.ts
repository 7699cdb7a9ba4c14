// The client: submits jobs to one job server or several, asks for their status, and nothing else. Connects when first
// used, comes back after a lost connection, and never submits a job twice: what was written and not answered is reported
// (CONNECTION_LOST), not repeated.
//
// Spread over servers: a job with a unique key goes to the same server every time (equal jobs can only meet there), others
// take turns. A server that cannot be reached is passed over as long as nothing was written.

import { GearmanError } from "../errors.ts";
import { parseServers, type ServerAddress } from "../net/connection.ts";
import type { TlsFiles } from "../net/tls.ts";
import { type PacketType, Type } from "../protocol/commands.ts";
import { encodeRequest, fromName } from "../protocol/packet.ts";
import type { Packet } from "../protocol/parser.ts";
import { Call, couldNotConnect, limit } from "./call.ts";
import { murmur3 } from "./hash.ts";
import { Link, numberIn, type TaskObserver } from "./link.ts";
import type { Pieces, ReduceOptions, Reducer } from "./reduce.ts";
import {
	argument,
	type BackgroundOptions,
	type CallOptions,
	encodeBackground,
	encodeForeground,
	encodeWithData,
	type SubmitOptions,
	toBytes,
} from "./submission.ts";
import { Task } from "./task.ts";

export interface ClientOptions {
	/** Port of servers named without one; 4730. */
	readonly port?: number;
	/** Speak TLS to all servers given as text. */
	readonly tls?: TlsFiles;
	/** False: do not ask for WORK_EXCEPTION; jobs that raise then end as failed. */
	readonly exceptions?: boolean;
}

export interface JobStatus {
	readonly isKnown: boolean;
	readonly isRunning: boolean;
	readonly numerator: number;
	readonly denominator: number;
}

export interface UniqueStatus extends JobStatus {
	/** Clients that wait for the job. */
	readonly clients: number;
}

const EMPTY = new Uint8Array(0);

export class Client {
	readonly #addresses: readonly ServerAddress[];
	readonly #options: ClientOptions;
	readonly #links: readonly Link[];
	/** #orders[n]: all links from number n on, for jobs that take turns. */
	readonly #orders: readonly (readonly Link[])[];
	#turn = 0;
	#isClosed = false;

	/** Nothing is connected yet. Throws BAD_ARGUMENT. */
	constructor(servers: string | readonly (string | ServerAddress)[] = "localhost", options: ClientOptions = {}) {
		const addresses = (typeof servers === "string" ? [servers] : servers).flatMap((server) =>
			typeof server === "string" ? parseServers(server, options.port, options.tls) : [server],
		);
		if (addresses.length === 0) throw new GearmanError("BAD_ARGUMENT", "no server was named");
		this.#addresses = addresses;
		this.#options = options;
		const links = addresses.map((address) => new Link(address, options.exceptions ?? true));
		this.#links = links;
		this.#orders = links.map((_, from) => [...links.slice(from), ...links.slice(0, from)]);
	}

	/** Runs a job; see Task for the result. The workload must not be changed before the task has its handle. */
	submit(functionName: string, workload: Uint8Array | string = EMPTY, options: SubmitOptions = {}): Task {
		const task = new Task(functionName, options.unique || newUnique());
		if (options.signal?.aborted) {
			task.observer.onError(new GearmanError("ABORTED", undefined, { cause: options.signal.reason }));
			return task;
		}
		task.watch(options, this.start(task.observer, functionName, workload, { ...options, unique: task.unique }));
		return task;
	}

	/** @internal submit() by callbacks instead of a Task, for many thousand jobs at a time. Signal and timeout are the caller's. */
	start(
		observer: TaskObserver,
		functionName: string,
		workload: Uint8Array | string = EMPTY,
		options: SubmitOptions = {},
	): { readonly isWritten: boolean; isCancelled: boolean } {
		const bytes = toBytes(workload);
		const parts = encodeForeground(functionName, bytes, options);
		const call = new Call(this, this.#orderFor(functionName, options.unique, bytes), parts, Type.JOB_CREATED, observer);
		this.dispatch(call);
		return call;
	}

	/** @internal background() by callbacks. */
	startBackground(
		observer: Pick<TaskObserver, "onCreated" | "onError">,
		functionName: string,
		workload: Uint8Array | string = EMPTY,
		options: BackgroundOptions = {},
	): { readonly isWritten: boolean; isCancelled: boolean } {
		const bytes = toBytes(workload);
		const parts = encodeBackground(functionName, bytes, options);
		const order = this.#orderFor(functionName, options.unique, bytes);
		const call = new Call(this, order, parts, Type.JOB_CREATED, undefined, (result) => {
			if (result instanceof GearmanError) observer.onError(result);
			else observer.onCreated(fromName(result.text(0)));
		});
		this.dispatch(call);
		return call;
	}

	/** Queues a job nobody waits for; gives its handle once the server has it. */
	async background(
		functionName: string,
		workload: Uint8Array | string = EMPTY,
		options: BackgroundOptions = {},
	): Promise<string> {
		const bytes = toBytes(workload);
		const parts = encodeBackground(functionName, bytes, { ...options, unique: options.unique || newUnique() });
		const order = this.#orderFor(functionName, options.unique, bytes);
		return await this.#ask(order, parts, Type.JOB_CREATED, options, (answer) => fromName(answer.text(0)));
	}

	/** What the servers know of a job. They forget a job when it is done. */
	async status(handle: string, options: CallOptions = {}): Promise<JobStatus> {
		const packet = [encodeRequest("GET_STATUS", [argument("handle", handle)])];
		return await this.#askAll(packet, Type.STATUS_RES, options, readStatus);
	}

	/** What the servers know of a job, by its unique key. */
	async statusUnique(unique: string, options: CallOptions = {}): Promise<UniqueStatus> {
		const packet = [encodeRequest("GET_STATUS_UNIQUE", [argument("unique", unique)])];
		return await this.#askAll(packet, Type.STATUS_RES_UNIQUE, options, (answer) => ({
			...readStatus(answer),
			clients: numberIn(answer, 5),
		}));
	}

	/**
	 * Map and reduce: runs one job of `functionName` for each piece, many at a time, and folds the results in the order of
	 * the pieces, as Array's reduce(). The first piece that fails ends it: rejects with that job's error, or ABORTED. Uses
	 * connections of its own, so that the servers drop what is left of it then.
	 */
	reduce<T>(functionName: string, pieces: Pieces, reducer: Reducer<T>, initial: T, options?: ReduceOptions): Promise<T>;
	/** The same, `reducer` being a function of the workers: it gets one job with all results, one behind the other. */
	reduce(functionName: string, pieces: Pieces, reducer: string, options?: ReduceOptions): Promise<Buffer>;
	async reduce<T>(
		functionName: string,
		pieces: Pieces,
		reducer: Reducer<T> | string,
		initial: T | ReduceOptions = {},
		options: ReduceOptions = {},
	): Promise<T | Buffer> {
		const { fold, mapPieces } = await import("./reduce.ts");
		const client = new Client(this.#addresses, this.#options);
		try {
			if (typeof reducer !== "string") {
				return await fold(mapPieces(client, functionName, pieces, options), reducer, initial as T);
			}
			const own = initial as ReduceOptions;
			const parts: Buffer[] = [];
			for await (const result of mapPieces(client, functionName, pieces, own)) parts.push(result);
			const { signal, timeoutMs, priority } = own;
			return await client.submit(reducer, Buffer.concat(parts), { signal, timeoutMs, priority });
		} finally {
			client.close();
		}
	}

	/** Sends bytes to a server and back. */
	async echo(bytes: Uint8Array | string = EMPTY, options: CallOptions = {}): Promise<Buffer> {
		const packet = encodeWithData("ECHO_REQ", [], toBytes(bytes));
		return await this.#ask(this.#nextOrder(), packet, Type.ECHO_RES, options, (answer) => answer.keepData());
	}

	/** Closes the connections. Tasks that have not ended reject ABORTED; their jobs are the server's to drop. */
	close(): void {
		this.#isClosed = true;
		for (const link of this.#links) link.close();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.close();
	}

	/** Resolves when the connections have room for more submits. */
	async drained(): Promise<void> {
		for (const link of this.#links) await link.drained();
	}

	/** @internal Stops reading from all servers until resume(). */
	pause(): void {
		for (const link of this.#links) link.pause();
	}

	/** @internal */
	resume(): void {
		for (const link of this.#links) link.resume();
	}

	/** @internal Sends a request to the first of its servers that can be had. Calls only. */
	dispatch(call: Call): void {
		if (this.#isClosed) {
			call.onError(new GearmanError("ABORTED", "the client was closed"));
			return;
		}
		// Servers that are down come last: a wait for them is better than an error, a try at once is not.
		let next: Link | undefined;
		for (const link of call.order) {
			if (call.failures.has(link)) continue;
			if (next === undefined || (next.isDown && !link.isDown)) next = link;
		}
		if (next !== undefined) next.send(call);
		else call.onError(couldNotConnect([...call.failures.values()]));
	}

	#ask<T>(
		order: readonly Link[],
		parts: readonly Buffer[],
		answer: PacketType,
		options: CallOptions,
		read: (packet: Packet) => T,
	): Promise<T> {
		return new Promise((resolve, reject) => {
			let forget = () => {};
			const call = new Call(this, order, parts, answer, undefined, (result) => {
				forget();
				if (result instanceof GearmanError) reject(result);
				else resolve(read(result));
			});
			forget = limit(options, (code, message, cause) => {
				call.isCancelled = true;
				reject(new GearmanError(code, message, { cause, mayHaveRun: call.isWritten && answer === Type.JOB_CREATED }));
			});
			if (!call.isCancelled) this.dispatch(call);
		});
	}

	/** Asks every server, as only one knows the job; an unreachable one spoils nothing if another knows it. */
	async #askAll<T extends JobStatus>(
		parts: readonly Buffer[],
		answer: PacketType,
		options: CallOptions,
		read: (packet: Packet) => T,
	): Promise<T> {
		const answers = await Promise.allSettled(
			this.#links.map((link) => this.#ask([link], parts, answer, options, read)),
		);
		const statuses = answers.flatMap((settled) => (settled.status === "fulfilled" ? [settled.value] : []));
		const known = statuses.find((status) => status.isKnown);
		if (known !== undefined) return known;
		for (const settled of answers) if (settled.status === "rejected") throw settled.reason;
		return statuses[0];
	}

	#nextOrder(): readonly Link[] {
		this.#turn = (this.#turn + 1) % this.#orders.length;
		return this.#orders[this.#turn];
	}

	#orderFor(functionName: string, unique: string | undefined, workload: Uint8Array): readonly Link[] {
		if (this.#links.length === 1) return this.#links;
		if (!unique) return this.#nextOrder();
		const hash = murmur3(unique === "-" ? workload : Buffer.from(`${functionName}\0${unique}`));
		return [...this.#links].sort((a, b) => b.weightFor(hash) - a.weightFor(hash));
	}
}

/**
 * A key no other job has: a UUID of version 7 (time, then what is random of this process, then a count from a random
 * start). gearmand's stores keep one job a function and key, so an empty key is no good default. Math.random(), because
 * keys are no secret and node:crypto takes 4 ms to load; a count, because 62 random bits a job are a tenth of the time
 * of `gearman -nb`.
 */
export function newUnique(): string {
	const now = Date.now();
	if (++uniqueCount > 0xffffff) {
		uniqueCount = 0;
		uniqueHigh = randomHex(6);
		uniqueTime = 0;
	}
	if (now !== uniqueTime) {
		uniqueTime = now;
		const time = now.toString(16).padStart(12, "0");
		uniqueHead = `${time.slice(0, 8)}-${time.slice(8)}-${uniqueProcess}-${uniqueHigh}`;
	}
	return uniqueHead + (0x1000000 + uniqueCount).toString(16).slice(1);
}

const uniqueProcess = `7${randomHex(3)}-${"89ab"[Math.floor(Math.random() * 4)]}${randomHex(3)}`;
let uniqueHigh = randomHex(6);
let uniqueCount = Math.floor(Math.random() * 0xffffff);
let uniqueTime = 0;
let uniqueHead = "";

function randomHex(digits: number): string {
	return Math.floor(Math.random() * 16 ** digits)
		.toString(16)
		.padStart(digits, "0");
}

function readStatus(answer: Packet): JobStatus {
	return {
		isKnown: answer.text(1) === "1",
		isRunning: answer.text(2) === "1",
		numerator: numberIn(answer, 3),
		denominator: numberIn(answer, 4),
	};
}

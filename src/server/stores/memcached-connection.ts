// A connection that speaks memcached's text protocol: requests go out as they come, replies are matched in order.
// Used by memcached.ts.
//
//   set gear_job:H:x:1 26469 0 5\r\nhello\r\n      →  STORED\r\n
//   get gear_a gear_b\r\n                          →  VALUE gear_a 0 5\r\nhello\r\nEND\r\n

import { connect, type NetConnectOpts, type Socket } from "node:net";
import { GearmanError } from "../../errors.ts";

const CONNECT_MS = 10_000;
const LINE_END = "\r\n";
/** Longer than any key, and than any line of a listing. */
const MAX_LINE_BYTES = 4096;

/** An item that was asked for. */
export interface Item {
	readonly key: string;
	readonly flags: number;
	readonly data: Buffer;
	/** As `gets` tells it, for a later cas. */
	readonly version: string;
}

/** Who waits for the next reply. */
interface Waiting {
	/** Replies of more than one line end with END. */
	readonly isList: boolean;
	readonly lines: string[];
	readonly items: Item[];
	resolve(reply: Waiting): void;
	reject(error: unknown): void;
}

export class MemcachedConnection {
	readonly #socket: Socket;
	readonly #waiting: Waiting[] = [];
	#arrived: Buffer[] = [];
	#arrivedBytes = 0;
	/** Nothing can be read before so many bytes have arrived. */
	#wantedBytes = 1;
	#reason: unknown;

	private constructor(socket: Socket, lost: (error: unknown) => void) {
		this.#socket = socket;
		socket.on("data", (bytes) => this.#receive(bytes));
		socket.on("error", (error) => {
			this.#reason = error;
		});
		socket.once("close", () => {
			const reason = this.#reason ?? new Error("the connection was closed");
			for (const waiting of this.#waiting.splice(0)) waiting.reject(reason);
			lost(reason);
		});
	}

	/** Resolves when it is connected. */
	static async open(address: NetConnectOpts, lost: (error: unknown) => void): Promise<MemcachedConnection> {
		const socket = connect(address);
		const connection = new MemcachedConnection(socket, lost);
		await new Promise<void>((resolve, reject) => {
			socket.setTimeout(CONNECT_MS, () => socket.destroy(new Error("no answer")));
			socket.once("connect", resolve);
			socket.once("close", () => reject(connection.#reason ?? new Error("the connection was closed")));
		});
		socket.setTimeout(0);
		return connection;
	}

	/** `set`, `add`, `append` or `cas` → true: STORED. Rejects when memcached says why it cannot. */
	async store(how: string, key: string, flags: number, seconds: number, data: Buffer, version = ""): Promise<boolean> {
		const line = [how, key, flags, seconds, data.length, ...(version === "" ? [] : [version])].join(" ");
		const { lines } = await this.#ask(false, Buffer.from(line + LINE_END, "latin1"), data, Buffer.from(LINE_END));
		return answerOf(lines[0], ["STORED"], ["NOT_STORED", "EXISTS", "NOT_FOUND"]);
	}

	/** True when there was one. */
	async delete(key: string): Promise<boolean> {
		const { lines } = await this.#ask(false, Buffer.from(`delete ${key}${LINE_END}`, "latin1"));
		return answerOf(lines[0], ["DELETED"], ["NOT_FOUND"]);
	}

	/** Those that there are, in no order. */
	async get(keys: readonly string[]): Promise<Item[]> {
		const { items } = await this.#ask(true, Buffer.from(`gets ${keys.join(" ")}${LINE_END}`, "latin1"));
		return items;
	}

	/** One of its settings; undefined when this version does not tell. */
	async setting(name: string): Promise<string | undefined> {
		const { lines } = await this.#ask(true, Buffer.from(`stats settings${LINE_END}`));
		const start = `STAT ${name} `;
		return lines.find((line) => line.startsWith(start))?.slice(start.length);
	}

	/** All keys, as far as this version of memcached lists them. */
	async keys(): Promise<string[]> {
		const { lines } = await this.#ask(true, Buffer.from(`lru_crawler metadump all${LINE_END}`));
		const keys: string[] = [];
		for (const line of lines) {
			const [, key] = /^key=(\S+)/.exec(line) ?? [];
			// %XX stands for a byte.
			if (key !== undefined)
				keys.push(key.replace(/%(..)/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))));
		}
		return keys;
	}

	end(): Promise<void> {
		return new Promise((resolve) => {
			this.#socket.once("close", () => resolve());
			this.#socket.end();
		});
	}

	destroy(): void {
		this.#socket.destroy();
	}

	#ask(isList: boolean, ...parts: Buffer[]): Promise<Waiting> {
		return new Promise((resolve, reject) => {
			if (!this.#socket.writable) return reject(this.#reason ?? new Error("the connection was closed"));
			this.#waiting.push({ isList, lines: [], items: [], resolve, reject });
			this.#socket.cork();
			for (const part of parts) this.#socket.write(part);
			process.nextTick(() => this.#socket.uncork());
		});
	}

	#receive(bytes: Buffer): void {
		this.#arrived.push(bytes);
		this.#arrivedBytes += bytes.length;
		if (this.#arrivedBytes < this.#wantedBytes) return;
		let rest = Buffer.concat(this.#arrived);
		this.#wantedBytes = 1;
		for (;;) {
			const used = this.#read(rest);
			if (used === 0) break;
			rest = rest.subarray(used);
		}
		this.#arrived = [rest];
		this.#arrivedBytes = rest.length;
	}

	/** Reads a line, and the data behind it; 0: there is not all of it yet. */
	#read(bytes: Buffer): number {
		// A listing's lines end without the CR.
		const end = bytes.indexOf("\n");
		if (end < 0) {
			if (bytes.length > MAX_LINE_BYTES) this.#socket.destroy(new Error("this is not memcached's protocol"));
			return 0;
		}
		let used = end + 1;
		const line = bytes.toString("latin1", 0, end).replace(/\r$/, "");
		const [waiting] = this.#waiting;
		if (waiting === undefined) {
			// E.g. "ERROR Too many open connections", said to whoever connects.
			this.#socket.destroy(new Error(line));
			return 0;
		}
		const [, key, flags, length, version = ""] = /^VALUE (\S+) (\d+) (\d+)(?: (\d+))?$/.exec(line) ?? [];
		if (key !== undefined) {
			const from = used;
			used += Number(length) + LINE_END.length;
			if (bytes.length < used) {
				this.#wantedBytes = used;
				return 0;
			}
			// A copy: a job must not keep the others of its chunk in memory.
			const data = Buffer.from(bytes.subarray(from, from + Number(length)));
			waiting.items.push({ key, flags: Number(flags), data, version });
			return used;
		}
		const isError = /^(ERROR|CLIENT_ERROR|SERVER_ERROR|BUSY)\b/.test(line);
		if (line !== "END") waiting.lines.push(line);
		if (line === "END" || isError || !waiting.isList) {
			this.#waiting.shift();
			if (isError) waiting.reject(new GearmanError("STORE_FAILED", `memcached: ${line}`));
			else waiting.resolve(waiting);
		}
		return used;
	}
}

function answerOf(line: string | undefined, yes: readonly string[], no: readonly string[]): boolean {
	if (line !== undefined && yes.includes(line)) return true;
	if (line !== undefined && no.includes(line)) return false;
	throw new GearmanError("STORE_FAILED", `memcached: ${line}`);
}

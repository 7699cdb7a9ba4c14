// Outbound: one socket to one job server. Client, worker and admin each own theirs and are called back with what came.
// What must stay true:
// - connect() alone tells of a failed connect; after it, onClose() tells of the end, once, and never after close();
// - what is sent in one turn leaves in one write;
// - a Connection is used for one connect(): whoever reconnects makes a new one and waits backoff() in between.

import { connect as connectSocket, isIPv6, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { GearmanError } from "../errors.ts";
import { type Packet, Parser } from "../protocol/parser.ts";
import { reasonOf } from "../reason.ts";
import type { TlsFiles } from "./tls.ts";

export interface ServerAddress {
	/** A name or an address; or unix:PATH, which has no port and speaks no TLS. */
	readonly host: string;
	/** 0 for a Unix socket. */
	readonly port: number;
	/** Present: speak TLS. */
	readonly tls?: TlsFiles;
}

export interface ConnectionEvents {
	/** A whole packet; a view that is reused, see Packet. */
	onPacket(packet: Packet): void;
	/** A text line without its end, as latin1. */
	onLine(line: string): void;
	/** The connection ended and close() was not called. */
	onClose(error: GearmanError): void;
	/** When present, the bytes come here as they are, to be kept, and nothing is parsed. */
	onBytes?(bytes: Buffer): void;
}

/** Port of a server named without one. */
export const DEFAULT_PORT = 4730;

/** send() says false while more than this many bytes wait; not under the sockets' own high-water mark (64 KiB). */
const HIGH_WATER_BYTES = 256 * 1024;
/** Up to here the sends of a turn are copied into one buffer: cheaper than a vector of many small ones. */
const JOIN_BYTES = 64 * 1024;
const KEEPALIVE_IDLE_MS = 60_000;
const READ_BYTES = 256 * 1024;
/** How the name of a Unix socket begins. */
const UNIX = "unix:";
/** A server that ends a connection so soon, without a word, did not want it. */
const TURNED_AWAY_MS = 2000;

/** What all such sockets read into, one after the other: Node would allocate 64 KiB a read. */
let readBuffer: Buffer | undefined;

/** One socket to one job server. */
export class Connection {
	readonly address: ServerAddress;
	readonly #events: ConnectionEvents;
	readonly #parser: Parser | undefined;
	#socket: Socket | undefined;
	#isOpen = false;
	#isClosed = false;
	#isPaused = false;
	/** Sent this turn, not yet written. */
	#outgoing: Buffer[] = [];
	#outgoingBytes = 0;
	#isFlushDue = false;
	#drainWaiters: (() => void)[] = [];
	#receive: (bytes: Buffer) => void = () => {};
	readonly #flush = (): void => this.#write();

	constructor(address: ServerAddress, events: ConnectionEvents) {
		this.address = address;
		this.#events = events;
		this.#parser = events.onBytes === undefined ? new Parser(this.#receiver(events)) : undefined;
	}

	get isOpen(): boolean {
		return this.#isOpen;
	}

	/**
	 * Resolves once usable, TLS handshake included. Tries all addresses of the host, IPv6 and IPv4.
	 * Rejects COULD_NOT_CONNECT, ABORTED, or BAD_ARGUMENT when a certificate file cannot be read.
	 */
	async connect(signal?: AbortSignal): Promise<void> {
		const { host, port } = this.address;
		const tls = this.#tls;
		throwIfAborted(signal);
		const secure = tls === undefined ? undefined : await import("./tls.ts");
		const context = tls === undefined ? undefined : secure?.readTlsFiles(tls);
		throwIfAborted(signal);
		if (this.#isClosed) throw new GearmanError("ABORTED");
		const onAbort = () => this.#socket?.destroy(new GearmanError("ABORTED"));
		signal?.addEventListener("abort", onAbort, { once: true });
		let socket: Socket | undefined;
		let isShakingHands = false;
		try {
			socket = await this.#open(host, port);
			if (secure !== undefined && context !== undefined) {
				isShakingHands = true;
				this.#socket = secure.shakeHands(socket, host, isIpAddress(host), context);
				await once(this.#socket, "secureConnect");
			}
		} catch (error) {
			this.#socket?.destroy();
			socket?.destroy();
			this.#isClosed = true;
			if (signal?.aborted || error instanceof GearmanError) {
				throw new GearmanError("ABORTED", undefined, { cause: error });
			}
			const why = (isShakingHands ? secure?.handshakeReason(error, host) : undefined) ?? reasonOf(error);
			throw new GearmanError("COULD_NOT_CONNECT", `could not connect to ${nameOf(this.address)}: ${why}`, {
				cause: error,
			});
		} finally {
			signal?.removeEventListener("abort", onAbort);
		}
		this.#begin(this.#socket ?? socket, (error) => secure?.handshakeReason(error, host));
	}

	/** Writes soon, with all else that is sent this turn. False: wait for drained() before sending more. */
	send(bytes: Buffer): boolean {
		if (this.#isClosed) return false;
		this.#outgoing.push(bytes);
		this.#outgoingBytes += bytes.length;
		if (!this.#isFlushDue && this.#isOpen) {
			this.#isFlushDue = true;
			process.nextTick(this.#flush);
		}
		return this.#waitingBytes() < HIGH_WATER_BYTES;
	}

	/** Resolves when there is room again, or nobody to write to. */
	drained(): Promise<void> {
		if (this.#isClosed || this.#waitingBytes() < HIGH_WATER_BYTES) return Promise.resolve();
		return new Promise((resolve) => this.#drainWaiters.push(resolve));
	}

	/** Stops reading: no onPacket() and no onBytes() until resume(). */
	pause(): void {
		this.#isPaused = true;
		this.#parser?.pause();
		this.#socket?.pause();
	}

	resume(): void {
		if (!this.#isPaused) return;
		this.#isPaused = false;
		this.#parser?.resume();
		if (!this.#isPaused) this.#socket?.resume();
	}

	/** Ends the socket behind what was sent; no event afterwards. */
	close(): void {
		if (this.#isClosed) return;
		this.#write();
		const socket = this.#socket;
		const wasOpen = this.#isOpen;
		this.#end();
		if (socket === undefined) return;
		if (!wasOpen) {
			socket.destroy(new GearmanError("ABORTED"));
			return;
		}
		// The peer may never read what is left: destroySoon() waits for our bytes to leave, not for its answer.
		socket.resume();
		socket.destroySoon();
	}

	async #open(host: string, port: number): Promise<Socket> {
		// To look up "localhost" takes Node 8 ms, a third of a short call's time, and can only give these two.
		if (host === "localhost") {
			try {
				return await this.#open("127.0.0.1", port);
			} catch (error) {
				if (!isRefused(error)) throw error;
				return await this.#open("::1", port).catch(() => {
					throw error;
				});
			}
		}
		const socket = connectSocket({
			...(isUnix(host) ? { path: host.slice(UNIX.length) } : { host, port, autoSelectFamily: true }),
			noDelay: true,
			keepAlive: true,
			keepAliveInitialDelay: KEEPALIVE_IDLE_MS,
			...(this.#readsInPlace ? { onread: this.#reader() } : {}),
		});
		// once() and #begin() listen for what they wait for; an error between them shows as a close.
		socket.on("error", () => {});
		this.#socket = socket;
		await once(socket, "connect");
		return socket;
	}

	get #tls(): TlsFiles | undefined {
		return isUnix(this.address.host) ? undefined : this.address.tls;
	}

	/** The parser keeps nothing of what it is given. */
	get #readsInPlace(): boolean {
		return this.#parser !== undefined && this.#tls === undefined;
	}

	/** Instead of "data" events. */
	#reader() {
		readBuffer ??= Buffer.allocUnsafeSlow(READ_BYTES);
		const buffer = readBuffer;
		const callback = (count: number) => {
			this.#receive(buffer.subarray(0, count));
			return true;
		};
		return { buffer, callback };
	}

	/** `explain`: in TLS 1.3 a client is done shaking hands before the server has seen its certificate, and may refuse it. */
	#begin(socket: Socket | TLSSocket, explain: (error: unknown) => string | undefined): void {
		if (this.#isClosed) {
			socket.destroy();
			throw new GearmanError("ABORTED");
		}
		this.#isOpen = true;
		const parser = this.#parser;
		const openedMs = Date.now();
		let isSilent = true;
		this.#receive = (chunk) => {
			if (this.#isClosed) return;
			if (isSilent) {
				isSilent = false;
				if (isTlsAlert(chunk)) return this.#refuse("a TLS alert: its port speaks TLS, say -S (--ssl)");
			}
			if (parser === undefined) this.#events.onBytes?.(chunk);
			else parser.write(chunk);
		};
		if (!this.#readsInPlace) socket.on("data", this.#receive);
		socket.on("drain", () => this.#release());
		let reason = "it was closed by the server";
		let isExplained = false;
		socket.on("error", (error) => {
			const why = explain(error);
			isExplained = why !== undefined;
			reason = why ?? reasonOf(error);
		});
		socket.on("close", () => {
			const isTurnedAway =
				!isExplained && isSilent && socket.bytesWritten > 0 && Date.now() - openedMs < TURNED_AWAY_MS;
			const why = isTurnedAway ? `${reason} before it said anything: ${this.#likelyCause()}` : reason;
			this.#fail("CONNECTION_LOST", `lost the connection to ${nameOf(this.address)}: ${why}`);
		});
		if (this.#isPaused) socket.pause();
		this.#write();
	}

	#likelyCause(): string {
		const tls = this.#tls;
		if (isUnix(this.address.host)) return "it may not let us in";
		if (tls === undefined) return "it may speak TLS (-S), or not let this machine in";
		if (tls.certificateFile !== undefined) return "it may not accept our certificate, or not let this machine in";
		return "it may want a certificate (--ssl-certificate, --ssl-key), or not let this machine in";
	}

	#receiver(events: ConnectionEvents) {
		return {
			onPacket: (packet: Packet) => events.onPacket(packet),
			onLine: (line: string) => events.onLine(line),
			// A skipped packet may have been the answer somebody waits for, so it cannot be passed over.
			onOversized: (_type: number, size: number) => this.#refuse(`a packet of ${size} bytes`),
			onGarbage: (reason: string) => this.#refuse(`something that is not Gearman (${reason})`),
		};
	}

	#refuse(what: string): void {
		this.#socket?.destroy();
		this.#fail("INVALID_RESPONSE", `${nameOf(this.address)} sent ${what}`);
	}

	#fail(code: "CONNECTION_LOST" | "INVALID_RESPONSE", message: string): void {
		if (this.#isClosed) return;
		this.#end();
		this.#events.onClose(new GearmanError(code, message));
	}

	#end(): void {
		this.#isClosed = true;
		this.#isOpen = false;
		this.#outgoing = [];
		this.#outgoingBytes = 0;
		this.#parser?.close();
		this.#release();
	}

	#release(): void {
		const waiters = this.#drainWaiters;
		this.#drainWaiters = [];
		for (const resolve of waiters) resolve();
	}

	#waitingBytes(): number {
		return this.#outgoingBytes + (this.#socket?.writableLength ?? 0);
	}

	#write(): void {
		this.#isFlushDue = false;
		const socket = this.#socket;
		if (!this.#isOpen || socket === undefined || this.#outgoing.length === 0) return;
		const outgoing = this.#outgoing;
		const size = this.#outgoingBytes;
		this.#outgoing = [];
		this.#outgoingBytes = 0;
		if (outgoing.length === 1) {
			socket.write(outgoing[0]);
		} else if (size <= JOIN_BYTES) {
			socket.write(Buffer.concat(outgoing, size));
		} else {
			socket.cork();
			for (const bytes of outgoing) socket.write(bytes);
			socket.uncork();
		}
		// What the kernel has taken at once, be it megabytes, no "drain" follows.
		if (this.#waitingBytes() < HIGH_WATER_BYTES) this.#release();
	}
}

/**
 * "a,b:4731,[::1]:4730,unix:/run/gearman/socket" → addresses, in that order. IPv6 goes with brackets, or without when no
 * port follows. Throws BAD_ARGUMENT.
 */
export function parseServers(
	text: string | readonly string[],
	defaultPort: number = DEFAULT_PORT,
	tls?: TlsFiles,
): ServerAddress[] {
	const names = (typeof text === "string" ? [text] : text).flatMap((part) => part.split(","));
	const servers: ServerAddress[] = [];
	for (const untrimmed of names) {
		const name = untrimmed.trim();
		if (name === "") continue;
		// The kernel would cut a longer one off in silence.
		if (/^unix:.{1,107}$/.test(name)) {
			servers.push({ host: name, port: 0 });
			continue;
		}
		// [host]:port, [host], host:port, or a host with no colon or with several (IPv6)
		const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(name);
		const host = match === null ? name : (match[1] ?? match[2]);
		const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
		if (match === null && !isIPv6(name)) {
			throw new GearmanError("BAD_ARGUMENT", `"${name}" is not a server: expected HOST, HOST:PORT or unix:PATH`);
		}
		if (!Number.isInteger(port) || port < 1 || port > 65_535) {
			throw new GearmanError("BAD_ARGUMENT", `port ${port} of server "${name}" is not within 1 and 65535`);
		}
		servers.push(tls === undefined ? { host, port } : { host, port, tls });
	}
	if (servers.length === 0) throw new GearmanError("BAD_ARGUMENT", "no server was named");
	return servers;
}

/** "host:port", IPv6 in brackets; "unix:/path" as it is. */
export function nameOf(address: ServerAddress): string {
	if (isUnix(address.host)) return address.host;
	return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Milliseconds to wait before reconnect number `attempt` (from 0): 0.1 s to 10 s, exponential, full jitter. */
export function backoff(attempt: number): number {
	const longest = Math.min(10_000, 200 * 2 ** Math.min(attempt, 16));
	return 100 + Math.random() * (longest - 100);
}

function isUnix(host: string): boolean {
	return host.startsWith(UNIX);
}

function isRefused(error: unknown): boolean {
	return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

function isIpAddress(host: string): boolean {
	return host.includes(":") || /^[\d.]+$/.test(host);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
	if (signal?.aborted) throw new GearmanError("ABORTED", undefined, { cause: signal.reason });
}

/** The event, or a rejection when the socket fails or closes first. */
function once(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
	return new Promise((resolve, reject) => {
		const onClose = () => reject(new Error("the connection was closed"));
		socket.once("error", reject);
		socket.once("close", onClose);
		socket.once(event, () => {
			socket.off("error", reject);
			socket.off("close", onClose);
			resolve();
		});
	});
}

/** What a TLS server answers to bytes that are none: record type "alert", version 3.x. */
function isTlsAlert(chunk: Buffer): boolean {
	return chunk[0] === 0x15 && chunk[1] === 3;
}

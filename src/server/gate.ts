// What every accepted connection passes before a protocol sees it, and in this order: limits, rules, TLS, rules about
// names. One a server, over all its listeners; a connection counts from its accept to its close, handshake included.

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { GearmanError } from "../errors.ts";
import type { Log } from "../log.ts";
import { Access, certificateNames, plainAddress } from "./access.ts";
import type { Metrics } from "./metrics.ts";
import type { Tls, TlsOptions } from "./tls.ts";

/** Takes a connection that was accepted; `isLocal`: through a Unix socket. */
export type Entrance = (socket: Socket, isLocal: boolean) => void;

export interface GateOptions {
	readonly allow?: readonly string[];
	readonly deny?: readonly string[];
	readonly maxConnections?: number;
	/** Of one address, or of one IPv6 /64; none for loopback and Unix sockets. */
	readonly maxConnectionsPerAddress?: number;
	readonly tls?: TlsOptions;
}

export class Gate {
	readonly access: Access;
	readonly #options: GateOptions;
	readonly #log: Log;
	readonly #metrics: Metrics;
	/** Makes room for one more, if it can. */
	readonly #makeRoom: () => boolean;
	#tls: Tls | undefined;
	/** Connections let in so far, and not closed. */
	count = 0;
	readonly #counts = new Map<string, number>();

	/** `makeRoom` is called when all places are taken. Throws GearmanError BAD_ARGUMENT. */
	constructor(options: GateOptions, log: Log, metrics: Metrics, makeRoom: () => boolean) {
		this.access = new Access(options.allow, options.deny);
		if (this.access.needsNames && options.tls?.caFile === undefined) {
			const message = "rules about names (name:…) need --ssl and --ssl-ca-file: only a certificate has a name";
			throw new GearmanError("BAD_ARGUMENT", message);
		}
		this.#options = options;
		this.#log = log;
		this.#metrics = metrics;
		this.#makeRoom = makeRoom;
	}

	/** Reads the certificates. Rejects with GearmanError. */
	async open(): Promise<void> {
		if (this.#options.tls === undefined) return;
		const { Tls } = await import("./tls.ts");
		this.#tls = new Tls(this.#options.tls, this.#log);
	}

	/** Whether TCP connections speak TLS. */
	get isSecure(): boolean {
		return this.#tls !== undefined;
	}

	/** Certificates are read again. */
	reload(): void {
		this.#tls?.reload();
	}

	/** The way in for one protocol, which gets what passes. */
	entrance(accept: (socket: Socket) => void): Entrance {
		const shakeHands = this.#tls?.wrap((socket) => {
			if (this.#passesByName(socket)) accept(socket);
		});
		return (socket, isLocal) => {
			if (!this.#enters(socket, isLocal)) return;
			if (isLocal || shakeHands === undefined) accept(socket);
			else shakeHands(socket);
		};
	}

	#enters(socket: Socket, isLocal: boolean): boolean {
		const address = socket.remoteAddress;
		// Gone before it was here.
		if (!isLocal && address === undefined) return this.#refuse(socket);
		const names = isLocal || this.#tls === undefined ? [] : undefined;
		if (this.access.admits(isLocal ? undefined : address, names) === false) {
			return this.#refuse(socket, `${address ?? "A Unix socket's client"} is refused by --allow or --deny`, "rules");
		}
		const key = isLocal || address === undefined ? undefined : countedAs(plainAddress(address));
		const { maxConnections = Number.POSITIVE_INFINITY, maxConnectionsPerAddress: most } = this.#options;
		const ofAddress = key === undefined ? 0 : (this.#counts.get(key) ?? 0);
		if (most !== undefined && ofAddress >= most) {
			return this.#refuse(socket, `Too many connections from ${key}: more than ${most} are refused`, "address");
		}
		if (this.count >= maxConnections && !this.#makeRoom()) {
			return this.#refuse(socket, `Too many connections: more than ${maxConnections} are refused`);
		}
		this.count++;
		this.#metrics.accepted++;
		if (key !== undefined) this.#counts.set(key, ofAddress + 1);
		socket.once("close", () => {
			this.count--;
			if (key === undefined) return;
			const left = (this.#counts.get(key) ?? 1) - 1;
			if (left === 0) this.#counts.delete(key);
			else this.#counts.set(key, left);
		});
		return true;
	}

	#passesByName(socket: TLSSocket): boolean {
		if (!this.access.needsNames) return true;
		const names = certificateNames(socket);
		if (this.access.admits(socket.remoteAddress ?? "", names)) return true;
		const who = names.length === 0 ? "without a certificate" : `as ${names[0]}`;
		return this.#refuse(socket, `${socket.remoteAddress} ${who} is refused by --allow or --deny`, "rules");
	}

	#refuse(socket: Socket, line?: string, kind = line): false {
		this.#metrics.refused++;
		if (line !== undefined) this.#log.errorOnceASecond(line, kind);
		socket.destroy();
		return false;
	}
}

/** What a limit an address counts by; undefined: not at all. Who has one IPv6 address has all of its /64. */
function countedAs(address: string): string | undefined {
	if (address === "::1" || address.startsWith("127.")) return undefined;
	if (!address.includes(":")) return address;
	const [head = "", tail] = address.split("::");
	const first = head === "" ? [] : head.split(":");
	const last = tail === undefined || tail === "" ? [] : tail.split(":");
	const all = tail === undefined ? first : [...first, ...Array(8 - first.length - last.length).fill("0"), ...last];
	return `${all.slice(0, 4).join(":")}::/64`;
}

// The listening sockets of one protocol: TCP addresses, Unix sockets and inherited descriptors. What they accept goes
// through the server's gate (limits, rules, TLS) to whoever speaks the protocol.

import { lstatSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server as Listener, type Socket } from "node:net";
import { GearmanError } from "../errors.ts";
import { reasonOf, WRITING } from "../reason.ts";
import { type Endpoint, nameOf, resolveEndpoints } from "./endpoint.ts";
import type { Entrance, Gate } from "./gate.ts";
import { setKeepalive } from "./keepalive.ts";
import type { Server } from "./server.ts";

export class Listeners {
	readonly #server: Server;
	readonly #gate: Gate;
	readonly #open: Listener[] = [];

	constructor(server: Server) {
		this.#server = server;
		this.#gate = server.gate;
	}

	/**
	 * Listens on all of them, on `port` where none is named (0: the kernel picks one, for all of them), and hands what is
	 * let in to `accept`. A Unix socket's path stands as its address, with port 0. Rejects with GearmanError
	 * COULD_NOT_LISTEN; none is left open then.
	 */
	async open(endpoints: readonly Endpoint[], port: number, accept: (socket: Socket) => void): Promise<AddressInfo[]> {
		const bound: AddressInfo[] = [];
		const enter = this.#gate.entrance(accept);
		try {
			for (const endpoint of await resolveEndpoints(endpoints)) {
				const at = "host" in endpoint ? { ...endpoint, port: endpoint.port ?? (port || portOf(bound)) } : endpoint;
				const address = await this.#bind(at, enter, bound.length > 0);
				if (address !== undefined) bound.push(address);
			}
		} catch (error) {
			this.close();
			throw error;
		}
		return bound;
	}

	/** Accepts no more; what is connected stays. */
	close(): void {
		// A listener's close waits for its connections; they are the server's business.
		for (const listener of this.#open.splice(0)) listener.close();
	}

	async #bind(at: Endpoint, enter: Entrance, isOptional: boolean): Promise<AddressInfo | undefined> {
		const { options, log } = this.#server;
		const isTcp = !("path" in at);
		const hasOwnProbes = isTcp && (options.keepaliveIntervalSeconds >= 0 || options.keepaliveCount >= 0);
		const listener = createServer({
			// Half-open, so that `echo status | nc` gets its answer before we close.
			allowHalfOpen: true,
			noDelay: isTcp,
			keepAlive: isTcp && !hasOwnProbes,
			keepAliveInitialDelay: Math.max(0, options.keepaliveIdleSeconds) * 1000,
		});
		if ("path" in at) await removeStale(at.path);
		try {
			await listen(listener, at, options.backlog, options.socketMode);
		} catch (error) {
			const { code } = error as NodeJS.ErrnoException;
			// A host without IPv6 still has its IPv4 address.
			if (isOptional && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) return undefined;
			const message = `could not listen on ${nameOf(at)}: ${reason(error as NodeJS.ErrnoException)}`;
			throw new GearmanError("COULD_NOT_LISTEN", message, { cause: error });
		}
		const address = addressOf(listener, at);
		const isLocal = address.family === "Unix";
		listener.on("connection", (socket) => enter(socket, isLocal));
		// Out of file descriptors: what is connected goes on, and accepting does when some are free again.
		listener.on("error", (error) => log.errorOnceASecond(`accept: ${reason(error)}`));
		this.#open.push(listener);
		if (hasOwnProbes) {
			await setKeepalive(listener, {
				idleSeconds: options.keepaliveIdleSeconds,
				intervalSeconds: options.keepaliveIntervalSeconds,
				count: options.keepaliveCount,
			});
		}
		return address;
	}
}

function portOf(bound: readonly AddressInfo[]): number {
	return bound.find(({ port }) => port > 0)?.port ?? 0;
}

/** As the log shows it. */
export function shown({ address, family, port }: AddressInfo): string {
	return family === "Unix" ? `unix:${address}` : `${address}:${port}`;
}

/** Node knows no path of a Unix socket that was handed over. */
function addressOf(listener: Listener, at: Endpoint): AddressInfo {
	const address = listener.address();
	if (address !== null && typeof address !== "string") return address;
	return { address: address ?? nameOf(at), family: "Unix", port: 0 };
}

function listen(listener: Listener, at: Endpoint, backlog: number, socketMode: number): Promise<void> {
	return new Promise((resolve, reject) => {
		listener.once("error", reject);
		const onListening = () => {
			listener.off("error", reject);
			resolve();
		};
		if ("fd" in at) listener.listen({ fd: at.fd, backlog }, onListening);
		else if ("path" in at) {
			// The file has its mode from the start: bind() is done before listen() returns.
			const before = process.umask(~socketMode & 0o777);
			listener.listen({ path: at.path, backlog }, onListening);
			process.umask(before);
		} else listener.listen({ host: at.host, port: at.port, backlog, ipv6Only: at.host.includes(":") }, onListening);
	});
}

/** Removes the socket of a server that was killed; one that answers, and what is no socket, stays. */
async function removeStale(path: string): Promise<void> {
	if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
	const isDead = await new Promise<boolean>((resolve) => {
		const probe = connect({ path });
		probe.once("connect", () => resolve(false));
		probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
		probe.once("close", () => probe.destroy());
		probe.once("connect", () => probe.destroy());
	});
	if (isDead) rmSync(path, { force: true });
}

function reason(error: NodeJS.ErrnoException & { address?: string }): string {
	const isSocket = error.address?.startsWith("/");
	return reasonOf(error, {
		EADDRINUSE: isSocket ? "the socket is in use, or the file is no socket" : "the port is in use",
		EADDRNOTAVAIL: "no such address on this machine",
		...WRITING,
	});
}

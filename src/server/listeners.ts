// The listening sockets of one protocol: every address of every host, all on one port. What they accept is handed on.

import { lookup } from "node:dns/promises";
import { type AddressInfo, createServer, type Server as Listener, type Socket } from "node:net";
import { GearmanError } from "../errors.ts";
import { setKeepalive } from "./keepalive.ts";
import type { Server } from "./server.ts";

export class Listeners {
	readonly #server: Server;
	readonly #open: Listener[] = [];

	constructor(server: Server) {
		this.#server = server;
	}

	/** Listens; port 0: any free one. Rejects with GearmanError COULD_NOT_LISTEN, and none is left open then. */
	async open(hosts: readonly string[], port: number, accept: (socket: Socket) => void): Promise<AddressInfo[]> {
		const bound: AddressInfo[] = [];
		try {
			for (const host of await resolveAll(hosts)) {
				// Port 0: the kernel picks one for the first address, the others take the same.
				const address = await this.#bind(host, bound[0]?.port ?? port, bound.length > 0, accept);
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

	async #bind(
		host: string,
		port: number,
		isOptional: boolean,
		accept: (socket: Socket) => void,
	): Promise<AddressInfo | undefined> {
		const { options, log } = this.#server;
		const hasOwnProbes = options.keepaliveIntervalSeconds >= 0 || options.keepaliveCount >= 0;
		const listener = createServer({
			// Half-open, so that `echo status | nc` gets its answer before we close.
			allowHalfOpen: true,
			noDelay: true,
			keepAlive: !hasOwnProbes,
			keepAliveInitialDelay: Math.max(0, options.keepaliveIdleSeconds) * 1000,
		});
		listener.on("connection", accept);
		await new Promise<void>((resolve, reject) => {
			listener.once("error", reject);
			const isIPv6 = host.includes(":");
			listener.listen({ host, port, backlog: options.backlog, ipv6Only: isIPv6 }, () => {
				listener.off("error", reject);
				resolve();
			});
		}).catch((error: NodeJS.ErrnoException) => {
			// A host without IPv6 still has its IPv4 address.
			if (isOptional && (error.code === "EAFNOSUPPORT" || error.code === "EADDRNOTAVAIL")) return;
			throw new GearmanError("COULD_NOT_LISTEN", `could not listen on ${host}:${port}: ${reason(error)}`, {
				cause: error,
			});
		});
		if (!listener.listening) return undefined;
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
		return listener.address() as AddressInfo;
	}
}

/** Every address of every host name; none given: all addresses there are. */
async function resolveAll(hosts: readonly string[]): Promise<string[]> {
	if (hosts.length === 0) return ["0.0.0.0", "::"];
	const addresses: string[] = [];
	for (const host of hosts) {
		try {
			for (const { address } of await lookup(host, { all: true })) addresses.push(address);
		} catch (error) {
			throw new GearmanError("COULD_NOT_LISTEN", `could not listen on ${host}: no such host`, { cause: error });
		}
	}
	return [...new Set(addresses)];
}

function reason(error: NodeJS.ErrnoException): string {
	switch (error.code) {
		case "EADDRINUSE":
			return "the port is in use";
		case "EACCES":
			return "permission denied";
		case "EADDRNOTAVAIL":
			return "no such address on this machine";
		case "EMFILE":
		case "ENFILE":
			return "out of file descriptors";
		default:
			return error.message;
	}
}

// The Gearman port: binary packets and admin text on the same listeners, plain or in TLS.

import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server as Listener, type Socket } from "node:net";
import { GearmanError } from "../../errors.ts";
import { setKeepalive } from "../keepalive.ts";
import type { Server } from "../server.ts";
import type { Protocol } from "./index.ts";

export class GearProtocol implements Protocol {
	readonly #listeners: Listener[] = [];

	async listen(server: Server): Promise<AddressInfo[]> {
		const bound: AddressInfo[] = [];
		try {
			for (const host of await resolveAll(server.options.listen)) {
				// Port 0: the kernel picks one for the first address, the others take the same.
				const port = bound[0]?.port ?? server.options.port;
				const address = await this.#bind(server, host, port, bound.length > 0);
				if (address !== undefined) bound.push(address);
			}
		} catch (error) {
			await this.close();
			throw error;
		}
		return bound;
	}

	async close(): Promise<void> {
		// A listener's close waits for its connections; they are the server's business.
		for (const listener of this.#listeners.splice(0)) listener.close();
	}

	async #bind(server: Server, host: string, port: number, isOptional: boolean): Promise<AddressInfo | undefined> {
		const { options, log } = server;
		const hasOwnProbes = options.keepaliveIntervalSeconds >= 0 || options.keepaliveCount >= 0;
		const socketOptions = {
			// Half-open, so that `echo status | nc` gets its answer before we close.
			allowHalfOpen: true,
			noDelay: true,
			keepAlive: !hasOwnProbes,
			keepAliveInitialDelay: Math.max(0, options.keepaliveIdleSeconds) * 1000,
		};
		const accept = (socket: Socket) => server.addPeer(socket);
		const listener = createServer(socketOptions);
		if (options.tls === undefined) listener.on("connection", accept);
		else {
			const tls = await import("node:tls");
			const context = tls.createSecureContext({
				minVersion: "TLSv1.2",
				cert: readFileSync(options.tls.certificateFile),
				key: readFileSync(options.tls.keyFile),
				ca: options.tls.caFile === undefined ? undefined : readFileSync(options.tls.caFile),
			});
			listener.on("connection", (plain: Socket) => {
				const socket = new tls.TLSSocket(plain, { isServer: true, secureContext: context });
				socket.setTimeout(HANDSHAKE_MS, () => socket.destroy());
				socket.on("error", (error) => log.warning(`${plain.remoteAddress} TLS: ${error.message}`));
				socket.once("secure", () => {
					socket.setTimeout(0);
					accept(socket);
				});
			});
		}
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
		this.#listeners.push(listener);
		if (hasOwnProbes) {
			await setKeepalive(listener, {
				idleSeconds: options.keepaliveIdleSeconds,
				intervalSeconds: options.keepaliveIntervalSeconds,
				count: options.keepaliveCount,
			});
		}
		const address = listener.address() as AddressInfo;
		log.info(`Listening on ${address.address}:${address.port}`);
		return address;
	}
}

/** A TLS handshake that takes longer is cut off. */
const HANDSHAKE_MS = 10_000;

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

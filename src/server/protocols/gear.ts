// The Gearman port: binary packets and admin text on the same listeners, plain or in TLS.

import { readFileSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { Listeners } from "../listeners.ts";
import type { Server } from "../server.ts";
import type { Protocol } from "./index.ts";

/** A TLS handshake that takes longer is cut off. */
const HANDSHAKE_MS = 10_000;

export class GearProtocol implements Protocol {
	#listeners: Listeners | undefined;

	async listen(server: Server): Promise<AddressInfo[]> {
		const { listen, port } = server.options;
		this.#listeners = new Listeners(server);
		const bound = await this.#listeners.open(listen, port, await entrance(server));
		for (const { address, port } of bound) server.log.info(`Listening on ${address}:${port}`);
		return bound;
	}

	async close(): Promise<void> {
		this.#listeners?.close();
	}

	async end(): Promise<void> {
		// Its connections are the server's peers.
	}
}

/** What takes an accepted socket to the server, through TLS where that is spoken. */
async function entrance(server: Server): Promise<(socket: Socket) => void> {
	const { options, log } = server;
	const accept = (socket: Socket) => server.addPeer(socket);
	if (options.tls === undefined) return accept;
	const tls = await import("node:tls");
	const context = tls.createSecureContext({
		minVersion: "TLSv1.2",
		cert: readFileSync(options.tls.certificateFile),
		key: readFileSync(options.tls.keyFile),
		ca: options.tls.caFile === undefined ? undefined : readFileSync(options.tls.caFile),
	});
	return (plain) => {
		const socket = new tls.TLSSocket(plain, { isServer: true, secureContext: context });
		socket.setTimeout(HANDSHAKE_MS, () => socket.destroy());
		socket.on("error", (error) => log.warning(`${plain.remoteAddress} TLS: ${error.message}`));
		socket.once("secure", () => {
			socket.setTimeout(0);
			accept(socket);
		});
	};
}

// The Gearman port: binary packets and admin text on the same listeners, plain or in TLS.

import type { AddressInfo } from "node:net";
import { parseEndpoint } from "../endpoint.ts";
import { Listeners, shown } from "../listeners.ts";
import type { Server } from "../server.ts";
import type { Protocol } from "./index.ts";

export class GearProtocol implements Protocol {
	#listeners: Listeners | undefined;

	async listen(server: Server): Promise<AddressInfo[]> {
		const { listen, port, inherited } = server.options;
		this.#listeners = new Listeners(server);
		const endpoints = inherited?.gear ?? listen.map(parseEndpoint);
		const bound = await this.#listeners.open(endpoints, port, (socket) => server.addPeer(socket));
		for (const address of bound) server.log.info(`Listening on ${shown(address)}`);
		return bound;
	}

	async close(): Promise<void> {
		this.#listeners?.close();
	}

	async end(): Promise<void> {
		// Its connections are the server's peers.
	}
}

// The Gearman port: binary packets and admin text on the same listeners, plain or in TLS.

import type { AddressInfo } from "node:net";
import { parseEndpoint } from "../endpoint.ts";
import { Listeners } from "../listeners.ts";
import type { Server } from "../server.ts";
import type { Protocol } from "./index.ts";

export class GearProtocol implements Protocol {
	#listeners: Listeners | undefined;

	listen(server: Server): Promise<AddressInfo[]> {
		const { listen, port, inherited } = server.options;
		this.#listeners = new Listeners(server);
		const endpoints = inherited?.gear ?? listen.map(parseEndpoint);
		return this.#listeners.open(endpoints, port, (socket) => server.addPeer(socket));
	}

	async close(): Promise<void> {
		this.#listeners?.close();
	}
}

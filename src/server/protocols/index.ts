// What a protocol has to do: listen, and take what comes to the server's jobs.

import type { AddressInfo } from "node:net";
import type { Server } from "../server.ts";

/** A way to talk to the server: its own listeners, its own bytes. */
export interface Protocol {
	/** Listens; the addresses it listens on. Rejects with GearmanError COULD_NOT_LISTEN. */
	listen(server: Server): Promise<AddressInfo[]>;
	/** Takes no more jobs; what is connected stays. Called when the server drains, and again when it stops. */
	close(): Promise<void>;
	/** Ends its listeners and connections, but for the server's peers. Called once, when the last commit is done. */
	end(): Promise<void>;
}

/** Name → how to load it. A protocol is loaded only when it is spoken. */
const registry: Record<string, () => Promise<Protocol>> = {
	gear: async () => new (await import("./gear.ts")).GearProtocol(),
	admin: async () => new (await import("./admin.ts")).AdminProtocol(),
	http: async () => new (await import("./http.ts")).HttpProtocol(),
};

/** The protocol of that name; `undefined` when there is none. */
export async function loadProtocol(name: string): Promise<Protocol | undefined> {
	return Object.hasOwn(registry, name) ? registry[name]() : undefined;
}

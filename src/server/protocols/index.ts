// What a protocol has to do: turn sockets into peers.

import type { AddressInfo } from "node:net";
import type { Server } from "../server.ts";

/** A way to talk to the server: its own listeners, its own bytes. */
export interface Protocol {
	/** Listens; the addresses it listens on. Rejects with GearmanError COULD_NOT_LISTEN. */
	listen(server: Server): Promise<AddressInfo[]>;
	/** Accepts no more; what is connected stays. */
	close(): Promise<void>;
}

/** Name → how to load it. A protocol is loaded only when it is spoken. */
const registry: Record<string, () => Promise<Protocol>> = {
	gear: async () => new (await import("./gear.ts")).GearProtocol(),
};

/** The protocol of that name; `undefined` when there is none. */
export async function loadProtocol(name: string): Promise<Protocol | undefined> {
	return registry[name]?.();
}

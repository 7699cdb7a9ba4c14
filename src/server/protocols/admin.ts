// The admin listeners (--admin-listen): the text protocol and HTTP on one address, told apart by the first byte, with the
// commands that change something. Where there is one, the other ports do not take these. What comes through them is a
// peer like any other otherwise.

import type { Server as HttpServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { GearmanError } from "../../errors.ts";
import { nameOf, parseEndpoint } from "../endpoint.ts";
import { Listeners, shown } from "../listeners.ts";
import type { Server } from "../server.ts";
import type { Protocol } from "./index.ts";

const [A, Z] = [0x41, 0x5a];

export class AdminProtocol implements Protocol {
	#listeners: Listeners | undefined;
	#http: HttpServer | undefined;

	async listen(server: Server): Promise<AddressInfo[]> {
		const { adminListen, inherited, idleTimeoutMs } = server.options;
		const endpoints = inherited?.admin ?? adminListen.map(parseEndpoint);
		for (const endpoint of endpoints) {
			if (!("host" in endpoint) || endpoint.port !== undefined) continue;
			throw new GearmanError("BAD_ARGUMENT", `--admin-listen ${nameOf(endpoint)} needs a port: ADDRESS:PORT`);
		}
		const { createHttpServer } = await import("./http.ts");
		const http = createHttpServer(server);
		this.#http = http;
		this.#listeners = new Listeners(server);
		const bound = await this.#listeners.open(endpoints, 0, (socket) => {
			server.addAdmin(socket);
			socket.setTimeout(idleTimeoutMs, () => socket.destroy());
			socket.on("error", () => socket.destroy());
			socket.once("readable", () => {
				socket.setTimeout(0);
				takeOver(socket, http, server);
			});
		});
		for (const address of bound) server.log.info(`Admin: listening on ${shown(address)}`);
		return bound;
	}

	async close(): Promise<void> {
		// Goes on listening while the server drains, which is when an admin may have something to say.
	}

	async end(): Promise<void> {
		this.#listeners?.close();
		this.#http?.close();
		this.#http?.closeAllConnections();
	}
}

/** Text commands are small letters, packets begin with NUL, and HTTP's methods are capitals. */
function takeOver(socket: Socket, http: HttpServer, server: Server): void {
	const bytes: Buffer | null = socket.read();
	if (bytes === null) {
		socket.destroy(); // it left without a word
		return;
	}
	socket.unshift(bytes);
	if (bytes[0] >= A && bytes[0] <= Z) http.emit("connection", socket);
	else server.addPeer(socket);
}

// HTTP/1.1 on a port of its own (-r http): listeners and limits of connections here, what is answered in http-routes.ts.
// Node's http does the protocol. It never listens itself: sockets are accepted elsewhere and handed to it, so that what
// is true of all connections (limits, TLS) is done in one place.

import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Endpoint, parseEndpoint } from "../endpoint.ts";
import { Listeners, shown } from "../listeners.ts";
import type { Server } from "../server.ts";
import { answerText } from "./http-answer.ts";
import { route } from "./http-routes.ts";
import type { Protocol } from "./index.ts";

/** A request's head has to be here this long after its first byte. */
const HEAD_MS = 20_000;
/** A connection on which nothing moves, and no answer is awaited, is closed. Longer than proxies keep theirs idle. */
const IDLE_MS = 75_000;
/** Requests on one connection whose answers are not out yet. */
const MAX_PIPELINED = 1000;
/** At the end, a response that does not move is waited for this long. */
const LINGER_MS = 1000;

export class HttpProtocol implements Protocol {
	#listeners: Listeners | undefined;
	#http: HttpServer | undefined;
	readonly #sockets = new Set<Socket>();

	async listen(server: Server): Promise<AddressInfo[]> {
		const { httpListen, httpPort, listen, inherited } = server.options;
		const http = createHttpServer(server);
		this.#http = http;
		this.#listeners = new Listeners(server);
		const endpoints = httpListen.length > 0 ? httpListen.map(parseEndpoint) : hostsOf(listen);
		const bound = await this.#listeners.open(inherited?.http ?? endpoints, httpPort, (socket) => {
			this.#sockets.add(socket);
			socket.once("close", () => this.#sockets.delete(socket));
			http.emit("connection", socket);
		});
		for (const address of bound) server.log.info(`HTTP: listening on ${shown(address)}`);
		return bound;
	}

	async close(): Promise<void> {
		// Goes on listening: while the server drains, /livez and /readyz say so, and jobs can be asked for.
	}

	async end(): Promise<void> {
		this.#listeners?.close();
		this.#http?.close();
		this.#http?.closeIdleConnections();
		const closed = [...this.#sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
		const timer = setTimeout(() => {
			for (const socket of this.#sockets) socket.destroy();
		}, LINGER_MS);
		await Promise.all(closed);
		clearTimeout(timer);
	}
}

/** Gearman's addresses without their ports; where it has Unix sockets alone, this machine's. */
function hostsOf(listen: readonly string[]): Endpoint[] {
	const hosts = listen.map(parseEndpoint).flatMap((endpoint) => ("host" in endpoint ? [endpoint.host] : []));
	if (hosts.length === 0 && listen.length > 0) hosts.push("localhost");
	return hosts.map((host) => ({ host, port: undefined }));
}

/** Node's server, to which sockets are handed by `emit("connection", socket)`: plain ones, or what TLS has let in. */
export function createHttpServer(server: Server): HttpServer {
	const unanswered = new WeakMap<Socket, number>();
	const onRequest = (request: IncomingMessage, response: ServerResponse) => {
		const { socket } = request;
		const count = (unanswered.get(socket) ?? 0) + 1;
		unanswered.set(socket, count);
		if (count > MAX_PIPELINED) {
			server.log.warning(`${socket.remoteAddress} HTTP: over ${MAX_PIPELINED} requests unanswered, closing`);
			socket.destroy();
			return;
		}
		response.once("close", () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
		response.setHeader("Server", `Gearman/${server.options.version}`);
		if (server.isStopping) response.setHeader("Connection", "close");
		void route(server, request, response);
	};
	const http = createServer({
		keepAliveTimeout: IDLE_MS,
		headersTimeout: HEAD_MS,
		// Large bodies may take long; one that does not move is seen by IDLE_MS.
		requestTimeout: 0,
		connectionsCheckingInterval: 5000,
	});
	http.timeout = IDLE_MS;
	http.on("timeout", (socket) => {
		if (!unanswered.get(socket)) socket.destroy();
	});
	http.on("request", onRequest);
	// What can be refused is, before its body is sent; who reads the body says 100 Continue first.
	http.on("checkContinue", onRequest);
	http.on("checkExpectation", (_request, response) => {
		answerText(response, 417, "The only thing to expect is 100-continue");
	});
	// Node watches over headersTimeout only once it listens, which this server leaves to others.
	http.emit("listening");
	return http;
}

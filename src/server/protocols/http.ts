// HTTP/1.1 on a port of its own (-r http): listeners and limits of connections here, what is answered in http-routes.ts.
// Node's http does the protocol. It never listens itself: sockets are accepted elsewhere and handed to it, so that what
// is true of all connections (limits, TLS) is done in one place.

import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Endpoint, parseEndpoint } from "../endpoint.ts";
import { Listeners, shown } from "../listeners.ts";
import type { Server } from "../server.ts";
import { answerText } from "./http-answer.ts";
import { isEnding } from "./http-client.ts";
import { route } from "./http-routes.ts";
import type { Protocol } from "./index.ts";

/** A request's head has to be here this long after its first byte. */
const HEAD_MS = 20_000;
/** A connection on which nothing moves, and no answer is awaited, is closed. Longer than proxies keep theirs idle. */
const IDLE_MS = 75_000;
/** With more requests unanswered than this a connection is not read from, until they are half as many. */
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
			const peer = `${socket.remoteAddress}:${socket.remotePort}`;
			server.log.info(`HTTP: accepted connection from ${peer}`, { peer });
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
		for (const socket of this.#sockets) stopAnswering(socket);
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
	const onRequest = (request: IncomingMessage, response: ServerResponse) => {
		const { socket } = request;
		const answers = unanswered(socket);
		answers.add(response);
		response.once("close", () => {
			answers.delete(response);
			if (answers.size === MAX_PIPELINED / 2) socket.resume();
		});
		// Not before its body is here, nor while Node goes on with what it has read.
		if (answers.size >= MAX_PIPELINED) {
			request.once("end", () => setImmediate(() => answers.size >= MAX_PIPELINED && socket.pause()));
		}
		response.setHeader("Server", `Gearman/${server.options.version}`);
		// Who speaks HTTP/1.0 knows no 100 Continue, whatever it expects.
		if (request.httpVersion === "1.0") delete request.headers.expect;
		void route(server, request, response);
	};
	const http = createServer({
		keepAliveTimeout: IDLE_MS,
		headersTimeout: HEAD_MS,
		// Large bodies may take long; one that does not move is seen by IDLE_MS.
		requestTimeout: 0,
		connectionsCheckingInterval: 5000,
		// Two Hosts are one that is nobody's, and route() says what is wrong with it.
		joinDuplicateHeaders: true,
		requireHostHeader: false,
	});
	http.timeout = IDLE_MS;
	http.on("timeout", (socket) => {
		if (unanswered(socket).size === 0) socket.destroy();
	});
	http.on("request", onRequest);
	// What can be refused is, before its body is sent; who reads the body says 100 Continue first.
	http.on("checkContinue", onRequest);
	http.on("checkExpectation", (_request, response) => {
		answerText(response, 417, "The only thing to expect is 100-continue");
	});
	http.on("connect", (request, socket) => {
		if (unanswered(socket).size > 0) socket.destroy();
		else endWith(socket, "405 Method Not Allowed", `${request.method} means nothing here`);
	});
	http.on("clientError", answerGarbage);
	// Node watches over headersTimeout only once it listens, which this server leaves to others.
	http.emit("listening");
	return http;
}

/** Nothing more will come of its jobs: answers that are on their way go out, and then it ends. */
function stopAnswering(socket: Socket): void {
	const answers = unanswered(socket);
	if (answers.size === 0) socket.destroySoon();
	for (const response of answers) {
		response.once("close", () => answers.size === 0 && socket.destroySoon());
		if (isEnding(response)) continue;
		if (response.headersSent) socket.destroySoon();
		else {
			response.setHeader("Connection", "close");
			answerText(response, 503, "The server is stopping");
		}
	}
}

/** Requests whose answers are not out yet. */
const answersBySocket = new WeakMap<Duplex, Set<ServerResponse>>();

function unanswered(socket: Duplex): Set<ServerResponse> {
	let answers = answersBySocket.get(socket);
	if (answers !== undefined) return answers;
	answers = new Set();
	answersBySocket.set(socket, answers);
	const open = answers;
	// Node tells only the first of pipelined requests that the connection is gone.
	socket.once("close", () => {
		for (const response of open) response.emit("close");
	});
	return answers;
}

/** Connections that are closed when their answers are out: what came behind those requests was no HTTP. */
const ending = new WeakSet<Duplex>();

/** What is no HTTP ends the connection; whole requests in front of it are answered. */
function answerGarbage(error: NodeJS.ErrnoException, socket: Duplex): void {
	if (ending.has(socket)) return;
	const answers = unanswered(socket);
	const isWhole = [...answers].every((response) => response.req.complete);
	if (!socket.writable || (!isWhole && answers.size > 1)) {
		socket.destroy();
		return;
	}
	if (isWhole && answers.size > 0) {
		ending.add(socket);
		for (const response of answers) response.once("close", () => answers.size === 0 && socket.end());
		return;
	}
	endWith(socket, ...(garbage[error.code ?? ""] ?? ["400 Bad Request", "This is no HTTP"]));
}

/** The last answer of a connection that Node's http has done with. */
function endWith(socket: Duplex, status: string, sentence: string): void {
	const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\n`;
	socket.end(`${head}Content-Length: ${sentence.length + 1}\r\n\r\n${sentence}\n`);
}

const garbage: Readonly<Record<string, readonly [string, string]>> = {
	HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "The headers are too large"],
	HPE_CHUNK_EXTENSIONS_OVERFLOW: ["413 Payload Too Large", "The chunk extensions are too large"],
	ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request did not come in time"],
};

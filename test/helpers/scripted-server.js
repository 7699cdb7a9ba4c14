// A job server of few words for what a real one never does: it hears requests as they come and says what it is told to.

import { once } from "node:events";
import { createServer } from "node:net";
import { encode, MAGIC_RESPONSE } from "../../dist/protocol/packet.js";
import { Parser } from "../../dist/protocol/parser.js";
import { Wire } from "./server.js";

/** Listens on a free port of 127.0.0.1; `accept()` gives the connections in the order they came. */
export async function startScripted(t, { port = 0, host = "127.0.0.1" } = {}) {
	const arrived = [];
	const waiting = [];
	const sockets = new Set();
	const server = createServer((socket) => {
		sockets.add(socket);
		const peer = new ScriptedPeer(socket);
		const resolve = waiting.shift();
		if (resolve) resolve(peer);
		else arrived.push(peer);
	});
	server.listen(port, host);
	await once(server, "listening");
	const close = () => {
		for (const socket of sockets) socket.destroy();
		server.close();
	};
	t.teardown(close);
	return {
		port: server.address().port,
		/** The next connection. */
		accept: () => (arrived.length > 0 ? arrived.shift() : new Promise((resolve) => waiting.push(resolve))),
		/** How many connections nobody accepted yet. */
		get unaccepted() {
			return arrived.length;
		},
		/** Ends the listener and all connections. */
		close,
	};
}

class ScriptedPeer extends Wire {
	#socket;
	/** Packets that came, looked at or not. */
	received = 0;

	constructor(socket) {
		super(socket);
		this.#socket = socket;
		const ignore = () => {};
		const count = () => {
			this.received++;
		};
		const parser = new Parser({ onPacket: count, onLine: ignore, onOversized: ignore, onGarbage: ignore });
		socket.on("data", (bytes) => parser.write(bytes));
	}

	/** answer("JOB_CREATED", "H:1") */
	answer(name, ...fields) {
		this.#socket.write(encode(MAGIC_RESPONSE, name, fields));
	}

	/** The next request, after the OPTION_REQ of a new connection has been granted. */
	async request() {
		const item = await this.next();
		if (item[0] !== "OPTION_REQ") return item;
		this.answer("OPTION_RES", item[1]);
		return this.next();
	}

	/** Takes a submit and gives it the handle. */
	async take(handle) {
		const submit = await this.request();
		this.answer("JOB_CREATED", handle);
		return submit;
	}

	/** Stops reading. */
	pause() {
		this.#socket.pause();
	}

	resume() {
		this.#socket.resume();
	}
}

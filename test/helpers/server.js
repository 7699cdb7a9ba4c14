// An in-process job server on a free port, closed when the test ends, and raw peers to talk to it with.

import { once } from "node:events";
import { connect } from "node:net";
import { nameOf } from "../../dist/protocol/commands.js";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { Parser } from "../../dist/protocol/parser.js";
import { Server } from "../../dist/server/server.js";

/** A Server listening on 127.0.0.1; options as for Server. */
export async function startServer(t, options = {}) {
	const server = new Server({ listen: ["127.0.0.1"], port: 0, handlePrefix: "H:test", ...options });
	await server.start();
	t.teardown(() => server.stop());
	return { server, port: server.port };
}

/** How long a test waits for something that should come. */
export const DEADLINE_MS = 10_000;

/** A raw connection: sends packets or bytes, takes what comes one by one. */
export class Wire {
	#socket;
	#arrived = [];
	#waiting = [];
	isClosed = false;

	constructor(socket) {
		this.#socket = socket;
		socket.setNoDelay();
		const parser = new Parser({
			onPacket: (packet) => {
				const fields = Array.from({ length: packet.count }, (_, i) => packet.text(i));
				this.#arrive([nameOf(packet.type), ...fields]);
			},
			onLine: (line) => this.#arrive(line),
			onOversized: () => this.#arrive("oversized"),
			onGarbage: (reason) => this.#arrive(reason),
		});
		socket.on("data", (bytes) => parser.write(bytes));
		socket.on("error", () => {});
		socket.on("close", () => {
			this.isClosed = true;
			this.#arrive("closed");
		});
	}

	/** send("SUBMIT_JOB", "function", "unique", "workload") */
	send(name, ...fields) {
		this.#socket.write(encodeRequest(name, fields));
	}

	/** Bytes or text as they are. */
	raw(bytes) {
		this.#socket.write(bytes);
	}

	/** The next packet as [NAME, field, …], line, or "closed". */
	async next() {
		if (this.#arrived.length > 0) return this.#arrived.shift();
		return new Promise((resolve, reject) => {
			const take = (item) => {
				clearTimeout(timer);
				resolve(item);
			};
			const timer = setTimeout(() => {
				this.#waiting.splice(this.#waiting.indexOf(take), 1);
				reject(new Error("nothing came"));
			}, DEADLINE_MS);
			this.#waiting.push(take);
		});
	}

	/** All lines of an admin listing, without the dot. */
	async list(command) {
		this.raw(`${command}\n`);
		const lines = [];
		for (let line = await this.next(); line !== "."; line = await this.next()) lines.push(line);
		return lines;
	}

	/** Everything that came before the answer to an ECHO_REQ sent now: proves that nothing else did. */
	async settle() {
		const mark = `mark ${Math.random()}`;
		this.send("ECHO_REQ", mark);
		const items = [];
		for (;;) {
			const item = await this.next();
			if (item[0] === "ECHO_RES" && item[1] === mark) return items;
			items.push(item);
			if (item === "closed") return items;
		}
	}

	end() {
		this.#socket.end();
	}

	/** Ends the connection and waits until the server has seen it. */
	async close() {
		if (this.isClosed) return;
		this.#socket.end();
		await once(this.#socket, "close");
	}

	destroy() {
		this.#socket.destroy();
	}

	#arrive(item) {
		const waiting = this.#waiting.shift();
		if (waiting) waiting(item);
		else this.#arrived.push(item);
	}
}

/** Connects a Wire; closed when the test ends. */
export async function dial(t, port, host = "127.0.0.1") {
	const socket = connect({ port, host });
	await once(socket, "connect");
	t.teardown(() => socket.destroy());
	return new Wire(socket);
}

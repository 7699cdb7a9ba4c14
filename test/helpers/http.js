// A job server that speaks HTTP, and raw connections to it that read one answer after the other.

import { once } from "node:events";
import { createConnection } from "node:net";
import { DEADLINE_MS, startServer } from "./server.js";

/** As startServer; `http` is the HTTP port. */
export async function httpServer(t, options = {}) {
	const { server, port } = await startServer(t, { protocols: ["http"], httpPort: 0, ...options });
	return { server, port, http: server.addressesOf("http")[0].port };
}

/** A raw connection. */
class HttpWire {
	#socket;
	#bytes = "";
	#isEnded = false;
	#wake = () => {};
	/** The code of the error that ended it. */
	error = undefined;

	constructor(socket) {
		this.#socket = socket;
		socket.on("error", (error) => {
			this.error = error.code;
		});
		socket.on("data", (chunk) => {
			this.#bytes += chunk.toString("latin1");
			this.#wake();
		});
		socket.on("close", () => {
			this.#isEnded = true;
			this.#wake();
		});
	}

	/** Text is latin1. */
	write(bytes) {
		this.#socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
	}

	pause() {
		this.#socket.pause();
	}

	resume() {
		this.#socket.resume();
	}

	end() {
		this.#socket.end();
	}

	destroy() {
		this.#socket.destroy();
	}

	async get(path) {
		this.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
		return this.answer();
	}

	/** Takes what matches off the front, when it is all there. */
	async read(pattern) {
		const deadline = Date.now() + DEADLINE_MS;
		for (;;) {
			const match = pattern.exec(this.#bytes);
			if (match !== null) {
				this.#bytes = this.#bytes.slice(match.index + match[0].length);
				return match;
			}
			if (this.#isEnded) throw new Error(`closed; unread: ${JSON.stringify(this.#bytes.slice(0, 2000))}`);
			await this.#more(deadline);
		}
	}

	/** The next answer: { status, headers, all (their lines), body, trailers }, body as latin1. */
	async answer({ isHead = false } = {}) {
		const [, status, head] = await this.read(/^HTTP\/1\.[01] (\d+) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n/);
		const headers = fields(head);
		if (isHead || status === "100" || status === "204") return { status: Number(status), headers, body: "" };
		if (headers["transfer-encoding"] === "chunked") {
			let body = "";
			for (let chunk = await this.chunk(); chunk !== ""; chunk = await this.chunk()) body += chunk;
			const [, trailers] = await this.read(/^((?:[^\r]+\r\n)*)\r\n/);
			return { status: Number(status), headers, body, trailers: fields(trailers) };
		}
		const body =
			headers["content-length"] === undefined ? await this.rest() : await this.bytes(Number(headers["content-length"]));
		return { status: Number(status), headers, all: head.split("\r\n"), body };
	}

	/** The head of the next answer alone. */
	async head() {
		const [, status, head] = await this.read(/^HTTP\/1\.[01] (\d+) [^\r]*\r\n((?:[^\r]+\r\n)*)\r\n/);
		return { status: Number(status), headers: fields(head) };
	}

	/** The next chunk of a chunked body; "" at its end. */
	async chunk() {
		const [, size] = await this.read(/^([0-9a-f]+)\r\n/i);
		if (Number.parseInt(size, 16) === 0) return "";
		const chunk = await this.bytes(Number.parseInt(size, 16));
		await this.read(/^\r\n/);
		return chunk;
	}

	async bytes(count) {
		const deadline = Date.now() + DEADLINE_MS;
		while (this.#bytes.length < count) {
			if (this.#isEnded) throw new Error(`closed; unread: ${JSON.stringify(this.#bytes.slice(0, 2000))}`);
			await this.#more(deadline);
		}
		const bytes = this.#bytes.slice(0, count);
		this.#bytes = this.#bytes.slice(count);
		return bytes;
	}

	/** All that comes until the other side closes. */
	async rest() {
		const deadline = Date.now() + DEADLINE_MS;
		while (!this.#isEnded) await this.#more(deadline);
		return this.#bytes;
	}

	async #more(deadline) {
		const left = deadline - Date.now();
		if (left <= 0) throw new Error(`nothing more came; unread: ${JSON.stringify(this.#bytes.slice(0, 2000))}`);
		let timer;
		await new Promise((resolve) => {
			this.#wake = resolve;
			timer = setTimeout(resolve, left);
		});
		clearTimeout(timer);
	}
}

function fields(text) {
	const lines = text.split("\r\n").filter((line) => line !== "");
	return Object.fromEntries(
		lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
	);
}

/** Connects; closed when the test ends. */
export async function talk(t, port, host = "127.0.0.1") {
	const socket = createConnection(port, host);
	await once(socket, "connect");
	t.teardown(() => socket.destroy());
	return new HttpWire(socket);
}

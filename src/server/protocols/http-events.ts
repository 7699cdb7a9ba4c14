// A job's words as server-sent events, one each: created, data, warning, status, and at last one of complete, fail,
// exception, timeout. Their data is JSON: text as it is, and what is no UTF-8 as base64; `encoding` says which.
//
//   event: status
//   data: {"numerator":1,"denominator":3}

import { isUtf8 } from "node:buffer";
import type { ServerResponse } from "node:http";
import type { ServerErrorCode } from "../../errors.ts";
import { toUint32 } from "../job.ts";
import type { HttpClient, Report } from "./http-client.ts";
import { answerRefused } from "./http-result.ts";

/** A comment goes out this often, so that nobody on the way takes the connection for dead. */
const COMMENT_MS = 15_000;
/** One event's data is at most this long: it is held in memory as text, several times over. */
const PART = 1 << 20;

export class Events implements Report {
	readonly #client: HttpClient;
	readonly #response: ServerResponse;

	constructor(client: HttpClient, response: ServerResponse) {
		this.#client = client;
		this.#response = response;
	}

	created(handle: string): void {
		const response = this.#response;
		response.writeHead(200, {
			"Content-Type": "text/event-stream",
			"Cache-Control": "no-store",
			"X-Accel-Buffering": "no",
			"X-Gearman-Job-Handle": handle,
		});
		const timer = setInterval(() => this.#client.write(Buffer.from(":\n\n")), COMMENT_MS);
		response.once("close", () => clearInterval(timer));
		this.#event("created", { handle });
	}

	/** Background jobs are answered at once, by Result. */
	kept(): void {}

	data(bytes: Buffer): void {
		this.#parts("data", bytes);
	}

	warning(bytes: Buffer): void {
		this.#parts("warning", bytes);
	}

	status(numerator: string, denominator: string): void {
		this.#event("status", { numerator: toUint32(numerator), denominator: toUint32(denominator) });
	}

	complete(bytes: Buffer): void {
		const rest = this.#parts("data", bytes, true);
		this.#end("complete", encoded(rest));
	}

	failed(): void {
		this.#end("fail", {});
	}

	exception(bytes: Buffer): void {
		this.#end("exception", encoded(bytes));
	}

	refused(code: ServerErrorCode, text: string): void {
		if (this.#response.headersSent) this.#end("fail", {});
		else answerRefused(this.#response, code, text);
	}

	timedOut(): void {
		this.#end("timeout", {});
	}

	/** Large data goes out as several events; the rest, when it is `kept`, is given back. */
	#parts(event: string, bytes: Buffer, isRestKept = false): Buffer {
		let rest = bytes;
		for (; rest.length > PART; rest = rest.subarray(PART)) this.#event(event, encoded(rest.subarray(0, PART)));
		if (!isRestKept) this.#event(event, encoded(rest));
		return rest;
	}

	#event(name: string, value: object): void {
		this.#client.write(Buffer.from(`event: ${name}\ndata: ${JSON.stringify(value)}\n\n`));
	}

	#end(name: string, value: object): void {
		this.#event(name, value);
		this.#client.end(() => this.#response.end());
	}
}

function encoded(bytes: Buffer): object {
	return isUtf8(bytes)
		? { encoding: "utf-8", data: bytes.toString("utf8") }
		: { encoding: "base64", data: bytes.toString("base64") };
}

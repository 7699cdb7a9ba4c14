// Whole answers: a sentence, or JSON. When the request's body is still coming it is heard out for a while: to close at
// once would take the answer from under a client that is sending.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "../server.ts";

/** One request and its answer. */
export interface Exchange {
	readonly server: Server;
	readonly request: IncomingMessage;
	readonly response: ServerResponse;
	/** The path as it came, percent-encoded. */
	readonly path: string;
	/** What the path has in place of the route's "*", percent-decoded: latin1, a character a byte. */
	readonly rest: string;
	readonly query: URLSearchParams;
}

/** What is left of a body when it is not wanted is read to its end if it is no longer than this. */
const MAX_UNREAD = 65_536;
/** A longer one ends the connection, after at most this long. */
const LINGER_MS = 5000;

/** A line of text. */
export function answerText(response: ServerResponse, status: number, text: string): void {
	answer(response, status, "text/plain; charset=utf-8", text);
}

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
	answer(response, status, "application/json", JSON.stringify(value));
}

function answer(response: ServerResponse, status: number, type: string, line: string): void {
	const { req: request } = response;
	const { complete, headers } = request;
	const body = Buffer.from(`${line}\n`);
	response.setHeader("Content-Type", type);
	response.setHeader("Content-Length", body.length);
	// Somebody who waits for 100 Continue does not send, and may not after this.
	const isWaiting = !complete && headers.expect !== undefined;
	const isShort = headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) <= MAX_UNREAD;
	const isSending = !complete && !isWaiting && !isShort;
	if (isWaiting || isSending) response.setHeader("Connection", "close");
	response.writeHead(status);
	if (!isSending) {
		response.end(body);
		return;
	}
	response.write(body);
	const timer = setTimeout(() => response.end(), LINGER_MS);
	request.resume();
	request.once("close", () => {
		clearTimeout(timer);
		response.end();
	});
}

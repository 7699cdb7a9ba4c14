// Whole answers: a sentence. A request that is refused while its body is still coming is heard out for a
// while, for closing at once would take the answer from under a client that is still sending.

import type { IncomingMessage, ServerResponse } from "node:http";

/** A refused request's body that is longer ends the connection. */
const MAX_UNREAD = 65_536;
/** How long one that is refused may go on sending. */
const LINGER_MS = 5000;

/** A line of text. */
export function answerText(response: ServerResponse, status: number, text: string): void {
	const body = `${text}\n`;
	response.writeHead(status, {
		"Content-Type": "text/plain; charset=utf-8",
		"Content-Length": Buffer.byteLength(body),
	});
	response.end(body);
}

/** Answers a request whose body is not wanted. */
export function refuse(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
	const { headers, complete } = request;
	// Somebody who waits for 100 Continue is not sending.
	const isWaiting = headers.expect !== undefined;
	const length = headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : Infinity;
	if (complete || (length <= MAX_UNREAD && !isWaiting)) return answerText(response, status, text);
	response.setHeader("Connection", "close");
	if (isWaiting) return answerText(response, status, text);
	const body = `${text}\n`;
	response.writeHead(status, {
		"Content-Type": "text/plain; charset=utf-8",
		"Content-Length": Buffer.byteLength(body),
	});
	response.write(body);
	const timer = setTimeout(() => response.end(), LINGER_MS);
	request.resume();
	request.once("close", () => {
		clearTimeout(timer);
		response.end();
	});
}

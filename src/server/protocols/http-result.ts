// A job's outcome as one answer. Until the job sends WORK_DATA the status is open; from then on the answer is a chunked
// 200, whose trailer says how the job ended. One that did not end well is left without its end, so that no client takes
// what came for the whole:
//
//   WORK_COMPLETE      200 and the result      … data, last chunk, trailer X-Gearman-Command: WORK_COMPLETE
//   WORK_FAIL          502                     … data, X-Gearman-Command: WORK_FAIL, connection closed
//   WORK_EXCEPTION     500 and its bytes       … data, X-Gearman-Command: WORK_EXCEPTION, connection closed
//   no answer in time  504                     … data, connection closed
//
// Warnings stand in X-Gearman-Warning, a header or trailer each, percent-encoded.

import type { ServerResponse } from "node:http";
import { SERVER_ERRORS, type ServerErrorCode } from "../../errors.ts";
import { answerText } from "./http-answer.ts";
import type { HttpClient, Report } from "./http-client.ts";

/** Characters of all warnings of one answer; what comes when they are full is left out. */
const MAX_WARNINGS = 8192;

export class Result implements Report {
	readonly #client: HttpClient;
	readonly #response: ServerResponse;
	readonly #log: (line: string) => void;
	#handle = "";
	#warnings: string[] = [];
	#warningLength = 0;

	constructor(client: HttpClient, response: ServerResponse, log: (line: string) => void) {
		this.#client = client;
		this.#response = response;
		this.#log = log;
	}

	created(handle: string): void {
		this.#handle = handle;
		this.#response.setHeader("X-Gearman-Job-Handle", handle);
	}

	kept(handle: string): void {
		const response = this.#response;
		response.setHeader("X-Gearman-Job-Handle", handle);
		response.setHeader("X-Gearman-Command", "JOB_CREATED");
		response.setHeader("Location", `/jobs/${encodeURIComponent(handle).replaceAll("%3A", ":")}`);
		answerText(response, 202, handle);
	}

	data(bytes: Buffer): void {
		if (!this.#response.headersSent) {
			this.#setHeaders("WORK_DATA");
			if (this.#response.req.httpVersion !== "1.0") {
				this.#response.setHeader("Trailer", "X-Gearman-Command, X-Gearman-Warning");
			}
			this.#response.writeHead(200);
			// A client waits for the head, however long the first bytes may be held back.
			this.#response.flushHeaders();
		}
		this.#client.write(bytes);
	}

	warning(bytes: Buffer): void {
		if (this.#warningLength > MAX_WARNINGS) return;
		const text = percentEncode(bytes);
		this.#warningLength += text.length;
		if (this.#warningLength <= MAX_WARNINGS) this.#warnings.push(text);
		// Once a job, and not what they say: that is in no log.
		else this.#log(`${this.#handle} has more warnings than an answer holds: the others are left out`);
	}

	status(): void {
		// For those who asked for events, or ask for the job.
	}

	complete(bytes: Buffer): void {
		const response = this.#response;
		if (!response.headersSent) return this.#answer(200, "WORK_COMPLETE", bytes);
		this.#client.write(bytes);
		this.#client.end(() => {
			const trailers: Record<string, string | string[]> = { "X-Gearman-Command": "WORK_COMPLETE" };
			if (this.#warnings.length > 0) trailers["X-Gearman-Warning"] = this.#warnings;
			if (response.chunkedEncoding) response.addTrailers(trailers as Record<string, string>);
			response.end();
		});
	}

	failed(): void {
		if (this.#response.headersSent) return this.#cutOff("X-Gearman-Command: WORK_FAIL\r\n");
		this.#setOutcome("WORK_FAIL");
		answerText(this.#response, 502, "The job failed");
	}

	exception(bytes: Buffer): void {
		if (this.#response.headersSent) return this.#cutOff("X-Gearman-Command: WORK_EXCEPTION\r\n");
		this.#answer(500, "WORK_EXCEPTION", bytes);
	}

	refused(code: ServerErrorCode, text: string): void {
		answerRefused(this.#response, code, text);
	}

	timedOut(): void {
		if (this.#response.headersSent) return this.#cutOff("");
		this.#setOutcome("");
		answerText(this.#response, 504, "The job has taken too long");
	}

	/** The whole answer: a result is as long as it is. */
	#answer(status: number, command: string, bytes: Buffer): void {
		this.#setHeaders(command);
		this.#response.writeHead(status, { "Content-Length": bytes.length });
		this.#client.write(bytes);
		this.#client.end(() => this.#response.end());
	}

	#setHeaders(command: string): void {
		this.#setOutcome(command);
		this.#response.setHeader("Content-Type", "application/octet-stream");
		this.#response.setHeader("X-Content-Type-Options", "nosniff");
	}

	#setOutcome(command: string): void {
		if (command !== "") this.#response.setHeader("X-Gearman-Command", command);
		if (this.#warnings.length === 0) return;
		this.#response.setHeader("X-Gearman-Warning", this.#warnings);
		this.#warnings = [];
	}

	/** Ends the connection inside the body, the trailer's line as the last thing on it. */
	#cutOff(trailer: string): void {
		const response = this.#response;
		const cut = () => {
			const { socket } = response.req;
			if (response.chunkedEncoding) socket.write(`0\r\n${trailer}`, "latin1");
			// Without chunks the end of the connection is the end of the body: it has to be a bad one.
			else if (socket.remoteFamily !== undefined && !("encrypted" in socket)) socket.resetAndDestroy();
			else socket.destroy();
			socket.destroySoon();
		};
		this.#client.end(() => {
			// Behind others on its connection it has to wait for its turn.
			if (response.socket !== null) cut();
			else response.once("socket", () => setImmediate(cut));
		});
	}
}

const sentences = { ...SERVER_ERRORS, NO_WORKER: "No worker can do the function" } as const;

/** Why the server took no job. */
export function answerRefused(
	response: ServerResponse,
	code: keyof typeof sentences,
	text: string = sentences[code],
): void {
	response.setHeader("X-Gearman-Command", "ERROR");
	response.setHeader("X-Gearman-Error", code);
	if (code === "ARGUMENT_TOO_LARGE") return answerText(response, 400, text);
	response.setHeader("Retry-After", 1);
	if (code === "SHUTDOWN_GRACEFUL") response.setHeader("Connection", "close");
	answerText(response, 503, text);
}

/** Bytes in a header: printable ASCII as it is, but for the %. */
function percentEncode(bytes: Buffer): string {
	return bytes
		.toString("latin1")
		.replace(/[^ -$&-~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
}

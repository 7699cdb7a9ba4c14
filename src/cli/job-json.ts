// What comes of one job as one line of JSON, in the order of the input (--json).

import { isUtf8 } from "node:buffer";
import { GearmanError } from "../errors.ts";
import type { Packet } from "../protocol/parser.ts";
import { Job } from "./job.ts";
import { endingOutput } from "./output.ts";

/** How a job ended, by the error's code. */
const STATES: Readonly<Record<string, string>> = {
	CONNECTION_LOST: "lost",
	COULD_NOT_CONNECT: "unreachable",
	JOB_EXCEPTION: "exception",
	JOB_FAILED: "failed",
	TIMED_OUT: "timeout",
};

export class JobJson extends Job {
	#isTurn = false;
	#line: string | undefined;
	#numerator = 0;
	#denominator = 0;
	#parts: Buffer[] = [];

	override beginTurn(): void {
		this.#isTurn = true;
		if (this.#line !== undefined) this.jobs.printer.print(this.#line);
	}

	protected override created(): void {
		if (this.jobs.isBackground) this.#finish("queued", () => ({}));
	}

	protected override data(packet: Packet): void {
		const bytes = packet.keepData();
		this.receivedBytes += bytes.length;
		this.#parts.push(bytes);
		this.jobs.keep(this, bytes.length);
	}

	protected override warning(packet: Packet): void {
		this.jobs.printer.printError(this, packet.keepData());
	}

	protected override status(numerator: number, denominator: number): void {
		this.#numerator = numerator;
		this.#denominator = denominator;
		if (this.#isTurn) this.jobs.printer.showProgress(this.functionName, numerator, denominator);
	}

	protected override complete(packet: Packet): void {
		this.data(packet);
		this.#finish("complete", () => this.#result());
	}

	protected override error(error: GearmanError): void {
		this.#finish(STATES[error.code] ?? "error", () => ({
			...(this.#parts.length > 0 && !this.jobs.isWhole ? this.#result() : {}),
			...(error.data === undefined ? {} : bytesAs("exception", error.data)),
			error: error.message,
		}));
	}

	protected override reset(): void {
		this.#parts = [];
		this.#numerator = 0;
		this.#denominator = 0;
	}

	#result(): object {
		return bytesAs("result", Buffer.concat(this.#parts));
	}

	#finish(state: string, rest: () => object): void {
		try {
			this.#line = this.#lineOf(state, rest());
		} catch (error) {
			if (!isTooLong(error)) throw error;
			const failure = new GearmanError("JOB_FAILED", "what came of the job is too large for a line of JSON");
			if (state === "complete") this.jobs.failed(this, failure);
			this.#line = this.#lineOf(state === "complete" ? "error" : state, { error: failure.message });
		}
		this.#parts = [];
		if (this.#isTurn) this.jobs.printer.print(this.#line);
	}

	#lineOf(state: string, rest: object): string {
		const line = {
			function: this.functionName,
			handle: this.handle,
			unique: this.unique,
			state,
			numerator: this.#numerator,
			denominator: this.#denominator,
			...rest,
		};
		return `${JSON.stringify(line)}\n`;
	}
}

/** V8's strings end at half a gigabyte. */
function isTooLong(error: unknown): boolean {
	return (
		error instanceof RangeError || (error instanceof Error && "code" in error && error.code === "ERR_STRING_TOO_LONG")
	);
}

/** --require-worker: no job was made, so the line is about the function. */
export function printUnserved(functionName: string): void {
	const rest = { state: "no-worker", numerator: 0, denominator: 0, error: `no worker can do ${functionName}` };
	const output = endingOutput();
	output.write(`${JSON.stringify({ function: functionName, handle: "", unique: "", ...rest })}\n`);
	output.flush();
}

/** Bytes as text under `name` where they are UTF-8, else as base64 under `nameBase64`. */
function bytesAs(name: string, bytes: Buffer): object {
	return isUtf8(bytes) ? { [name]: bytes.toString("utf8") } : { [`${name}Base64`]: bytes.toString("base64") };
}

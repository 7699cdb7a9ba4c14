// One job as its worker sees it. The link makes one for every JOB_ASSIGN and hands it to the worker function; the job
// writes WORK_DATA, WORK_WARNING and WORK_STATUS itself, the link writes how it ended. After the signal aborts nothing
// is sent any more: the server has taken the job back and may have given it to somebody else.

import { GearmanError } from "../errors.ts";
import { encodeRequest, fromName } from "../protocol/packet.ts";

/** The way back to the server the job came from. */
export interface Channel {
	/** False: the outgoing buffer is full, wait for drained(). Nothing is sent once the connection is lost. */
	send(bytes: Buffer): boolean;
	/** Resolves when there is room again, also when the connection was lost meanwhile; never rejects. */
	drained(): Promise<void>;
}

/** A job's fields as they came in the packet, names as latin1. */
export interface Assignment {
	readonly handle: string;
	readonly functionName: string;
	readonly unique: string;
	readonly reducer: string;
	readonly workload: Buffer;
}

/** The largest number a job server keeps in a status. */
const MAX_STATUS = 0xffff_ffff;

export class Job {
	/** The server's name for the job, e.g. `H:host:1`. */
	readonly handle: string;
	readonly functionName: string;
	/** The client's unique key; empty where the client gave none. */
	readonly unique: string;
	/** The reducer's function name; empty unless the job was submitted with one. */
	readonly reducer: string;
	readonly workload: Buffer;
	/** Aborts when the job was given back: CONNECTION_LOST or, by Worker.kill(), ABORTED. Its result has no taker then. */
	readonly signal: AbortSignal;
	readonly #handleName: string;
	readonly #channel: Channel;

	constructor(assignment: Assignment, channel: Channel, signal: AbortSignal) {
		this.#handleName = assignment.handle;
		this.handle = fromName(assignment.handle);
		this.functionName = fromName(assignment.functionName);
		this.unique = fromName(assignment.unique);
		this.reducer = fromName(assignment.reducer);
		this.workload = assignment.workload;
		this.signal = signal;
		this.#channel = channel;
	}

	/** Part of the result, to the client now. Resolves when more may be sent; await it, or the rest piles up here. */
	sendData(data: Uint8Array | string): Promise<void> {
		return this.#send("WORK_DATA", data);
	}

	/** Something the client should hear of (gearman prints it on stderr). Resolves as sendData() does. */
	sendWarning(data: Uint8Array | string): Promise<void> {
		return this.#send("WORK_WARNING", data);
	}

	/** Progress: `numerator` of `denominator`, integers from 0 to 4294967295. */
	sendStatus(numerator: number, denominator: number): void {
		for (const number of [numerator, denominator]) {
			if (!Number.isInteger(number) || number < 0 || number > MAX_STATUS) {
				throw new GearmanError("BAD_ARGUMENT", `A status takes integers from 0 to ${MAX_STATUS}, not ${number}`);
			}
		}
		if (this.signal.aborted) return;
		this.#channel.send(encodeRequest("WORK_STATUS", [this.#handleName, String(numerator), String(denominator)]));
	}

	#send(name: "WORK_DATA" | "WORK_WARNING", data: Uint8Array | string): Promise<void> {
		// Never rejects: a caller that does not await it must not die of an unhandled rejection.
		if (this.signal.aborted) return Promise.resolve();
		const packet = encodeRequest(name, [this.#handleName, toBytes(data)]);
		return this.#channel.send(packet) ? Promise.resolve() : this.#channel.drained();
	}
}

/** What a function gives back, as bytes: text as UTF-8, nothing as no bytes. */
export function toBytes(data: Uint8Array | string | undefined): Uint8Array {
	if (data === undefined) return Buffer.alloc(0);
	return typeof data === "string" ? Buffer.from(data) : data;
}

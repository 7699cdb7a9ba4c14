// Submissions: what can be asked of a job, and as bytes: which packet it goes in, and its arguments.

import { GearmanError } from "../errors.ts";
import { type PacketName, Type } from "../protocol/commands.ts";
import { encodeRequest, HEADER_BYTES, MAGIC_REQUEST, toName, writeHeader } from "../protocol/packet.ts";

export type Priority = "high" | "normal" | "low";

export interface CallOptions {
	readonly signal?: AbortSignal;
	/** Longest wait without any sign of life, in ms. */
	readonly timeoutMs?: number;
}

export interface SubmitOptions extends CallOptions {
	/** Jobs of equal function and key run once, all submitters get the result; "-": the workload is the key.
	 * Default: a fresh UUID, so that no two jobs are taken for one. */
	readonly unique?: string;
	readonly priority?: Priority;
	/** Function that puts the job's results together (SUBMIT_REDUCE_JOB; always of normal priority). */
	readonly reducer?: string;
}

export interface BackgroundOptions extends SubmitOptions {
	/** Earliest start: a Date or Unix seconds (SUBMIT_JOB_EPOCH; always of normal priority, whole seconds). */
	readonly at?: Date | number;
	/** Earliest start, from now. */
	readonly delayMs?: number;
}

/** Larger workloads are not copied behind their arguments but written as they are. */
const COPY_BYTES = 16 * 1024;
const FOREGROUND = { high: "SUBMIT_JOB_HIGH", normal: "SUBMIT_JOB", low: "SUBMIT_JOB_LOW" } as const;
const BACKGROUND = { high: "SUBMIT_JOB_HIGH_BG", normal: "SUBMIT_JOB_BG", low: "SUBMIT_JOB_LOW_BG" } as const;

/** The packet of a job its client waits for. Throws BAD_ARGUMENT. */
export function encodeForeground(functionName: string, workload: Uint8Array, options: SubmitOptions): Buffer[] {
	const name = options.reducer === undefined ? FOREGROUND[options.priority ?? "normal"] : "SUBMIT_REDUCE_JOB";
	return encodeSubmit(name, functionName, workload, options, undefined);
}

/** The packet of a background job. Throws BAD_ARGUMENT. */
export function encodeBackground(functionName: string, workload: Uint8Array, options: BackgroundOptions): Buffer[] {
	const epoch = epochOf(options);
	if (options.reducer !== undefined && epoch !== undefined) {
		throw new GearmanError("BAD_ARGUMENT", "a job with a reducer cannot be put off to a later time");
	}
	if (options.reducer !== undefined) {
		return encodeSubmit("SUBMIT_REDUCE_JOB_BACKGROUND", functionName, workload, options, undefined);
	}
	if (epoch !== undefined) return encodeSubmit("SUBMIT_JOB_EPOCH", functionName, workload, options, epoch);
	return encodeSubmit(BACKGROUND[options.priority ?? "normal"], functionName, workload, options, undefined);
}

/** A packet whose last field is its data: in one buffer, or the data apart when they are big. */
export function encodeWithData(name: PacketName, args: readonly string[], data: Uint8Array): Buffer[] {
	if (data.length <= COPY_BYTES) return [encodeRequest(name, [...args, data])];
	const head = encodeRequest(name, [...args, ""]);
	writeHeader(head, 0, MAGIC_REQUEST, Type[name], head.length - HEADER_BYTES + data.length);
	return [head, Buffer.from(data.buffer, data.byteOffset, data.byteLength)];
}

/** Text as it goes into a packet. Throws BAD_ARGUMENT: behind a NUL the next argument would begin. */
export function argument(what: string, text: string): string {
	if (text.includes("\0")) throw new GearmanError("BAD_ARGUMENT", `the ${what} must not hold a NUL`);
	return toName(text);
}

/** Strings are UTF-8. */
export function toBytes(data: Uint8Array | string): Uint8Array {
	return typeof data === "string" ? Buffer.from(data, "utf8") : data;
}

function encodeSubmit(
	packet: PacketName,
	functionName: string,
	workload: Uint8Array,
	options: SubmitOptions,
	epoch: number | undefined,
): Buffer[] {
	const hasOwnOrder = options.reducer !== undefined || epoch !== undefined;
	if (hasOwnOrder && options.priority !== undefined && options.priority !== "normal") {
		throw new GearmanError("BAD_ARGUMENT", "jobs with a reducer or a time are always of normal priority");
	}
	if (functionName === "") throw new GearmanError("BAD_ARGUMENT", "a job needs a function name");
	const args = [argument("function name", functionName), argument("unique key", options.unique ?? "")];
	// The fourth argument, "aggregator", is a flag no server looks at.
	if (options.reducer !== undefined) args.push(argument("reducer", options.reducer), "0");
	if (epoch !== undefined) args.push(String(epoch));
	return encodeWithData(packet, args, workload);
}

/** Unix seconds, rounded up: never early. */
function epochOf(options: BackgroundOptions): number | undefined {
	const { at, delayMs } = options;
	if (at === undefined && delayMs === undefined) return undefined;
	if (at !== undefined && delayMs !== undefined) {
		throw new GearmanError("BAD_ARGUMENT", "at and delayMs exclude each other");
	}
	const seconds = typeof at === "number" ? at : (at?.getTime() ?? Date.now() + (delayMs ?? 0)) / 1000;
	if (!(seconds >= 0)) throw new GearmanError("BAD_ARGUMENT", "the time of a job has to be a date after 1970");
	return Math.ceil(seconds);
}

// What the headers of a POST ask for. C's gearmand knows X-Gearman-Unique, -Background and -Priority.

import type { IncomingHttpHeaders } from "node:http";
import { milliseconds } from "../../duration.ts";
import { GearmanError } from "../../errors.ts";
import { HIGH, LOW, NORMAL, type Priority } from "../job.ts";
import { MAX_UNIQUE } from "../submit.ts";

export interface Submission {
	/** latin1, as in packets. "-", C's default: jobs of equal workload are one; "": none. */
	readonly unique: string;
	readonly priority: Priority;
	readonly isBackground: boolean;
	/** Not before this time, ms since 1970; 0: now. */
	readonly dueMs: number;
	/** Longest wait for the whole answer. */
	readonly timeoutMs: number | undefined;
	/** Refused when no worker can do the function. */
	readonly requiresWorker: boolean;
	/** The job's events are wanted as they come, not its result alone. */
	readonly wantsEvents: boolean;
}

const MAX_TIMEOUT_MS = 0x7fffffff;
/** The last time a JavaScript date can hold. */
const MAX_TIME_MS = 8.64e15;
/** A map, as the name comes from outside: an object would know "constructor", too. */
const PRIORITIES: ReadonlyMap<string, Priority> = new Map([
	["high", HIGH],
	["normal", NORMAL],
	["low", LOW],
]);

/** Throws GearmanError BAD_ARGUMENT with a sentence for whoever sent it. */
export function readSubmission(headers: IncomingHttpHeaders, nowMs: number): Submission {
	const unique = text(headers, "x-gearman-unique") ?? "-";
	if (unique.length > MAX_UNIQUE) throw bad("x-gearman-unique", `is over ${MAX_UNIQUE} bytes`);
	const priority = PRIORITIES.get(text(headers, "x-gearman-priority")?.toLowerCase() ?? "normal");
	if (priority === undefined) throw bad("x-gearman-priority", "is high, normal or low");
	const epoch = text(headers, "x-gearman-epoch");
	const delay = text(headers, "x-gearman-delay");
	const timeoutMs = duration(headers, "x-gearman-timeout", MAX_TIMEOUT_MS);
	const isLater = epoch !== undefined || delay !== undefined;
	const isBackground = flag(headers, "x-gearman-background") ?? isLater;
	if (isLater && !isBackground) throw bad("x-gearman-background", "is not false for a job of a later time");
	return {
		unique,
		priority,
		isBackground,
		dueMs: delay === undefined ? epochMs(epoch) : nowMs + (duration(headers, "x-gearman-delay", MAX_TIME_MS) ?? 0),
		timeoutMs,
		requiresWorker: flag(headers, "x-gearman-require-worker") ?? false,
		wantsEvents: wantsEvents(headers),
	};
}

export function wantsEvents({ accept }: IncomingHttpHeaders): boolean {
	return accept !== undefined && /\btext\/event-stream\b/i.test(accept);
}

function text(headers: IncomingHttpHeaders, name: string): string | undefined {
	const value = headers[name];
	return typeof value === "string" ? value : value?.join(", ");
}

function flag(headers: IncomingHttpHeaders, name: string): boolean | undefined {
	const value = text(headers, name);
	if (value === undefined) return undefined;
	if (/^(1|true|yes|on)$/i.test(value)) return true;
	if (/^(0|false|no|off)$/i.test(value)) return false;
	throw bad(name, "is true or false");
}

function duration(headers: IncomingHttpHeaders, name: string, mostMs: number): number | undefined {
	const value = text(headers, name);
	if (value === undefined) return undefined;
	const ms = milliseconds(value);
	if (ms === undefined || ms < 0 || ms > mostMs) throw bad(name, "is a time in ms, or as 5s, 2m, 1h");
	return ms;
}

/** Unix seconds, as in SUBMIT_JOB_EPOCH, or a date. */
function epochMs(value: string | undefined): number {
	if (value === undefined) return 0;
	const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value);
	if (Number.isNaN(ms) || ms < 0 || ms > MAX_TIME_MS) throw bad("x-gearman-epoch", "is Unix seconds or a date");
	return ms;
}

function bad(name: string, what: string): GearmanError {
	return new GearmanError("BAD_ARGUMENT", `${name} ${what}`);
}

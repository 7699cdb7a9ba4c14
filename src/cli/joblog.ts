// The job log (--joblog): one line a job, written when what came of it is printed, so a program that is killed has every
// job in it whose result was seen. --resume reads it and passes over what is done; a hash of the workload tells whether it
// is still the same.
//
// Columns as GNU parallel's, the job's handle for the host and the function for the command, and behind them the hash.

import { createHash } from "node:crypto";
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { GearmanError } from "../errors.ts";
import { reasonOf, WRITING } from "../reason.ts";
import type { Job } from "./job.ts";
import type { JobLog } from "./jobs.ts";
import type { Printer } from "./printer.ts";

const COLUMNS = ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command", "Hash"];
const HEADER = `${COLUMNS.join("\t")}\n`;

/** What an earlier run has logged of one job, the last line of it. */
interface Entry {
	readonly isDone: boolean;
	readonly functionName: string;
	readonly hash: string;
}

export class JobLogFile implements JobLog {
	readonly #path: string;
	readonly #fd: number;
	readonly #printer: Printer;
	readonly #onError: (reason: string) => void;
	readonly #entries = new Map<number, Entry>();
	#lastSeq = 0;
	#lines = "";
	#isFlushDue = false;

	/** Begins the file anew, or reads it first. Throws a GearmanError. */
	constructor(path: string, isResumed: boolean, printer: Printer, onError: (reason: string) => void) {
		this.#path = path;
		this.#printer = printer;
		this.#onError = onError;
		try {
			this.#fd = openSync(path, isResumed ? "a+" : "w");
			const text = isResumed ? readFileSync(this.#fd, "utf8") : "";
			// A line that was cut short by the end of the program, or of the disk.
			const whole = text.slice(0, text.lastIndexOf("\n") + 1);
			if (whole.length < text.length) ftruncateSync(this.#fd, Buffer.byteLength(whole));
			if (whole === "") writeSync(this.#fd, HEADER);
			else this.#read(whole);
		} catch (error) {
			if (!(error instanceof Error) || error.name === "GearmanError") throw error;
			throw new GearmanError("BAD_ARGUMENT", `could not use the job log ${path}: ${reasonOf(error, WRITING)}`, {
				cause: error,
			});
		}
	}

	isDone(job: Job): boolean {
		job.hash = createHash("sha1")
			.update(job.workload ?? "")
			.digest("hex")
			.slice(0, 16);
		const entry = this.#entries.get(job.seq);
		if (entry === undefined) return false;
		if (entry.hash === job.hash && entry.functionName === printable(job.functionName)) return entry.isDone;
		throw new GearmanError("BAD_ARGUMENT", `${this.#isOther} (job ${job.seq})`);
	}

	write(job: Job): void {
		const row = [
			job.seq === 0 ? "-" : job.seq,
			job.handle || "-",
			(job.startedAt / 1000).toFixed(3),
			((job.endedAt - job.startedAt) / 1000).toFixed(3),
			job.workloadBytes,
			job.receivedBytes,
			job.exitCode,
			0,
			printable(job.functionName),
			job.hash || "-",
		];
		this.#lines += `${row.join("\t")}\n`;
		if (this.#isFlushDue) return;
		this.#isFlushDue = true;
		process.nextTick(() => this.#flush());
	}

	close(jobs: number): void {
		if (jobs < this.#lastSeq) throw new GearmanError("BAD_ARGUMENT", `${this.#isOther} (it ends after job ${jobs})`);
	}

	/** Jobs an earlier run has done. */
	get done(): number {
		let done = 0;
		for (const { isDone } of this.#entries.values()) if (isDone) done++;
		return done;
	}

	end(): void {
		this.#flush();
		closeSync(this.#fd);
	}

	get #isOther(): string {
		return `the input or its split is not what ${this.#path} was written for`;
	}

	/** What is logged as done has been printed. */
	#flush(): void {
		this.#isFlushDue = false;
		const lines = this.#lines;
		this.#lines = "";
		if (lines === "") return;
		this.#printer.flush();
		try {
			writeSync(this.#fd, lines);
		} catch (error) {
			this.#onError(`could not write the job log: ${error instanceof Error ? error.message : error}`);
		}
	}

	#read(text: string): void {
		const [header, ...lines] = text.split("\n");
		if (`${header}\n` !== HEADER)
			throw new GearmanError("BAD_ARGUMENT", `${this.#path} is not a job log of this program`);
		for (const line of lines) {
			const fields = line.split("\t");
			const seq = Number(fields[0]);
			if (fields.length !== COLUMNS.length || !(seq > 0)) continue;
			this.#lastSeq = Math.max(this.#lastSeq, seq);
			this.#entries.set(seq, { isDone: fields[6] === "0", functionName: fields[8], hash: fields[9] });
		}
	}
}

/** A function's name as one field. */
function printable(name: string): string {
	return name.replace(/[\t\n]/g, " ");
}

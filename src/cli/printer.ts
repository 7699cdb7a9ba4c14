// Standard output and standard error of one gearman call, and the bar on the terminal between them: what is printed first
// is seen first, and the bar is gone before anything else is on its line.

import type { GearmanError } from "../errors.ts";
import type { Job } from "./job.ts";
import type { Output } from "./output.ts";
import { type Progress, percent } from "./progress.ts";

/** Whose line it is where outputs of several functions are prefixed. */
type Owner = Pick<Job, "functionName">;

const LF = 0x0a;
const MAX_REASON = 300;

export interface PrinterOptions {
	readonly isPrefixed: boolean;
	readonly hasSeveralFunctions: boolean;
	/** Jobs are pieces of one input: a failure names the piece. */
	readonly isMap: boolean;
}

export class Printer {
	readonly #out: Output;
	readonly #progress: Progress;
	readonly #options: PrinterOptions;
	/** Who left a prefixed line unfinished. */
	#openLine: Owner | undefined;

	constructor(out: Output, progress: Progress, options: PrinterOptions) {
		this.#out = out;
		this.#progress = progress;
		this.#options = options;
	}

	/** On stdout, as it is. The bytes may be a view that is reused. */
	print(bytes: Uint8Array | string): void {
		this.#progress.clear();
		this.#out.write(bytes);
	}

	/** A job's data. With -P the function is in front: of each packet as in C, of each line where functions are several. */
	printData(job: Job, bytes: Uint8Array): void {
		if (!this.#options.isPrefixed) this.print(bytes);
		else if (this.#options.hasSeveralFunctions) this.#printLines(job, bytes);
		else {
			this.print(`${job.functionName}: `);
			this.print(bytes);
		}
	}

	/** A job's warnings, on stderr. */
	printError(job: Job, bytes: Uint8Array | string): void {
		this.#printError(this.#errorPrefix(job), bytes);
	}

	/** A line of our own on stderr. */
	say(line: string): void {
		this.#printError("", `${line}\n`);
	}

	/** gearman(1)'s line, or a bar where somebody watches. */
	printStatus(job: Job, numerator: number, denominator: number): void {
		if (process.stderr.isTTY) this.showProgress(job.functionName, numerator, denominator);
		else this.print(`${this.#prefix(job)}${percent(numerator, denominator)}% Complete\n`);
	}

	showProgress(functionName: string, numerator: number, denominator: number): void {
		if (this.#options.isMap || !process.stderr.isTTY) return;
		this.#out.flush();
		this.#progress.showJob(functionName, numerator, denominator);
	}

	/** As C on stdout; where that is one result made of many jobs, on stderr. */
	printCreated(job: Job): void {
		const line = `Task created: ${job.handle}`;
		if (this.#options.isMap) this.say(line);
		else this.print(`${line}\n`);
	}

	/** Why a job has no result. A lost connection is told once for all its jobs, by Jobs; pieces are named one by one. */
	printFailure(job: Job, error: GearmanError): void {
		if (this.#options.isMap) {
			if (error.code === "COULD_NOT_CONNECT" || error.code === "TIMED_OUT") return;
			const tries = job.failures > 0 ? ` after ${job.failures + 1} tries` : "";
			this.say(`gearman: ${nameOf(job)} failed${tries}: ${reasonOf(error)}`);
			return;
		}
		switch (error.code) {
			case "JOB_FAILED":
				this.printError(job, "Job failed\n");
				return;
			case "JOB_EXCEPTION": {
				const bytes = error.data ?? Buffer.alloc(0);
				this.printError(job, bytes);
				if (bytes.length > 0 && bytes[bytes.length - 1] !== LF) this.#printError("", "\n");
				this.say(`gearman: job ${job.handle} of ${job.functionName} raised an exception`);
				return;
			}
			case "SERVER_ERROR":
				this.say(`gearman: ${job.functionName}: ${error.message}`);
				return;
			default:
		}
	}

	flush(): void {
		this.#out.flush();
	}

	/** Nothing more is printed. */
	close(): void {
		this.#progress.close();
		this.flush();
	}

	#printError(prefix: string, bytes: Uint8Array | string): void {
		this.#progress.clear();
		this.#out.flush();
		if (prefix !== "") process.stderr.write(prefix);
		if (bytes.length > 0) process.stderr.write(bytes);
	}

	#printLines(job: Job, bytes: Uint8Array): void {
		if (this.#openLine !== undefined && this.#openLine !== job) {
			this.print("\n");
			this.#openLine = undefined;
		}
		for (let at = 0; at < bytes.length; ) {
			if (this.#openLine === undefined) this.print(`${job.functionName}: `);
			const found = bytes.indexOf(LF, at);
			const end = found < 0 ? bytes.length : found + 1;
			this.print(bytes.subarray(at, end));
			this.#openLine = found < 0 ? job : undefined;
			at = end;
		}
	}

	#prefix(job: Job): string {
		return this.#options.isPrefixed ? `${job.functionName}: ` : "";
	}

	/** Of several functions the one that complains is always named. */
	#errorPrefix(job: Job): string {
		return this.#options.isPrefixed || this.#options.hasSeveralFunctions ? `${job.functionName}: ` : "";
	}
}

/** "piece 3 of count (bytes 2048-3071)" */
function nameOf(job: Job): string {
	if (job.seq === 0) return `a job of ${job.functionName}`;
	const last = job.offset + Math.max(job.workloadBytes, 1) - 1;
	return `piece ${job.seq} of ${job.functionName} (bytes ${job.offset}-${last})`;
}

/** An error in one line. */
function reasonOf(error: GearmanError): string {
	if (error.code === "JOB_FAILED") return "its worker gave no reason";
	if (error.code !== "JOB_EXCEPTION") return error.message;
	const text = (error.data ?? Buffer.alloc(0)).toString("utf8").trim().replace(/\s+/g, " ");
	return text === "" ? error.message : text.slice(0, MAX_REASON);
}

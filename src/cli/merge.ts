// --merge: every result is a sorted run, and the output is all of them merged. A run may hold the first line of the
// output, so the output begins when the last result is in; until then runs are kept in memory, many small ones merged into
// one, and in nameless files in TMPDIR once they are more than memory should hold. Runs stay in the order they came in,
// which is the order of lines that compare equal.
//
//   #runs   file  file │ 256 small ones merged │ 256 small ones merged │ small small small …
//            spilled                     in memory

import { randomBytes } from "node:crypto";
import { closeSync, openSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GearmanError } from "../errors.ts";
import { reasonOf, WRITING } from "../reason.ts";
import type { Collector, Jobs } from "./jobs.ts";
import { merge, type Run } from "./sort.ts";

const MAX_MEMORY_BYTES = 128 * 1024 * 1024;
/** As many runs of one size are merged into one. */
const FAN_IN = 256;

interface Kept {
	readonly run: Run;
	/** Of it in memory. */
	readonly bytes: number;
	/** Merges behind it. */
	readonly level: number;
}

export class Merge implements Collector {
	readonly #flags: readonly string[];
	readonly #jobs: Jobs;
	#runs: Kept[] = [];
	#memoryBytes = 0;
	#merging: Promise<void> | undefined;
	/** sort failed, or there was no room: there can be no result. */
	#isBroken = false;

	constructor(flags: readonly string[], jobs: Jobs) {
		this.#flags = flags;
		this.#jobs = jobs;
	}

	/** What is in memory too much, until it is in a file. */
	get waitingBytes(): number {
		return this.#memoryBytes > MAX_MEMORY_BYTES ? this.#memoryBytes : 0;
	}

	/** The next result; undefined: there is none. */
	take(parts: Buffer[] | undefined): void {
		if (parts === undefined || parts.length === 0 || this.#isBroken) return;
		this.#runs.push(keptInMemory(parts, 0));
		this.#memoryBytes += this.#runs[this.#runs.length - 1].bytes;
		this.#tidy();
	}

	async finish(gives: boolean): Promise<number> {
		while (this.#merging !== undefined) await this.#merging;
		if (!gives || this.#isBroken) {
			this.#jobs.printer.say("gearman: there is no result, for not all of it was done");
			return 0;
		}
		const runs = this.#runs.map(({ run }) => run);
		try {
			if (runs.length > 0) await merge(this.#flags, runs, "stdout");
			return 0;
		} catch (error) {
			this.#jobs.printer.say(`gearman: ${failure(error)}`);
			return 1;
		}
	}

	/** Makes less of the runs, if they are many or large: one merge at a time. */
	#tidy(): void {
		if (this.#merging !== undefined || this.#isBroken) return;
		const group = this.#group();
		if (group === undefined) return;
		this.#merging = this.#join(group)
			.catch((error: unknown) => {
				this.#isBroken = true;
				this.#runs = [];
				this.#memoryBytes = 0;
				this.#jobs.inputFailed(failure(error));
			})
			.then(() => {
				this.#merging = undefined;
				this.#tidy();
				this.#jobs.fill();
			});
	}

	/** Neighbours that should be one. */
	#group(): Kept[] | undefined {
		const memory = this.#runs.filter(({ run }) => "parts" in run);
		if (this.#memoryBytes > MAX_MEMORY_BYTES) return memory;
		const files = this.#runs.length - memory.length;
		if (files >= FAN_IN) return this.#runs.slice(0, files);
		for (let last = memory.length, first = last; first > 0; last = first) {
			const { level } = memory[last - 1];
			while (first > 0 && memory[first - 1].level === level) first--;
			if (last - first >= FAN_IN) return memory.slice(first, first + FAN_IN);
		}
		return undefined;
	}

	async #join(group: readonly Kept[]): Promise<void> {
		const runs = group.map(({ run }) => run);
		const bytes = group.reduce((sum, kept) => sum + kept.bytes, 0);
		const isSmall = bytes > 0 && this.#memoryBytes <= MAX_MEMORY_BYTES;
		let joined: Kept;
		if (isSmall) joined = keptInMemory(await merge(this.#flags, runs, "memory"), group[0].level + 1);
		else joined = { run: await this.#spill(runs), bytes: 0, level: 0 };
		const first = this.#runs.indexOf(group[0]);
		this.#runs.splice(first, group.length, joined);
		this.#memoryBytes += joined.bytes - bytes;
		for (const run of runs) if ("fd" in run) closeSync(run.fd);
	}

	async #spill(runs: readonly Run[]): Promise<Run> {
		const { fd, written } = namelessFile();
		try {
			await merge(this.#flags, runs, written);
			return { fd };
		} finally {
			closeSync(written);
		}
	}
}

/** Open twice, for writing moves a descriptor's position: `fd` reads it from the beginning. */
function namelessFile(): { fd: number; written: number } {
	const folder = tmpdir();
	const path = join(folder, `gearman-${process.pid}-${randomBytes(8).toString("hex")}`);
	try {
		const written = openSync(path, "wx", 0o600);
		const fd = openSync(path, "r");
		unlinkSync(path);
		return { fd, written };
	} catch (error) {
		throw new GearmanError("BAD_ARGUMENT", `no file can be made in ${folder}: ${reasonOf(error, WRITING)}`, {
			cause: error,
		});
	}
}

function keptInMemory(parts: Buffer[], level: number): Kept {
	return { run: { parts }, bytes: parts.reduce((sum, part) => sum + part.length, 0), level };
}

function failure(error: unknown): string {
	return `could not merge: ${reasonOf(error)}`;
}

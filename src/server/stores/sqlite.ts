// Jobs in an SQLite file: the default of the program. The file is a thread's own (sqlite-thread.ts), so that commits do
// not hold up the server. Durable means on the disk: WAL with synchronous=FULL, one transaction a batch.

import { statSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { GearmanError } from "../../errors.ts";
import type { Change, Store, StoredJob, StoreInfo, StoreOptions } from "./index.ts";
import { decodeChanges, encodeChanges, numberOf } from "./records.ts";
import type { FileOptions } from "./sqlite-jobs.ts";
import type { Answer, Request } from "./sqlite-thread.ts";
import { checkWritable, isSynced, storePath } from "./state-directory.ts";

/** SQLite's own limit of a row, and what a job's has beside its workload and names. */
const MAX_ROW_BYTES = 1_000_000_000;
const ROW_BYTES = 1024;

/** A request the thread has not answered yet. */
interface Call {
	resolve(answer: Answer): void;
	reject(error: GearmanError): void;
}

export class SqliteStore implements Store {
	readonly #options: StoreOptions;
	#path = "";
	#thread: Worker | undefined;
	/** The end of the last thread: the file is locked until then. */
	#ended: Promise<unknown> = Promise.resolve();
	/** Oldest first. */
	#calls: Call[] = [];
	/** The number of the last run's last job. */
	#lastNumber = 0;
	#isClosed = false;

	constructor(options: StoreOptions) {
		this.#options = options;
	}

	async open(): Promise<number> {
		const opened = await this.#ask({ kind: "open" }, "opened").catch(async (error) => {
			await this.close();
			throw error;
		});
		this.#lastNumber = opened.lastNumber;
		return opened.lastReserved;
	}

	/** 1,000,000 jobs of 100 bytes are back in the job table in 9 s, on two cores that have more to do. */
	async *replay(): AsyncGenerator<StoredJob> {
		const last = this.#lastNumber;
		if (last === 0) return;
		let after = 0;
		// The next jobs are read while the server takes these; when that fails it is heard of in its turn.
		let next = this.#read(after, last);
		while (after < last) {
			const jobs = await next;
			const newest = jobs.at(-1);
			if (newest === undefined) return;
			after = numberOf(newest.handle);
			next = this.#read(after, last);
			next.catch(() => {});
			for (const job of jobs) yield job; // yield* would await each twice
		}
	}

	async write(changes: readonly Change[]): Promise<void> {
		const { buffer } = encodeChanges(changes);
		await this.#ask({ kind: "write", changes: buffer }, "done", [buffer]);
	}

	refusal({ workload, functionName, reducer }: StoredJob): string | undefined {
		const bytes = workload.length + functionName.length + (reducer?.length ?? 0) + ROW_BYTES;
		if (bytes <= MAX_ROW_BYTES) return undefined;
		return `a job of ${bytes} bytes is over SQLite's limit of ${MAX_ROW_BYTES}`;
	}

	info(): StoreInfo {
		const bytes = bytesOfFile(this.#path) + bytesOfFile(`${this.#path}-wal`);
		return { name: "sqlite", place: this.#path, bytes };
	}

	async close(): Promise<void> {
		const thread = this.#thread;
		if (thread !== undefined)
			await this.#ask({ kind: "close" }, "done").finally(() => this.#end(thread, "it is closed"));
		this.#isClosed = true;
		await this.#ended;
	}

	async #read(after: number, last: number): Promise<StoredJob[]> {
		const { changes } = await this.#ask({ kind: "read", after, last }, "jobs");
		const jobs: StoredJob[] = [];
		for (const entry of decodeChanges(Buffer.from(changes))) {
			// A copy: a view would keep the whole chunk for as long as the job waits.
			if (entry.kind === "add") jobs.push({ ...entry.job, workload: Buffer.from(entry.job.workload) });
		}
		return jobs;
	}

	/** Asks the thread, starting it (again) when there is none. */
	async #ask<K extends Answer["kind"]>(
		request: Request,
		expected: K,
		transfer: ArrayBuffer[] = [],
	): Promise<Extract<Answer, { kind: K }>> {
		await this.#ended;
		if (this.#isClosed) throw new GearmanError("STORE_FAILED", "The store is closed");
		this.#thread ??= this.#start();
		const thread = this.#thread;
		const answer = await new Promise<Answer>((resolve, reject) => {
			this.#calls.push({ resolve, reject });
			thread.postMessage(request, transfer);
		});
		if (answer.kind === "failed") {
			if (answer.isBroken) this.#end(thread, answer.sentence);
			throw new GearmanError("STORE_FAILED", answer.sentence);
		}
		if (answer.kind !== expected) throw new Error(`the SQLite thread answered ${answer.kind} for ${request.kind}`);
		return answer as Extract<Answer, { kind: K }>;
	}

	#start(): Worker {
		const { options } = this.#options;
		const given = options["libsqlite3-db"];
		if (given !== undefined) checkWritable(given);
		this.#path = given ?? storePath(this.#options, "sqlite");
		const workerData: FileOptions = {
			path: this.#path,
			isSynced: isSynced(options),
			table: options["libsqlite3-table"] ?? "gearman_queue",
		};
		const thread = new Worker(new URL("./sqlite-thread.js", import.meta.url), {
			workerData,
			// Of SQLite itself, on some versions of Node.
			execArgv: ["--disable-warning=ExperimentalWarning"],
		});
		thread.on("message", (answer: Answer) => this.#calls.shift()?.resolve(answer));
		thread.on("error", (error) => this.#end(thread, error.message));
		thread.on("exit", () => this.#end(thread, "it ended"));
		return thread;
	}

	/** The thread is over: what it was asked fails, and the next request starts another. */
	#end(thread: Worker, reason: string): void {
		if (this.#thread !== thread) return;
		this.#thread = undefined;
		this.#ended = thread.terminate();
		const calls = this.#calls;
		this.#calls = [];
		for (const { reject } of calls) reject(new GearmanError("STORE_FAILED", `The SQLite thread ended: ${reason}`));
	}
}

/** 0 when it is not there. */
function bytesOfFile(path: string): number {
	return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

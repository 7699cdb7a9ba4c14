// Jobs in a flat file that is only ever appended to (frames.ts): nothing to install, nothing compiled. One append and
// one fdatasync a batch, neither on the event loop. When most of the file is jobs long done, it is written anew beside
// itself and takes its own place, while batches go on.

import { constants } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { GearmanError } from "../../errors.ts";
import { lockFile } from "./file-lock.ts";
import {
	COPY_BYTES,
	copyJobs,
	encodeFrame,
	FILE_HEAD,
	hasFrameBehind,
	readFrames,
	readFully,
	syncFolder,
	writeFully,
} from "./frames.ts";
import type { Change, Store, StoredJob, StoreInfo, StoreOptions } from "./index.ts";
import { decodeChanges, type Entry, entryOf, numberOf } from "./records.ts";
import { isSynced, storePath } from "./state-directory.ts";

/** A file below this is not worth writing anew. */
const COMPACT_BYTES = 16 << 20;
/** Bytes of a job beside its names and workload. */
const JOB_BYTES = 80;

export class FileStore implements Store {
	readonly #options: StoreOptions;
	readonly #isSynced: boolean;
	#path = "";
	#lock: FileHandle | undefined;
	#file: FileHandle | undefined;
	/** Where the next frame goes. */
	#size = 0;
	/** Bytes behind #size may be there: a write failed. */
	#isTorn = false;
	#reserved = 0;
	/** Jobs in the file that are not done: handle → bytes; and together. */
	readonly #live = new Map<string, number>();
	#liveBytes = 0;
	/** Assignments lost, where there were any. */
	readonly #retries = new Map<string, number>();
	/** Jobs of the last run that are still to be replayed. */
	#left = new Set<string>();
	/** The file as it was opened, for the replay: #file may be another one soon. */
	#last: FileHandle | undefined;
	#lastEnd = 0;
	/** The file has been renamed, and a power cut could undo that. */
	#isRenamed = false;
	/** The end of the queue for the file. */
	#turn: Promise<unknown> = Promise.resolve();
	#compacting: Promise<void> | undefined;
	/** The size at which it is looked at again whether the file is worth writing anew. */
	#compactAt = COMPACT_BYTES;

	constructor(options: StoreOptions) {
		this.#options = options;
		this.#isSynced = isSynced(options.options);
	}

	async open(): Promise<number> {
		this.#path = storePath(this.#options, "journal");
		try {
			this.#lock = await open(`${this.#path}.lock`, "a", 0o600);
			lockFile(this.#lock.fd, this.#path);
			this.#file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o600);
			await this.#scan(this.#file);
		} catch (error) {
			await this.close();
			throw this.#failure(error);
		}
		return this.#reserved;
	}

	async *replay(): AsyncGenerator<StoredJob> {
		const left = this.#left;
		const file = this.#last;
		if (file === undefined) return;
		try {
			for await (const { body } of readFrames(file, FILE_HEAD.length, this.#lastEnd)) {
				for (const entry of decodeChanges(body)) {
					const job = entry.kind === "add" && left.delete(entry.job.handle) ? this.#current(entry.job) : undefined;
					if (job !== undefined) yield { ...job, workload: Buffer.from(job.workload) };
				}
			}
			// It was whole when it was opened.
			if (left.size > 0) throw this.#damaged(`${left.size} jobs are not there any more`);
		} finally {
			this.#last = undefined;
			await file.close();
		}
	}

	async write(changes: readonly Change[]): Promise<void> {
		const frame = encodeFrame(changes);
		await this.#inTurn(async (file) => {
			await this.#append(file, frame);
			for (const change of changes) this.#note(entryOf(change));
		});
		if (this.#size > this.#compactAt && this.#compacting === undefined) this.#startCompacting();
	}

	info(): StoreInfo {
		return { name: "file", place: this.#path, bytes: this.#size };
	}

	async close(): Promise<void> {
		await this.#compacting;
		await this.#turn;
		await this.#file?.close();
		this.#file = undefined;
		await this.#last?.close();
		this.#last = undefined;
		await this.#lock?.close();
		this.#lock = undefined;
	}

	/** Reads the file once: what is in it, and where a crash has cut it. */
	async #scan(file: FileHandle): Promise<void> {
		const { size } = await file.stat();
		const head = Buffer.alloc(Math.min(size, FILE_HEAD.length));
		await readFully(file, head, 0);
		if (!head.equals(FILE_HEAD.subarray(0, head.length))) throw this.#damaged("it does not begin as one");
		if (size < FILE_HEAD.length) {
			await writeFully(file, FILE_HEAD, 0);
			await file.sync();
			await syncFolder(this.#path);
		}
		this.#size = FILE_HEAD.length;
		for await (const { body, end } of readFrames(file, FILE_HEAD.length, size)) {
			for (const entry of decodeChanges(body)) this.#note(entry);
			this.#size = end;
		}
		if (this.#size < size) {
			if (await hasFrameBehind(file, this.#size + 1, size)) throw this.#damaged(`at byte ${this.#size}`);
			await file.truncate(this.#size);
			await file.sync();
		}
		this.#lastEnd = this.#size;
		this.#left = new Set(this.#live.keys());
		this.#last = await open(this.#path, "r");
	}

	#note(entry: Entry): void {
		switch (entry.kind) {
			case "add": {
				const { handle, functionName, workload, retries } = entry.job;
				this.#forget(handle);
				const bytes = JOB_BYTES + functionName.length + workload.length;
				this.#live.set(handle, bytes);
				this.#liveBytes += bytes;
				if (retries > 0) this.#retries.set(handle, retries);
				this.#reserved = Math.max(this.#reserved, numberOf(handle));
				break;
			}
			case "retry":
				if (this.#live.has(entry.handle)) this.#retries.set(entry.handle, entry.retries);
				break;
			case "remove":
				this.#forget(entry.handle);
				break;
			case "reserve":
				this.#reserved = Math.max(this.#reserved, entry.number);
		}
	}

	/** The job as it is now; undefined when it is done. */
	#current(job: StoredJob): StoredJob | undefined {
		if (!this.#live.has(job.handle)) return undefined;
		const retries = this.#retries.get(job.handle);
		return retries === undefined ? job : { ...job, retries };
	}

	#forget(handle: string): void {
		this.#liveBytes -= this.#live.get(handle) ?? 0;
		this.#live.delete(handle);
		this.#retries.delete(handle);
	}

	/** Runs `work` when what came before it is done. Rejects with STORE_FAILED. */
	async #inTurn(work: (file: FileHandle) => Promise<void>): Promise<void> {
		const turn = this.#turn.then(() => {
			if (this.#file === undefined) throw new GearmanError("STORE_FAILED", "The store is closed");
			return work(this.#file);
		});
		this.#turn = turn.catch(() => {});
		try {
			await turn;
		} catch (error) {
			throw this.#failure(error);
		}
	}

	/** A frame that does not get on the disk as a whole is cut off again, at the latest before the next. */
	async #append(file: FileHandle, frame: Buffer): Promise<void> {
		if (this.#isTorn) await file.truncate(this.#size);
		this.#isTorn = true;
		await writeFully(file, frame, this.#size);
		if (this.#isSynced) await file.datasync();
		if (this.#isRenamed) await syncFolder(this.#path);
		this.#isRenamed = false;
		this.#isTorn = false;
		this.#size += frame.length;
	}

	#startCompacting(): void {
		if (this.#liveBytes > this.#size / 2) {
			this.#compactAt = this.#size * 1.5;
			return;
		}
		this.#compacting = this.#compact()
			// A disk that is too full for it has a file that grows on, and another try when it is half as large again.
			.catch(() => {})
			.finally(() => {
				this.#compactAt = Math.max(COMPACT_BYTES, this.#size * 1.5);
				this.#compacting = undefined;
			});
	}

	/** Writes the jobs that are left to a new file, behind them what is appended meanwhile, and puts it in the old one's place. */
	async #compact(): Promise<void> {
		const old = this.#file;
		if (old === undefined) return;
		const path = `${this.#path}.new`;
		const file = await open(path, "w+", 0o600);
		try {
			let from = this.#size;
			let size = await copyJobs(old, from, file, this.#reserved, (job) => this.#current(job));
			const copy = async (): Promise<void> => {
				const bytes = Buffer.allocUnsafe(Math.min(COPY_BYTES, this.#size - from));
				await readFully(old, bytes, from);
				await writeFully(file, bytes, size);
				from += bytes.length;
				size += bytes.length;
			};
			while (this.#size - from > COPY_BYTES) await copy();
			await file.sync();
			await this.#inTurn(async () => {
				while (this.#size > from) await copy();
				await file.sync();
				await rename(path, this.#path);
				this.#file = file;
				this.#size = size;
				this.#isTorn = false;
				this.#isRenamed = true;
			});
		} catch (error) {
			await file.close();
			await rm(path, { force: true });
			throw error;
		}
		await old.close();
	}

	#failure(error: unknown): GearmanError {
		if (error instanceof GearmanError) return error;
		const reason = error instanceof Error ? error.message : String(error);
		return new GearmanError("STORE_FAILED", `${this.#path}: ${reason}`, { cause: error });
	}

	#damaged(where: string): GearmanError {
		const sentence = `${this.#path} is damaged or no journal (${where})`;
		return new GearmanError("STORE_FAILED", `${sentence}: move it away or restore a copy, then start again`);
	}
}

// A task: a foreground job as its client sees it. Await it for the result, iterate it for what comes before, or both.
// What must stay true: a task nobody listens to keeps nothing but the data its result needs, and rejects nothing.
//
//   submitted ──JOB_CREATED──▶ created ──WORK_DATA, WORK_WARNING, WORK_STATUS──▶ created
//       └──────────── ERROR, lost, aborted, timed out ──▶ ended ◀── WORK_COMPLETE, WORK_FAIL, WORK_EXCEPTION

import { GearmanError } from "../errors.ts";
import type { Packet } from "../protocol/parser.ts";
import type { Link, TaskObserver } from "./link.ts";

/** What a worker sends before it is done. */
export type TaskEvent =
	| { readonly type: "data"; readonly data: Buffer }
	| { readonly type: "warning"; readonly data: Buffer }
	| { readonly type: "status"; readonly numerator: number; readonly denominator: number };

export interface TaskLimits {
	readonly signal?: AbortSignal;
	/** Longest wait for any packet of this job. */
	readonly timeoutMs?: number;
}

/** An iterator this far behind stops the reading from its job server, other tasks' packets included. */
const MAX_BEHIND_BYTES = 16 * 1024 * 1024;
/** What an event weighs beside its bytes. */
const EVENT_BYTES = 128;
/** Largest result that is put together in memory; iterate the task for larger ones. */
const MAX_RESULT_BYTES = 1024 * 1024 * 1024;
const EMPTY = Buffer.alloc(0);

/**
 * `await task` gives the WORK_DATA bytes and behind them those of WORK_COMPLETE. Once the task is iterated, its data go to
 * the iterator and `await task` gives the bytes of WORK_COMPLETE alone. Start to iterate in the turn of the submit:
 * warnings and statuses of earlier turns are not kept (data are).
 *
 * Rejects with a GearmanError: JOB_FAILED, JOB_EXCEPTION (bytes in `data`), CONNECTION_LOST (see `mayHaveRun`), TIMED_OUT,
 * SERVER_ERROR (`serverCode`), COULD_NOT_CONNECT, ABORTED. A task nobody awaits rejects in silence.
 */
export class Task implements PromiseLike<Buffer>, AsyncIterable<TaskEvent> {
	/** As given to submit(). */
	readonly functionName: string;
	/** As given to submit(), or the one made for this job. */
	readonly unique: string;
	#handle: string | undefined;
	#link: Link | undefined;
	#numerator = 0;
	#denominator = 0;
	#error: GearmanError | undefined;
	#result: Buffer | undefined;
	/** Data for the result; unused from the first iteration on. */
	#parts: Buffer[] = [];
	#partsBytes = 0;
	/** Undefined: nobody iterates. */
	#events: TaskEvent[] | undefined;
	#behindBytes = 0;
	#isHolding = false;
	/** Called at JOB_CREATED, at each event and at the end. */
	#waiters: (() => void)[] = [];
	#forget: (() => void) | undefined;
	#lastSign = 0;

	/** Made by Client.submit() only. */
	constructor(functionName: string, unique: string) {
		this.functionName = functionName;
		this.unique = unique;
	}

	/** The job's handle, once the server gave it. Rejects when the task ends without. */
	get handle(): Promise<string> {
		return quiet(
			this.#until(
				() => this.#handle !== undefined,
				() => this.#handle ?? "",
			),
		);
	}

	/** JOB_CREATED came: the server has the job. */
	get isCreated(): boolean {
		return this.#handle !== undefined;
	}

	/** The result or the error is there. */
	get hasEnded(): boolean {
		return this.#result !== undefined || this.#error !== undefined;
	}

	/** The latest WORK_STATUS; 0 of 0 before the first. */
	get progress(): { readonly numerator: number; readonly denominator: number } {
		return { numerator: this.#numerator, denominator: this.#denominator };
	}

	// biome-ignore lint/suspicious/noThenProperty: a task is awaited like the call it stands for
	then<A = Buffer, B = never>(
		onResult?: ((result: Buffer) => A | PromiseLike<A>) | null,
		onError?: ((error: unknown) => B | PromiseLike<B>) | null,
	): Promise<A | B> {
		return this.#until(
			() => this.#result !== undefined,
			() => this.#result ?? EMPTY,
		).then(onResult, onError);
	}

	catch<B = never>(onError: (error: unknown) => B | PromiseLike<B>): Promise<Buffer | B> {
		return this.then(undefined, onError);
	}

	/** Events up to the end; throws what `await task` would reject with. For one reader; breaking off drops the rest. */
	async *[Symbol.asyncIterator](): AsyncGenerator<TaskEvent, void, undefined> {
		if (this.#events !== undefined) throw new GearmanError("BAD_ARGUMENT", "a task can be iterated once");
		const events: TaskEvent[] = this.#parts.map((data) => ({ type: "data", data }));
		this.#events = events;
		this.#behindBytes = this.#partsBytes + events.length * EVENT_BYTES;
		this.#parts = [];
		this.#partsBytes = 0;
		try {
			for (;;) {
				const batch = events.splice(0);
				for (const event of batch) {
					this.#behindBytes -= weightOf(event);
					yield event;
				}
				if (events.length > 0) continue;
				this.#release();
				if (this.#error !== undefined) throw this.#error;
				if (this.#result !== undefined) return;
				await new Promise<void>((resolve) => this.#waiters.push(resolve));
			}
		} finally {
			this.#events = [];
			this.#behindBytes = Number.NEGATIVE_INFINITY;
			this.#release();
		}
	}

	/** @internal Gives up at the signal, or without a packet for too long. Client only. */
	watch(limits: TaskLimits, request: { readonly isWritten: boolean; isCancelled: boolean }): void {
		const { signal, timeoutMs } = limits;
		// A closed client has refused it already: nothing is to keep the process alive.
		if (this.hasEnded || (signal === undefined && timeoutMs === undefined)) return;
		const end = (code: "ABORTED" | "TIMED_OUT", message: string, cause?: unknown) => {
			request.isCancelled = true;
			this.#end(new GearmanError(code, message, { mayHaveRun: request.isWritten, cause }));
		};
		const onAbort = () => end("ABORTED", `the ${this.functionName} task was aborted`, signal?.reason);
		let timer: NodeJS.Timeout | undefined;
		if (timeoutMs !== undefined && timeoutMs >= 0) {
			this.#lastSign = Date.now();
			// One timer a task: a packet only notes the time, and the timer looks how long ago that was.
			const check = () => {
				const leftMs = this.#lastSign + timeoutMs - Date.now();
				if (leftMs > 0) timer = setTimeout(check, leftMs);
				else end("TIMED_OUT", `no sign of life of the ${this.functionName} job for ${timeoutMs} ms`);
			};
			timer = setTimeout(check, timeoutMs);
		}
		this.#forget = () => {
			signal?.removeEventListener("abort", onAbort);
			clearTimeout(timer);
		};
		if (signal?.aborted) onAbort();
		else signal?.addEventListener("abort", onAbort);
	}

	/** @internal Where the packets of this task go. Client only. */
	get observer(): TaskObserver {
		return {
			onCreated: (handle, link) => {
				if (this.hasEnded) return;
				this.#lastSign = Date.now();
				this.#handle = handle;
				this.#link = link;
				this.#wake();
			},
			onData: (packet) => this.#onBytes("data", packet),
			onWarning: (packet) => this.#onBytes("warning", packet),
			onStatus: (numerator, denominator) => {
				if (this.hasEnded) return;
				this.#lastSign = Date.now();
				this.#numerator = numerator;
				this.#denominator = denominator;
				if (this.#behindBytes < 0 || this.#events === undefined) return;
				this.#push({ type: "status", numerator, denominator });
			},
			onComplete: (packet) => {
				if (this.hasEnded) return;
				const last = packet.keepData();
				this.#parts.push(last);
				if (this.#partsBytes + last.length > MAX_RESULT_BYTES) this.#end(tooLarge());
				else this.#end(undefined, this.#parts.length === 1 ? last : Buffer.concat(this.#parts));
			},
			onError: (error) => this.#end(error),
		};
	}

	#onBytes(type: "data" | "warning", packet: Packet): void {
		if (this.hasEnded) return;
		this.#lastSign = Date.now();
		if (this.#events === undefined) {
			if (type === "warning") return;
			const data = packet.keepData();
			this.#parts.push(data);
			this.#partsBytes += data.length;
			if (this.#partsBytes > MAX_RESULT_BYTES) this.#end(tooLarge());
		} else if (this.#behindBytes >= 0) {
			this.#push({ type, data: packet.keepData() });
		}
	}

	#push(event: TaskEvent): void {
		this.#events?.push(event);
		this.#behindBytes += weightOf(event);
		if (this.#behindBytes > MAX_BEHIND_BYTES && !this.#isHolding) {
			this.#isHolding = true;
			this.#link?.pause();
		}
		this.#wake();
	}

	#release(): void {
		if (!this.#isHolding) return;
		this.#isHolding = false;
		this.#link?.resume();
	}

	#end(error: GearmanError | undefined, result?: Buffer): void {
		if (this.hasEnded) return;
		this.#error = error;
		this.#result = result;
		this.#parts = [];
		this.#release();
		this.#forget?.();
		this.#forget = undefined;
		this.#wake();
	}

	#wake(): void {
		if (this.#waiters.length === 0) return;
		const waiters = this.#waiters;
		this.#waiters = [];
		for (const wake of waiters) wake();
	}

	/** Made when somebody asks, so that a task nobody awaits leaves no rejected promise behind. */
	async #until<T>(isThere: () => boolean, value: () => T): Promise<T> {
		for (;;) {
			if (isThere()) return value();
			if (this.#error !== undefined) throw this.#error;
			await new Promise<void>((resolve) => this.#waiters.push(resolve));
		}
	}
}

function weightOf(event: TaskEvent): number {
	return EVENT_BYTES + (event.type === "status" ? 0 : event.data.length);
}

/** `task.handle` is a getter: looked at and left alone, it must not end the process. */
function quiet<T>(promise: Promise<T>): Promise<T> {
	promise.catch(() => {});
	return promise;
}

function tooLarge(): GearmanError {
	return new GearmanError("INVALID_RESPONSE", `the result is over ${MAX_RESULT_BYTES} bytes; iterate the task instead`);
}

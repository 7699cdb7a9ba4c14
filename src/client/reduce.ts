// Map and reduce over many jobs: one job a piece, many in flight, results in the order of the pieces. Called by
// Client.reduce() and by the command line's map/reduce worker.
//
//   pieces ──submitted, at most `concurrency`──▶ results in order ──▶ reducer
//
// What must stay true: no piece is taken that there is no room for, so endless pieces need no endless memory; the first
// failure ends it all, and whoever uses a client of its own and closes it leaves no job behind on the servers.

import { setMaxListeners } from "node:events";
import { GearmanError } from "../errors.ts";
import { type Priority, type SubmitOptions, toBytes } from "./submission.ts";
import type { Task } from "./task.ts";

/** Workloads, from memory or as they come. Strings are UTF-8. */
export type Pieces = Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>;

export interface ReduceOptions {
	readonly signal?: AbortSignal;
	/** Longest wait for any sign of life of a piece's job, in ms. */
	readonly timeoutMs?: number;
	/** Pieces in flight; default 64. */
	readonly concurrency?: number;
	readonly priority?: Priority;
	/** Called when a piece is done: so many are, of so many taken so far. */
	readonly onProgress?: (done: number, taken: number) => void;
}

/** Puts a piece's result to what there is. Its `index` counts from 0. */
export type Reducer<T> = (total: T, result: Buffer, index: number) => T | Promise<T>;

/** The client, as far as it is needed here. */
interface Submits {
	submit(functionName: string, workload: Uint8Array, options: SubmitOptions): Task;
}

/** Workloads in flight and results that wait for their turn. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** Results that wait for a slow one before them. */
const MAX_AHEAD = 8192;

/** The results of all pieces, in their order. Breaking off gives up what is in flight. */
export async function* mapPieces(
	client: Submits,
	functionName: string,
	pieces: Pieces,
	options: ReduceOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
	const { concurrency = 64, timeoutMs, priority, onProgress } = options;
	if (!Number.isInteger(concurrency) || concurrency < 1) {
		throw new GearmanError("BAD_ARGUMENT", `concurrency has to be a positive integer, not ${concurrency}`);
	}
	const end = new AbortController();
	const signal = options.signal === undefined ? end.signal : AbortSignal.any([end.signal, options.signal]);
	// One for each piece in flight.
	setMaxListeners(0, signal);
	const submitOptions = { signal, timeoutMs, priority };
	/** In order: those not yet given out. */
	const ahead: Task[] = [];
	let taken = 0;
	let done = 0;
	let keptBytes = 0;
	let hasEnded = false;
	let failure: unknown;
	let changed = (): void => undefined;
	const change = () =>
		new Promise<void>((resolve) => {
			const before = changed;
			changed = () => {
				before();
				resolve();
			};
		});
	const wake = () => {
		const call = changed;
		changed = () => undefined;
		call();
	};
	const fail = (error: unknown) => {
		failure ??= error;
		wake();
	};
	const hasRoom = () =>
		ahead.length === 0 || (taken - done < concurrency && ahead.length < MAX_AHEAD && keptBytes < MAX_KEPT_BYTES);

	const submit = (piece: Uint8Array | string) => {
		const bytes = toBytes(piece);
		const index = taken++;
		keptBytes += bytes.length;
		const task = client.submit(functionName, bytes, submitOptions);
		ahead.push(task);
		task.then(
			(result) => {
				done++;
				keptBytes += result.length - bytes.length;
				onProgress?.(done, taken);
				wake();
			},
			(error) => fail(ofPiece(error, functionName, index)),
		);
		wake();
	};
	const take = async () => {
		for await (const piece of pieces) {
			if (failure !== undefined) return;
			submit(piece);
			while (!hasRoom() && failure === undefined) await change();
		}
		hasEnded = true;
		wake();
	};
	// Also while no piece is in flight to notice.
	const onAbort = () => fail(new GearmanError("ABORTED", undefined, { cause: signal.reason }));
	signal.addEventListener("abort", onAbort);
	if (signal.aborted) onAbort();
	else take().catch(fail);

	try {
		for (;;) {
			while (failure === undefined && !ahead[0]?.hasEnded && !(hasEnded && ahead.length === 0)) await change();
			if (failure !== undefined) throw failure;
			const head = ahead.shift();
			if (head === undefined) return;
			const result = await head;
			keptBytes -= result.length;
			wake();
			yield result;
		}
	} finally {
		end.abort();
	}
}

/** Folds the results, as Array's reduce(). */
export async function fold<T>(results: AsyncIterable<Buffer>, reducer: Reducer<T>, initial: T): Promise<T> {
	let total = initial;
	let index = 0;
	for await (const result of results) total = await reducer(total, result, index++);
	return total;
}

/** A job's failure, said to be of which piece. */
function ofPiece(error: unknown, functionName: string, index: number): unknown {
	if (!(error instanceof GearmanError) || error.code === "ABORTED") return error;
	const { code, data, serverCode, mayHaveRun } = error;
	const reason = data === undefined ? error.message : data.toString();
	return new GearmanError(code, `piece ${index + 1} (${functionName}): ${reason}`, {
		cause: error,
		...(data === undefined ? {} : { data }),
		...(serverCode === undefined ? {} : { serverCode }),
		mayHaveRun,
	});
}

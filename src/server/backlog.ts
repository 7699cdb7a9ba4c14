// Background jobs far back in a queue, kept as bytes outside the JavaScript heap: 1,000,000 of 64 bytes with unique keys
// cost 190 MB instead of 600, and the garbage collector does not see them. jobs.ts puts a job here when enough others
// of its function and priority are in front of it, and takes it back, as a Job again, when its turn comes near, or when
// somebody asks for it by its handle or key. What must stay true:
// - order: a job keeps its place in the chain of its function and priority, also while it is a Job ("out") meanwhile;
// - a job is either bytes here and indexed here, or a Job in the job table's maps; never both.
//
// A record, in a slab of its chain (8-byte words):
//   ┌────────┬─────────────┬────────────┬────────────────────┬─────┬──────────┐
//   │ number │ submittedMs │ since,flags│ lengths, hash of key│ key │ workload │
//   └────────┴─────────────┴────────────┴────────────────────┴─────┴──────────┘
// Its place: number of the slab × MAX_SLAB + offset. Places are above 0: slab 0 is never used.

import type { FunctionQueue } from "./function-queue.ts";
import { Job, JobState, type Priority } from "./job.ts";
import { hashOfKey, hashOfNumber } from "./job-index.ts";
import { PlaceIndex } from "./place-index.ts";

const MIN_SLAB = 8192;
const MAX_SLAB = 1 << 18;
const RECORD_BYTES = 32;
/** Larger workloads stay Jobs: their bytes are outside the heap anyway. */
const MAX_WORKLOAD = 4096;
const MAX_PREFIXES = 1 << 15;
const MAX_RETRIES = 255;
/** Numbers that differ in so many of their lowest bits alone are found together. */
const RUN_BITS = 6;

// 32-bit words of a record.
const SINCE = 4;
const FLAGS = 5;
/** Of the workload, and from bit 16 of the key. */
const LENGTHS = 6;
const KEY_HASH = 7;

// Flags: the state, two bits, retries from bit 8, the handle's prefix from bit 16.
const STATE = 3;
const BYTES = 0;
const OUT = 1;
const GONE = 2;
const IS_STORED = 4;
/** The unique was "-": the key was made from the workload. */
const IS_WORKLOAD_KEY = 8;

class Slab {
	readonly id: number;
	readonly bytes: Buffer;
	readonly words: Int32Array;
	readonly doubles: Float64Array;
	readonly queue: FunctionQueue;
	readonly priority: Priority;
	/** Records are in bytes [taken … used). */
	taken = 0;
	used = 0;
	next: Slab | undefined = undefined;
	/** Where runs begin: records whose numbers differ in their lowest RUN_BITS alone, with none of another run in between. */
	readonly runs: number[] = [];
	/** The number of the last run, without these bits. */
	run = -1;

	constructor(id: number, size: number, queue: FunctionQueue, priority: Priority) {
		this.id = id;
		this.bytes = Buffer.allocUnsafeSlow(size);
		this.words = new Int32Array(this.bytes.buffer);
		this.doubles = new Float64Array(this.bytes.buffer);
		this.queue = queue;
		this.priority = priority;
	}
}

/** What follows the Jobs of one function and priority. */
export class Chain {
	first: Slab;
	last: Slab;
	/** Jobs in it, bytes and out ones. */
	length = 1;

	constructor(slab: Slab) {
		this.first = slab;
		this.last = slab;
	}
}

export class Backlog {
	/** Jobs that are bytes here. */
	size = 0;
	readonly #slabs: (Slab | undefined)[] = [undefined];
	readonly #freeIds: number[] = [];
	/** Where runs begin: a fiftieth of the jobs when one function has many, and less to do for each. */
	readonly #runs = new PlaceIndex();
	readonly #byKey = new PlaceIndex();
	/** Out jobs, by place. */
	readonly #out = new Map<number, Job>();
	/** What handles begin with: this server's own, and those of earlier runs. */
	readonly #prefixes: string[] = [];

	/** Puts a queued job at the end of its chain. True: it is bytes now, the Job is to be forgotten. */
	push(job: Job): boolean {
		const { queue, priority, handle, workload, retries } = job;
		const colon = handle.lastIndexOf(":");
		const prefix = this.#prefixOf(handle.slice(0, colon));
		const number = Number(handle.slice(colon + 1));
		const isPlain = job.isBackground && job.attachments.length === 0 && job.reducer === undefined && job.dueMs === 0;
		// A store of somebody's own may give back keys of any length.
		const isSmall = workload.length + job.uniqueKey.length <= MAX_WORKLOAD && retries <= MAX_RETRIES;
		if (isPlain && isSmall && prefix >= 0 && `${this.#prefixes[prefix]}:${number}` === handle) {
			let flags = BYTES | (job.isStored ? IS_STORED : 0) | (retries << 8) | (prefix << 16);
			if (job.unique !== job.uniqueKey) flags |= IS_WORKLOAD_KEY;
			const end = workload.length;
			this.#write(queue, priority, flags, number, job.uniqueKey, workload, 0, end, job.submittedMs, job.since);
			return true;
		}
		const slab = this.#room(queue, priority, RECORD_BYTES);
		slab.words[(slab.used >> 2) + FLAGS] = OUT;
		slab.words[(slab.used >> 2) + LENGTHS] = 0;
		job.place = slab.id * MAX_SLAB + slab.used;
		slab.used += RECORD_BYTES;
		this.#out.set(job.place, job);
		return false;
	}

	/** A new background job, never a Job before its turn; its workload is bytes[start … end). False: it does not fit. */
	add(
		queue: FunctionQueue,
		priority: Priority,
		handlePrefix: string,
		number: number,
		unique: string,
		key: string,
		bytes: Buffer,
		start: number,
		end: number,
		nowMs: number,
	): boolean {
		const prefix = this.#prefixOf(handlePrefix);
		if (prefix < 0 || end - start > MAX_WORKLOAD) return false;
		const flags = BYTES | (unique === key ? 0 : IS_WORKLOAD_KEY) | (prefix << 16);
		this.#write(queue, priority, flags, number, key, bytes, start, end, nowMs, nowMs | 0);
		return true;
	}

	/** The next job of the function and priority, out of its chain; undefined when there is none. */
	take(queue: FunctionQueue, priority: Priority): Job | undefined {
		const chain = queue.chains[priority];
		if (chain === undefined) return undefined;
		for (;;) {
			const slab = chain.first;
			if (slab.taken === slab.used) {
				this.#release(slab);
				if (slab.next === undefined) {
					queue.chains[priority] = undefined;
					return undefined;
				}
				chain.first = slab.next;
				continue;
			}
			const offset = slab.taken;
			slab.taken += sizeOf(slab, offset);
			const state = slab.words[(offset >> 2) + FLAGS] & STATE;
			if (state === GONE) continue;
			chain.length--;
			const place = slab.id * MAX_SLAB + offset;
			if (state === OUT) {
				const job = this.#out.get(place);
				this.#out.delete(place);
				if (job === undefined) throw new Error("a job is out of its chain and nowhere");
				job.place = 0;
				return job;
			}
			this.#forget(slab, offset);
			return this.#read(slab, offset);
		}
	}

	/** The job of that handle, taken out if it is bytes here; it keeps its place. */
	find(handle: string): Job | undefined {
		if (this.size === 0) return undefined;
		const colon = handle.lastIndexOf(":");
		const number = Number(handle.slice(colon + 1));
		const run = runOf(number);
		for (const place of this.#runs.at(hashOfNumber(run))) {
			const slab = this.#slabOf(place);
			for (let offset = place % MAX_SLAB; offset < slab.used; offset += sizeOf(slab, offset)) {
				if (offset < slab.taken || (slab.words[(offset >> 2) + FLAGS] & STATE) !== BYTES) continue;
				const other = slab.doubles[offset >> 3];
				if (other === number && this.#handleOf(slab, offset) === handle) return this.#takeOut(slab, offset);
				if (runOf(other) !== run) break;
			}
		}
		return undefined;
	}

	/** The job of the function that coalesces by that key, taken out if it is bytes here; it keeps its place. */
	findKey(queue: FunctionQueue, key: string): Job | undefined {
		if (this.size === 0) return undefined;
		for (const place of this.#byKey.at(hashOfKey(queue, key))) {
			const slab = this.#slabOf(place);
			const offset = place % MAX_SLAB;
			if (slab.queue === queue && keyOf(slab, offset) === key) return this.#takeOut(slab, offset);
		}
		return undefined;
	}

	/** An out job does not come back. True when it was the last of its chain. */
	remove(job: Job): void {
		const slab = this.#slabOf(job.place);
		slab.words[((job.place % MAX_SLAB) >> 2) + FLAGS] = GONE;
		this.#out.delete(job.place);
		job.place = 0;
		const chain = job.queue.chains[job.priority];
		if (chain !== undefined) chain.length--;
	}

	/** Copies of the jobs that are bytes here, of one function and priority, in order. */
	*jobsOf(queue: FunctionQueue, priority: Priority): Generator<Job> {
		for (let slab = queue.chains[priority]?.first; slab !== undefined; slab = slab.next) {
			for (let offset = slab.taken; offset < slab.used; offset += sizeOf(slab, offset)) {
				if ((slab.words[(offset >> 2) + FLAGS] & STATE) === BYTES) yield this.#read(slab, offset);
			}
		}
	}

	/** As jobsOf, with the out ones, from behind that place on; 0: all. */
	*jobsBehind(queue: FunctionQueue, priority: Priority, behind: number): Generator<Job> {
		const start = behind === 0 ? undefined : this.#slabOf(behind);
		for (let slab = start ?? queue.chains[priority]?.first; slab !== undefined; slab = slab.next) {
			for (let offset = slab.taken; offset < slab.used; offset += sizeOf(slab, offset)) {
				const place = slab.id * MAX_SLAB + offset;
				if (slab === start && place <= behind) continue;
				const state = slab.words[(offset >> 2) + FLAGS] & STATE;
				const job = state === BYTES ? this.#read(slab, offset) : this.#out.get(place);
				if (job !== undefined) yield job;
			}
		}
	}

	/** The workload is bytes[start … end). */
	#write(
		queue: FunctionQueue,
		priority: Priority,
		flags: number,
		number: number,
		key: string,
		bytes: Buffer,
		start: number,
		end: number,
		submittedMs: number,
		since: number,
	): void {
		const size = RECORD_BYTES + roundUp(key.length + end - start);
		const slab = this.#room(queue, priority, size);
		const offset = slab.used;
		const word = offset >> 2;
		const place = slab.id * MAX_SLAB + offset;
		slab.used += size;
		slab.doubles[offset >> 3] = number;
		slab.doubles[(offset >> 3) + 1] = submittedMs;
		slab.words[word + SINCE] = since;
		slab.words[word + FLAGS] = flags;
		slab.words[word + LENGTHS] = (end - start) | (key.length << 16);
		bytes.copy(slab.bytes, offset + RECORD_BYTES + key.length, start, end);
		if (key !== "") {
			const hash = hashOfKey(queue, key);
			slab.words[word + KEY_HASH] = hash;
			slab.bytes.write(key, offset + RECORD_BYTES, "latin1");
			this.#byKey.add(hash, place);
		}
		const run = runOf(number);
		if (run !== slab.run) {
			slab.run = run;
			slab.runs.push(offset);
			this.#runs.add(hashOfNumber(run), place);
		}
		this.size++;
	}

	#read(slab: Slab, offset: number): Job {
		const word = offset >> 2;
		const flags = slab.words[word + FLAGS];
		const uniqueKey = keyOf(slab, offset);
		const start = offset + RECORD_BYTES + uniqueKey.length;
		const job = new Job(this.#handleOf(slab, offset), {
			queue: slab.queue,
			unique: (flags & IS_WORKLOAD_KEY) === 0 ? uniqueKey : "-",
			uniqueKey,
			workload: Buffer.from(slab.bytes.subarray(start, start + (slab.words[word + LENGTHS] & 0xffff))),
			priority: slab.priority,
			isBackground: true,
			dueMs: 0,
			reducer: undefined,
			submittedMs: slab.doubles[(offset >> 3) + 1],
		});
		job.state = JobState.QUEUED;
		job.isStored = (flags & IS_STORED) !== 0;
		job.retries = (flags >> 8) & 0xff;
		job.since = slab.words[word + SINCE];
		return job;
	}

	#takeOut(slab: Slab, offset: number): Job {
		const place = slab.id * MAX_SLAB + offset;
		this.#forget(slab, offset);
		const job = this.#read(slab, offset);
		slab.words[(offset >> 2) + FLAGS] = OUT;
		job.place = place;
		this.#out.set(place, job);
		return job;
	}

	/** It is bytes here no more. */
	#forget(slab: Slab, offset: number): void {
		if (slab.words[(offset >> 2) + LENGTHS] >>> 16 > 0) {
			this.#byKey.delete(slab.words[(offset >> 2) + KEY_HASH] >>> 0, slab.id * MAX_SLAB + offset);
		}
		this.size--;
	}

	#handleOf(slab: Slab, offset: number): string {
		const prefix = this.#prefixes[slab.words[(offset >> 2) + FLAGS] >>> 16];
		return `${prefix}:${slab.doubles[offset >> 3]}`;
	}

	#slabOf(place: number): Slab {
		const slab = this.#slabs[Math.floor(place / MAX_SLAB)];
		if (slab === undefined) throw new Error("a place without its slab");
		return slab;
	}

	/** -1 when there are too many. */
	#prefixOf(text: string): number {
		const known = this.#prefixes.indexOf(text);
		if (known >= 0 || this.#prefixes.length === MAX_PREFIXES) return known;
		return this.#prefixes.push(text) - 1;
	}

	/** The chain's last slab, with room for a record of so many bytes; the chain counts it. */
	#room(queue: FunctionQueue, priority: Priority, size: number): Slab {
		const chain = queue.chains[priority];
		if (chain === undefined) {
			const slab = this.#newSlab(MIN_SLAB, queue, priority);
			queue.chains[priority] = new Chain(slab);
			return slab;
		}
		chain.length++;
		const { last } = chain;
		if (last.used + size <= last.bytes.length) return last;
		const slab = this.#newSlab(Math.min(MAX_SLAB, last.bytes.length * 2), queue, priority);
		last.next = slab;
		chain.last = slab;
		return slab;
	}

	#newSlab(size: number, queue: FunctionQueue, priority: Priority): Slab {
		const id = this.#freeIds.pop() ?? this.#slabs.length;
		const slab = new Slab(id, size, queue, priority);
		this.#slabs[id] = slab;
		return slab;
	}

	#release(slab: Slab): void {
		for (const offset of slab.runs) {
			this.#runs.delete(hashOfNumber(runOf(slab.doubles[offset >> 3])), slab.id * MAX_SLAB + offset);
		}
		this.#slabs[slab.id] = undefined;
		this.#freeIds.push(slab.id);
	}
}

function runOf(number: number): number {
	return Math.floor(number / (1 << RUN_BITS));
}

function roundUp(bytes: number): number {
	return (bytes + 7) & ~7;
}

function sizeOf(slab: Slab, offset: number): number {
	const lengths = slab.words[(offset >> 2) + LENGTHS];
	return RECORD_BYTES + roundUp((lengths & 0xffff) + (lengths >>> 16));
}

function keyOf(slab: Slab, offset: number): string {
	const length = slab.words[(offset >> 2) + LENGTHS] >>> 16;
	return length === 0 ? "" : slab.bytes.toString("latin1", offset + RECORD_BYTES, offset + RECORD_BYTES + length);
}

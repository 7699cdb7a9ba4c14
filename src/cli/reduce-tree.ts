// --reduce-function R: results are reduced by jobs of R, as a tree, until one is left.
//
//   pieces     0 1 2 3   4 5 6 7   8        fan-in 4: job n of a level reduces results 4n … 4n+3 of the level below,
//   level 1       0         1      8        one behind the other; what is alone at the end goes up as it is
//   level 2            0
//
// The tree depends on the number of pieces alone, not on who was quick: the same input gives the same result, for sums of
// floating-point numbers too. Every result passes through R once at least, a single one as well.

import { newUnique } from "../client/client.ts";
import { JobResult } from "./job-result.ts";
import type { Collector, Jobs } from "./jobs.ts";

/** A result in the parts it came in; undefined: there is none. */
type Result = Buffer[] | undefined;

interface Group {
	readonly results: Result[];
	arrived: number;
}

interface Level {
	/** Those whose results have not all arrived. */
	readonly groups: Map<number, Group>;
	/** Results there will be; undefined: nobody knows yet. */
	count: number | undefined;
}

export class ReduceTree implements Collector {
	waitingBytes = 0;
	readonly #jobs: Jobs;
	readonly #functionName: string;
	readonly #size: number;
	readonly #levels: Level[] = [];
	#pieces = 0;
	/** A job of the tree failed: what is left is no result. */
	#isBroken = false;
	#resolve: ((code: number) => void) | undefined;

	constructor(jobs: Jobs, functionName: string, size: number) {
		this.#jobs = jobs;
		this.#functionName = functionName;
		this.#size = size;
	}

	/** A piece's result, in the order of the pieces. */
	take(result: Result): void {
		this.#put(0, this.#pieces++, result);
	}

	finish(gives: boolean): Promise<number> {
		return new Promise((resolve) => {
			this.#resolve = resolve;
			if (!gives) this.#isBroken = true;
			if (!gives || this.#pieces === 0) this.#end(undefined);
			else this.#setCount(0, this.#pieces);
		});
	}

	#put(at: number, index: number, result: Result): void {
		const level = this.#level(at);
		const number = Math.floor(index / this.#size);
		let group = level.groups.get(number);
		if (group === undefined) {
			group = { results: [], arrived: 0 };
			level.groups.set(number, group);
		}
		group.results[index % this.#size] = result;
		group.arrived++;
		this.waitingBytes += bytesOf(result);
		this.#check(at, number);
	}

	#setCount(at: number, count: number): void {
		this.#level(at).count = count;
		const groups = Math.ceil(count / this.#size);
		// One result above the pieces is the last one.
		if (at === 0 || count > 1) this.#setCount(at + 1, groups);
		this.#check(at, groups - 1);
	}

	/** Sends the group on its way if it is complete. */
	#check(at: number, number: number): void {
		const level = this.#level(at);
		const group = level.groups.get(number);
		if (group === undefined) return;
		const size = Math.min(this.#size, (level.count ?? Number.POSITIVE_INFINITY) - number * this.#size);
		if (group.arrived < size) return;
		level.groups.delete(number);
		const { results } = group;
		for (const result of results) this.waitingBytes -= bytesOf(result);
		if (size === 1 && level.count === 1 && at > 0) this.#end(results[0]);
		else if (size === 1 && level.count !== 1) this.#put(at + 1, number, results[0]);
		else this.#reduce(at, number, results);
	}

	#reduce(at: number, number: number, results: readonly Result[]): void {
		const parts = results.flatMap((result) => result ?? []);
		if (results.every((result) => result === undefined)) {
			this.#put(at + 1, number, undefined);
			return;
		}
		const name = { functionName: this.#functionName, unique: newUnique(), seq: 0, offset: 0 };
		const job = new JobResult(this.#jobs, name, Buffer.concat(parts), (result) => {
			if (result === undefined) this.#isBroken = true;
			this.#put(at + 1, number, result);
		});
		this.#jobs.runApart(job);
	}

	#end(result: Result): void {
		if (this.#isBroken) this.#jobs.printer.say("gearman: there is no result, for not all of it was done");
		else for (const part of result ?? []) this.#jobs.printer.print(part);
		this.#resolve?.(0);
	}

	#level(at: number): Level {
		let level = this.#levels[at];
		if (level === undefined) {
			level = { groups: new Map(), count: undefined };
			this.#levels[at] = level;
		}
		return level;
	}
}

function bytesOf(result: Result): number {
	let bytes = 0;
	for (const part of result ?? []) bytes += part.length;
	return bytes;
}

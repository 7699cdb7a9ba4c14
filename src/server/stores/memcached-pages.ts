// The order of the jobs in memcached, which has none: pages of keys, and the state that says which pages count. Used by
// memcached.ts, whose head explains the keys.

import { partsOf } from "./batch.ts";
import type { MemcachedConnection } from "./memcached-connection.ts";

/** Marks our items; gearmand's have 0 to 2. */
export const FLAGS = 0x6765;
const PAGE_BYTES = 64 << 10;

interface Page {
	bytes: number;
	/** Jobs that are not done. */
	left: number;
}

export class MemcachedPages {
	readonly #prefix: string;
	readonly #pages = new Map<number, Page>();
	/** A job's key → its page. */
	readonly #pageOf = new Map<string, number>();
	#firstPage = 1;
	#lastPage = 0;
	/** Handle numbers up to this one may be in use. */
	reserved = 0;

	constructor(prefix: string) {
		this.#prefix = prefix;
	}

	/** `isFirst`: nothing is known yet. Later it is looked whether memcached still has what it had. */
	async readState(connection: MemcachedConnection, isFirst: boolean): Promise<void> {
		const [item] = await connection.get([`${this.#prefix}state`]);
		if (item === undefined) {
			// Nothing is there, or nothing any more.
			this.#pages.clear();
			this.#pageOf.clear();
			this.#firstPage = this.#lastPage + 1;
			await this.#writeState(connection, this.#lastPage, this.reserved);
		} else if (isFirst) {
			const [first = 1, last = 0, reserved = 0] = item.data.toString("latin1").split(" ").map(Number);
			this.#firstPage = first;
			this.#lastPage = last;
			this.reserved = reserved;
		}
	}

	async reserve(connection: MemcachedConnection, number: number): Promise<void> {
		await this.#writeState(connection, this.#lastPage, number);
	}

	async #writeState(connection: MemcachedConnection, lastPage: number, reserved: number): Promise<void> {
		const state = Buffer.from(`${this.#firstPage} ${lastPage} ${reserved}`);
		await connection.store("set", `${this.#prefix}state`, FLAGS, 0, state);
		this.#lastPage = lastPage;
		this.reserved = reserved;
	}

	/** The keys of all jobs that are not done, and of some that are, in order. */
	async read(connection: MemcachedConnection): Promise<string[][]> {
		const left: string[][] = [];
		for (let number = this.#firstPage; number <= this.#lastPage; number++) {
			const [item] = await connection.get([this.#pageKey(number)]);
			if (item === undefined) continue;
			const keys = item.data.toString("latin1").split("\n").slice(0, -1);
			this.#pages.set(number, { bytes: item.data.length, left: keys.length });
			for (const key of keys) this.#pageOf.set(key, number);
			left.push(keys);
		}
		return left;
	}

	/** The moment from which the batch counts is that of the last request. */
	async add(connection: MemcachedConnection, keys: readonly string[]): Promise<void> {
		const [first = [], ...others] = [...partsOf(keys, (key) => key.length + 1, PAGE_BYTES, PAGE_BYTES)];
		const lines = Buffer.from(linesOf(first), "latin1");
		const page = this.#pages.get(this.#lastPage);
		if (page !== undefined && others.length === 0 && page.bytes + lines.length <= PAGE_BYTES) {
			if (await connection.store("append", this.#pageKey(this.#lastPage), FLAGS, 0, lines)) {
				page.bytes += lines.length;
				page.left += keys.length;
				for (const key of keys) this.#pageOf.set(key, this.#lastPage);
				return;
			}
		}
		const full = this.#lastPage;
		let last = full;
		for (const part of [first, ...others]) {
			const text = Buffer.from(linesOf(part), "latin1");
			await connection.store("set", this.#pageKey(++last), FLAGS, 0, text);
			this.#pages.set(last, { bytes: text.length, left: part.length });
			for (const key of part) this.#pageOf.set(key, last);
		}
		await this.#writeState(connection, last, this.reserved);
		await allOf(this.#dropIfDone(connection, full));
	}

	/** The job is deleted; so is its page when it was the last one there. */
	done(connection: MemcachedConnection, key: string): Promise<unknown>[] {
		const number = this.#pageOf.get(key);
		const page = number === undefined ? undefined : this.#pages.get(number);
		this.#pageOf.delete(key);
		if (number === undefined || page === undefined) return [];
		page.left--;
		return this.#dropIfDone(connection, number);
	}

	#dropIfDone(connection: MemcachedConnection, number: number): Promise<unknown>[] {
		if (this.#pages.get(number)?.left !== 0 || number >= this.#lastPage) return [];
		this.#pages.delete(number);
		while (this.#firstPage < this.#lastPage && !this.#pages.has(this.#firstPage)) this.#firstPage++;
		return [connection.delete(this.#pageKey(number))];
	}

	#pageKey(number: number): string {
		return `${this.#prefix}page:${number}`;
	}
}

function linesOf(keys: readonly string[]): string {
	return `${keys.join("\n")}\n`;
}

/** Waits for all of them, also when one fails: its error. */
export async function allOf(requests: readonly Promise<unknown>[]): Promise<void> {
	for (const result of await Promise.allSettled(requests)) if (result.status === "rejected") throw result.reason;
}

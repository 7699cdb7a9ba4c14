// What the Redis store says to Redis. Used by redis.ts, which owns the connection and explains the keys.

import type { Redis } from "ioredis";
import { type Batch, bytesOf, partsOf, textOf } from "./batch.ts";
import type { StoredJob } from "./index.ts";
import { splitOldName } from "./remote.ts";

const PAGE_JOBS = 1000;
/** Jobs in one script: a command may have a million arguments. */
const SCRIPT_JOBS = 50_000;

/** KEYS lock; ARGV token, earlier token, ms. The lock is ours now: 1 or 0. */
const LOCK = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] and owner ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1`;

const UNLOCK = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

/**
 * KEYS lock, jobs, reserved; ARGV token, ms, prefix of jobs' keys, number reserved, how many removed, how many retried,
 * then handles removed, handle and count of each retried, and ten of each added. Done, or not at all: 1 or 0. The lock is
 * set first: where memory is short, that is refused before anything has changed.
 */
const CHANGE = `
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local at = 7
for _ = 1, tonumber(ARGV[5]) do
	redis.call('DEL', ARGV[3] .. ARGV[at])
	redis.call('ZREM', KEYS[2], ARGV[at])
	at = at + 1
end
for _ = 1, tonumber(ARGV[6]) do
	local key = ARGV[3] .. ARGV[at]
	if redis.call('EXISTS', key) == 1 then redis.call('HSET', key, 'retries', ARGV[at + 1]) end
	at = at + 2
end
if tonumber(ARGV[4]) > tonumber(redis.call('GET', KEYS[3]) or 0) then redis.call('SET', KEYS[3], ARGV[4]) end
while at <= #ARGV do
	local key = ARGV[3] .. ARGV[at + 1]
	redis.call('ZADD', KEYS[2], ARGV[at], ARGV[at + 1])
	redis.call('HMSET', key, 'function', ARGV[at + 2], 'unique', ARGV[at + 3], 'workload', ARGV[at + 4],
		'priority', ARGV[at + 5], 'due', ARGV[at + 6], 'retries', ARGV[at + 7], 'submitted', ARGV[at + 8])
	if ARGV[at + 9] ~= '-' then redis.call('HSET', key, 'reducer', string.sub(ARGV[at + 9], 2)) end
	at = at + 10
end
return 1`;

/** A job of a page: what it would cost to read. */
interface PageEntry {
	readonly handle: Buffer;
	readonly id: number;
	readonly bytes: number;
}

type Argument = string | number | Buffer;

export class RedisKeys {
	readonly prefix: string;
	readonly #lockMs: number;
	/** The newest job's place in the order. */
	last = 0;

	constructor(prefix: string, lockMs: number) {
		this.prefix = prefix;
		this.#lockMs = lockMs;
	}

	/** Takes or renews the lock. False: another has it. */
	async lock(redis: Redis, token: string, earlierToken: string): Promise<boolean> {
		return (await redis.call("EVAL", [LOCK, 1, this.#key("lock"), token, earlierToken, this.#lockMs])) === 1;
	}

	async unlock(redis: Redis, token: string): Promise<void> {
		await redis.call("EVAL", [UNLOCK, 1, this.#key("lock"), token]);
	}

	lockLeftMs(redis: Redis): Promise<number> {
		return redis.pttl(this.#key("lock"));
	}

	/** Finds the newest job; resolves to the last number reserved. */
	async readNumbers(redis: Redis): Promise<number> {
		const [, last] = await redis.zrevrange(this.#key("jobs"), 0, 0, "WITHSCORES");
		this.last = Number(last ?? 0);
		return Number((await redis.get(this.#key("reserved"))) ?? 0);
	}

	/** The jobs after that place up to the other, as many as a page has. */
	async page(redis: Redis, after: number, last: number): Promise<PageEntry[]> {
		const range = [this.#key("jobs"), `(${after}`, last] as const;
		const found = await redis.zrangebyscoreBuffer(...range, "WITHSCORES", "LIMIT", 0, PAGE_JOBS);
		const pipeline = redis.pipeline();
		for (let i = 0; i < found.length; i += 2) pipeline.hstrlen(this.#jobKey(found[i] ?? ""), "workload");
		const lengths = await resultsOf(pipeline.exec());
		return lengths.map((bytes, i) => ({
			handle: found[2 * i] ?? Buffer.alloc(0),
			id: Number(found[2 * i + 1]),
			bytes: Number(bytes),
		}));
	}

	async read(redis: Redis, part: readonly PageEntry[]): Promise<StoredJob[]> {
		const pipeline = redis.pipeline();
		for (const { handle } of part) pipeline.hgetallBuffer(this.#jobKey(handle));
		const hashes = (await resultsOf(pipeline.exec())) as Hash[];
		const jobs: StoredJob[] = [];
		for (const [i, hash] of hashes.entries()) {
			const { handle } = part[i] ?? {};
			const { workload, reducer } = hash;
			if (handle === undefined || workload === undefined) continue; // evicted, or deleted by others
			jobs.push({
				handle: textOf(handle),
				functionName: textOf(hash.function),
				unique: textOf(hash.unique),
				workload,
				priority: Number(textOf(hash.priority)),
				dueMs: Number(textOf(hash.due)),
				reducer: reducer && textOf(reducer),
				retries: Number(textOf(hash.retries)),
				submittedMs: Number(textOf(hash.submitted)),
			});
		}
		return jobs;
	}

	/** One transaction; `obsolete` keys are deleted with it. False: the lock is another's, nothing was changed. */
	async change(redis: Redis, token: string, batch: Batch, obsolete: readonly Buffer[] = []): Promise<boolean> {
		const [first = [], ...others] = partsOf(batch.adds, () => 0, 0, SCRIPT_JOBS);
		const scripts = [this.#script(token, batch, first)];
		for (const part of others) scripts.push(this.#script(token, { removes: [], retries: [], reserved: 0 }, part));
		const [only] = scripts;
		if (only !== undefined && scripts.length === 1 && obsolete.length === 0)
			return (await redis.call("EVAL", only)) === 1;
		const transaction = redis.multi();
		for (const script of scripts) transaction.call("EVAL", script);
		for (const key of obsolete) transaction.del(key);
		return (await resultsOf(transaction.exec()))[0] === 1;
	}

	/** Makes the jobs gearmand left ours. They have no order. */
	async takeOver(redis: Redis, token: string): Promise<void> {
		const keys = new Map<string, Buffer>();
		const pattern = `${this.prefix.replace(/[\\*?[\]]/g, "\\$&")}-*`;
		let cursor = "0";
		do {
			const scan: [Buffer, Buffer[]] = await redis.scanBuffer(cursor, "MATCH", pattern, "COUNT", PAGE_JOBS);
			for (const key of scan[1]) keys.set(key.toString("latin1"), key);
			cursor = scan[0].toString();
		} while (cursor !== "0");
		const reserved = await this.readNumbers(redis);
		const adds: StoredJob[] = [];
		const obsolete: Buffer[] = [];
		for (const part of partsOf([...keys], () => 0, 0, PAGE_JOBS)) {
			const hashes = await readAny(
				redis,
				part.map(([, key]) => key),
			);
			for (const [i, [name, key]] of part.entries()) {
				const hash = hashes[i];
				if (hash?.data === undefined) continue; // not gearmand's
				const [functionName, unique] = splitOldName(name.slice(Buffer.byteLength(this.prefix) + 1));
				obsolete.push(key);
				adds.push({
					handle: `H:migrated:${reserved + adds.length + 1}`,
					functionName,
					unique,
					workload: hash.data,
					priority: hash.priority === undefined ? 1 : Number(textOf(hash.priority)),
					dueMs: 0,
					reducer: undefined,
					retries: 0,
					submittedMs: Date.now(),
				});
			}
		}
		if (adds.length === 0) return;
		await this.change(redis, token, { adds, retries: [], removes: [], reserved: reserved + adds.length }, obsolete);
	}

	#script(token: string, rest: Omit<Batch, "adds">, adds: readonly StoredJob[]): Argument[] {
		const { removes, retries, reserved } = rest;
		const list: Argument[] = [CHANGE, 3, this.#key("lock"), this.#key("jobs"), this.#key("reserved")];
		list.push(token, this.#lockMs, this.#key("job:"), reserved, removes.length, retries.length);
		for (const handle of removes) list.push(bytesOf(handle));
		for (const { handle, retries: count } of retries) list.push(bytesOf(handle), count);
		for (const job of adds) {
			list.push(++this.last, bytesOf(job.handle), bytesOf(job.functionName), bytesOf(job.unique), job.workload);
			list.push(job.priority, job.dueMs, job.retries, job.submittedMs);
			list.push(job.reducer === undefined ? "-" : bytesOf(`=${job.reducer}`));
		}
		return list;
	}

	#key(name: string): string {
		return `${this.prefix}${name}`;
	}

	#jobKey(handle: Buffer | string): Buffer {
		return Buffer.concat([Buffer.from(this.#key("job:")), Buffer.from(handle)]);
	}
}

type Hash = Partial<Record<string, Buffer>>;

/** Hashes; and strings, as gearmand wrote them up to 1.1.15, as { data }. */
async function readAny(redis: Redis, keys: readonly Buffer[]): Promise<Hash[]> {
	const asking = redis.pipeline();
	for (const key of keys) asking.type(key);
	const types = await resultsOf(asking.exec());
	const reading = redis.pipeline();
	for (const [i, key] of keys.entries()) {
		if (types[i] === "hash") reading.hgetallBuffer(key);
		else if (types[i] === "string") reading.getBuffer(key);
		else reading.type(key);
	}
	const values = await resultsOf(reading.exec());
	return values.map((value, i) => {
		if (types[i] === "hash") return value as Hash;
		return types[i] === "string" ? { data: value as Buffer } : {};
	});
}

async function resultsOf(replies: Promise<[error: Error | null, result: unknown][] | null>): Promise<unknown[]> {
	const results: unknown[] = [];
	for (const [error, result] of (await replies) ?? []) {
		if (error !== null) throw error;
		results.push(result);
	}
	return results;
}

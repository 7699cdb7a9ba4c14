// A worker: functions offered to one or more job servers, all served at the same time under one limit of jobs at once.
// Owns the links (one a server, link.ts) and the turns between them; reconnecting is the links' affair. Ends in one of
// three ways: stop() lets running jobs finish, kill() gives them back, maxJobs stops by itself.

import { GearmanError } from "../errors.ts";
import { parseServers, type ServerAddress } from "../net/connection.ts";
import { toName } from "../protocol/packet.ts";
import type { Job } from "./job.ts";
import { type Ability, type Crew, Link, type WorkFunction } from "./link.ts";
import { Turns } from "./turns.ts";

export type { WorkFunction, WorkResult } from "./link.ts";

export interface WorkerOptions {
	/** Name shown by `gearadmin --workers`; no spaces, or that list becomes unreadable. */
	readonly id?: string;
	/** Jobs done at once over all servers; default 1. */
	readonly concurrency?: number;
	/** Stops by itself after this many jobs; default: never. */
	readonly maxJobs?: number;
	/** Kills the worker, see kill(). */
	readonly signal?: AbortSignal;
	/** A server answered for the first time, or again. */
	readonly onConnect?: (server: ServerAddress) => void;
	/** A server could not be reached or was lost. Called once; it is tried again until it answers. */
	readonly onDisconnect?: (server: ServerAddress, error: GearmanError) => void;
	/** An ERROR packet, e.g. JOB_NOT_FOUND for the result of a job the server had taken back. */
	readonly onServerError?: (server: ServerAddress, error: GearmanError) => void;
	readonly onJobStart?: (job: Job) => void;
	/** `error` is undefined, or what the function threw, or why the job was given back. */
	readonly onJobEnd?: (job: Job, error: unknown) => void;
}

export interface AbilityOptions {
	/** The server takes a job back after this long and gives it to another worker (CAN_DO_TIMEOUT); C rounds up to 1 s. */
	readonly timeoutMs?: number;
}

/** Does jobs for job servers. */
export class Worker {
	readonly #servers: readonly ServerAddress[];
	readonly #signal: AbortSignal | undefined;
	readonly #abilities = new Map<string, Ability>();
	readonly #turns: Turns;
	readonly #crew: Crew;
	#state: "new" | "running" | "draining" | "ended" = "new";
	#links: Link[] = [];
	#openLinks = 0;
	#runningJobs = 0;
	#fatal: GearmanError | undefined;
	#resolveEnd: () => void = () => undefined;
	readonly #end = new Promise<void>((resolve) => {
		this.#resolveEnd = resolve;
	});

	/** `servers`: "host", "host:port", several by comma or as a list. Throws BAD_ARGUMENT. */
	constructor(
		servers: string | readonly string[] | readonly ServerAddress[] = "localhost",
		options: WorkerOptions = {},
	) {
		this.#servers = addressesOf(servers);
		this.#signal = options.signal;
		this.#turns = new Turns(
			limitOf("concurrency", options.concurrency ?? 1),
			options.maxJobs === undefined ? Number.POSITIVE_INFINITY : limitOf("maxJobs", options.maxJobs),
		);
		this.#crew = {
			clientId: toName(options.id ?? ""),
			abilities: this.#abilities,
			turns: this.#turns,
			onConnect: (server) => options.onConnect?.(server),
			onDisconnect: (server, error) => options.onDisconnect?.(server, error),
			onServerError: (server, error) => options.onServerError?.(server, error),
			onJobStart: (job) => {
				this.#runningJobs++;
				options.onJobStart?.(job);
				if (this.#turns.isSpent) void this.stop();
			},
			onJobEnd: (job, error) => {
				this.#runningJobs--;
				options.onJobEnd?.(job, error);
				this.#settle();
			},
			onFatal: (error) => {
				this.#fatal ??= error;
				this.kill();
			},
			onClosed: () => {
				this.#openLinks--;
				this.#settle();
			},
		};
	}

	/**
	 * Offers a function. Where several have jobs waiting, the one added first has the first turn.
	 * What `run` returns is the job's result; it may also send parts of it. Throwing a GearmanError JOB_FAILED fails the
	 * job (WORK_FAIL); throwing anything else is WORK_EXCEPTION with the error's message as data.
	 */
	add(functionName: string, run: WorkFunction, options: AbilityOptions = {}): this {
		const name = toName(functionName);
		if (name === "") throw new GearmanError("BAD_ARGUMENT", "a function needs a name");
		if (name.includes("\0")) throw new GearmanError("BAD_ARGUMENT", "a function name cannot contain NUL");
		if (this.#abilities.has(name))
			throw new GearmanError("BAD_ARGUMENT", `function "${functionName}" was added before`);
		this.#abilities.set(name, { run, timeoutMs: Math.max(0, Math.round(options.timeoutMs ?? 0)) });
		for (const link of this.#links) link.add(name);
		return this;
	}

	/** Takes no more jobs of a function; those that run finish first. */
	remove(functionName: string): this {
		const name = toName(functionName);
		const ability = this.#abilities.get(name);
		if (ability !== undefined) {
			this.#abilities.delete(name);
			for (const link of this.#links) link.remove(name, ability);
		}
		return this;
	}

	/**
	 * Connects and works; resolves when the worker was stopped or killed. Servers that are away are waited for, for ever.
	 * Rejects only with BAD_ARGUMENT: called twice, or a certificate file that cannot be read. Aborting `signal` kills.
	 */
	async run({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
		if (this.#state !== "new") throw new GearmanError("BAD_ARGUMENT", "a worker runs once");
		this.#state = "running";
		const signals = [this.#signal, signal].filter((one) => one !== undefined);
		const kill = () => this.kill();
		for (const one of signals) one.addEventListener("abort", kill, { once: true });
		this.#links = this.#servers.map((server) => new Link(server, this.#crew));
		this.#openLinks = this.#links.length;
		for (const link of this.#links) void link.open();
		if (signals.some((one) => one.aborted)) this.kill();
		await this.#end;
		for (const one of signals) one.removeEventListener("abort", kill);
		if (this.#fatal !== undefined) throw this.#fatal;
	}

	/** Takes nothing new, lets the running jobs finish, then closes the connections. Resolves when all that is done. */
	async stop(): Promise<void> {
		if (this.#state === "new") this.#finish();
		if (this.#state === "running") {
			this.#state = "draining";
			this.#turns.stop();
			for (const link of this.#links) link.drain();
		}
		await this.#end;
	}

	/**
	 * Ends at once: the running jobs' signals abort, then closing the connections gives the jobs back to the servers.
	 * Does not wait for functions that go on all the same.
	 */
	kill(): void {
		this.#turns.stop();
		for (const link of this.#links) link.kill();
		this.#finish();
	}

	/** Same as stop(). */
	[Symbol.asyncDispose](): Promise<void> {
		return this.stop();
	}

	#settle(): void {
		if (this.#state === "draining" && this.#openLinks === 0 && this.#runningJobs === 0) this.#finish();
	}

	#finish(): void {
		this.#state = "ended";
		this.#resolveEnd();
	}
}

function addressesOf(servers: string | readonly string[] | readonly ServerAddress[]): readonly ServerAddress[] {
	if (typeof servers === "string") return parseServers(servers);
	const addresses = servers.flatMap((server) => (typeof server === "string" ? parseServers(server) : [server]));
	if (addresses.length === 0) throw new GearmanError("BAD_ARGUMENT", "no server was named");
	return addresses;
}

function limitOf(name: string, value: number): number {
	if (Number.isInteger(value) && value > 0) return value;
	throw new GearmanError("BAD_ARGUMENT", `${name} has to be a positive integer, not ${value}`);
}

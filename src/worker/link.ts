// A worker's connection to one of its servers, and the jobs it got there. Made by Worker, one a server; reconnects until
// it is drained or killed. What must stay true: one GRAB_JOB_ALL at a time, and only on a turn (turns.ts); PRE_SLEEP only
// behind a NO_JOB, so only with room for a job; what belongs to a lost connection is never sent on the next one.
//
//   connecting ──> ready ──turn: GRAB_JOB_ALL──> asking ──NO_JOB: PRE_SLEEP──> asleep
//        ^           ^ ^                           │                             │
//       lost         │ └──────JOB_ASSIGN_*─────────┘                             │
//                    └──────────────────────────NOOP─────────────────────────────┘
//   drain: no more turns, the jobs end, ECHO_REQ ──> leaving ──ECHO_RES──> closed

import { setTimeout as sleep } from "node:timers/promises";
import { GearmanError } from "../errors.ts";
import { backoff, Connection, nameOf, type ServerAddress } from "../net/connection.ts";
import { Type } from "../protocol/commands.ts";
import { encodeRequest, fromName, HEADER_BYTES, MAGIC_REQUEST, writeHeader } from "../protocol/packet.ts";
import type { Packet } from "../protocol/parser.ts";
import { type Assignment, type Channel, Job, toBytes } from "./job.ts";
import type { Asker, Turns } from "./turns.ts";

/** What a worker function may give back: the job's result. The bytes are the worker's from then on. */
export type WorkResult = Uint8Array | string | undefined;
export type WorkFunction = (job: Job) => WorkResult | Promise<WorkResult> | Promise<void>;

/** A worker's claim to a function. */
export interface Ability {
	readonly run: WorkFunction;
	/** The server takes the job back after this long; 0: never. */
	readonly timeoutMs: number;
}

/** What a link needs of its worker. */
export interface Crew {
	readonly clientId: string;
	/** By name as latin1, in the order added. */
	readonly abilities: ReadonlyMap<string, Ability>;
	readonly turns: Turns;
	onConnect(server: ServerAddress): void;
	onDisconnect(server: ServerAddress, error: GearmanError): void;
	onServerError(server: ServerAddress, error: GearmanError): void;
	onJobStart(job: Job): void;
	/** `error` is what the function threw, or why the job was given back. */
	onJobEnd(job: Job, error: unknown): void;
	/** Something that trying again cannot mend. */
	onFatal(error: GearmanError): void;
	/** The link is closed for good. */
	onClosed(): void;
}

/** An ERROR while asking: of something sent before, or the answer to the GRAB_JOB_* itself. */
interface Doubt {
	readonly error: GearmanError;
	/** Which ask it came into. */
	readonly ask: number;
}

interface Running {
	readonly functionName: string;
	readonly abort: AbortController;
}

type State = "connecting" | "ready" | "asking" | "asleep" | "leaving" | "closed";

/** What asks for a job, best first. GRAB_JOB is all that some servers know: Perl's Gearman::Server is one. */
const GRABS = [encodeRequest("GRAB_JOB_ALL"), encodeRequest("GRAB_JOB_UNIQ"), encodeRequest("GRAB_JOB")];
const GRAB_JOB = GRABS.length - 1;
const PRE_SLEEP = encodeRequest("PRE_SLEEP");
const ECHO_REQ = encodeRequest("ECHO_REQ");
const VERSION = Buffer.from("version\n");
/** From here on a result is written behind its header as it is, not copied into one packet with it. */
const COPY_BYTES = 16 * 1024;
/** How long a server may take to say its version. */
const VERSION_MS = 1000;
/** How long a drained link without jobs waits for an answer: to its GRAB_JOB_ALL, or that its last result was read. */
const LEAVE_MS = 30_000;

export class Link implements Asker, Channel {
	readonly address: ServerAddress;
	readonly #crew: Crew;
	#state: State = "connecting";
	#connection: Connection | undefined;
	/** Reconnects since the server last sent anything. */
	#attempt = 0;
	/** What the crew was told last; undefined: nothing yet. */
	#wasConnected: boolean | undefined;
	/** Whether this connection's server is C's gearmand 1.x: asked when it first matters, see #sendFailure. */
	#isGearmand1: Promise<boolean> | undefined;
	/** The place in GRABS of what this connection's server knows. */
	#grab = 0;
	#asks = 0;
	/** Each waits for the ECHO_RES of an ECHO_REQ of its own. */
	#doubts: Doubt[] = [];
	#onLine: (line: string) => void = () => this.#distrust();
	#isDraining = false;
	#hasSentResults = false;
	#leaveTimer: NodeJS.Timeout | undefined;
	readonly #end = new AbortController();
	/** By handle, only those of this connection. */
	readonly #running = new Map<string, Running>();
	/** Functions removed while one of their jobs ran, or may have been granted. */
	readonly #leaving = new Map<string, Ability>();

	constructor(address: ServerAddress, crew: Crew) {
		this.address = address;
		this.#crew = crew;
	}

	/** Connects, again and again until it succeeds. Called once, and by the link itself when the connection is lost. */
	async open(): Promise<void> {
		while (this.#state === "connecting") {
			const connection = new Connection(this.address, {
				onPacket: (packet) => this.#receive(packet),
				onLine: (line) => this.#onLine(line),
				onClose: (error) => this.#lose(error),
			});
			try {
				await connection.connect(this.#end.signal);
				if (this.#state !== "connecting") return connection.close();
				this.#connection = connection;
				return this.#greet();
			} catch (error) {
				if (this.#state !== "connecting") return;
				if (!(error instanceof GearmanError)) throw error;
				if (error.code === "BAD_ARGUMENT") return this.#crew.onFatal(error);
				this.#report(false, error);
			}
			await this.#pause();
		}
	}

	/** A function was added: claims it on the server. */
	add(name: string): void {
		// Still claimed: the CANT_DO of an earlier remove() is not sent yet.
		if (this.#leaving.delete(name) || this.#connection === undefined || this.#isDraining) return;
		this.#claim(name);
		// CAN_DO wakes nobody: jobs may be waiting already.
		if (this.#state === "asleep") this.#goOn();
	}

	/** A function was removed. CANT_DO gives its running jobs back, so it waits for them. */
	remove(name: string, ability: Ability): void {
		if (this.#connection === undefined) return;
		this.#leaving.set(name, ability);
		if (this.#state === "asking") return;
		this.#crew.turns.forget(this);
		if (this.#state === "asleep") this.#leaveFunctions();
		else this.#goOn();
	}

	/** Takes nothing new and closes when its jobs have ended. */
	drain(): void {
		this.#isDraining = true;
		if (this.#state === "connecting") this.#close();
		else if (this.#state !== "asking") this.#goOn();
		else if (this.#running.size === 0) this.#closeLater();
	}

	/** Gives the jobs back: closing the connection makes the server queue them again. */
	kill(): void {
		this.#abandon(new GearmanError("ABORTED", "The worker was killed"));
		this.#close();
	}

	/** Turns calls it: time to ask. */
	ask(): void {
		this.#state = "asking";
		this.#asks++;
		this.send(GRABS[this.#grab]);
	}

	send(bytes: Buffer): boolean {
		return this.#connection?.send(bytes) ?? true;
	}

	drained(): Promise<void> {
		return this.#connection?.drained() ?? Promise.resolve();
	}

	#greet(): void {
		this.#isGearmand1 = undefined;
		this.#grab = 0;
		if (this.#crew.clientId !== "") this.send(encodeRequest("SET_CLIENT_ID", [this.#crew.clientId]));
		// The server looks first at the function claimed last.
		for (const name of [...this.#crew.abilities.keys()].reverse()) this.#claim(name);
		this.#state = "ready";
		this.#goOn();
	}

	#claim(name: string): void {
		const timeoutMs = this.#crew.abilities.get(name)?.timeoutMs ?? 0;
		if (timeoutMs > 0) this.send(encodeRequest("CAN_DO_TIMEOUT", [name, String(timeoutMs)]));
		else this.send(encodeRequest("CAN_DO", [name]));
	}

	#receive(packet: Packet): void {
		if (!packet.isComplete) return this.#distrust();
		// Only now: something that accepts connections and says nothing (a proxy without its server) is not connected.
		this.#attempt = 0;
		this.#report(true);
		switch (packet.type) {
			case Type.NOOP:
				// In another state it crossed the GRAB_JOB_ALL it asks for.
				if (this.#state === "asleep") this.#goOn();
				return;
			case Type.NO_JOB:
				if (this.#state !== "asking") return;
				this.#sleep();
				this.#crew.turns.unused();
				return;
			case Type.JOB_ASSIGN:
			case Type.JOB_ASSIGN_UNIQ:
			case Type.JOB_ASSIGN_ALL:
				if (this.#state !== "asking") return this.#distrust();
				this.#state = "ready";
				this.#crew.turns.used();
				void this.#work(assignmentOf(packet));
				// A function that throws at once has ended its job already, and this link may be asking again.
				if (this.#state === "ready") this.#goOn();
				return;
			case Type.ECHO_RES: {
				const doubt = this.#doubts.shift();
				if (doubt !== undefined) this.#settle(doubt);
				else if (this.#state === "leaving") this.#close();
				return;
			}
			case Type.ERROR: {
				const serverCode = packet.text(0);
				const message = `${nameOf(this.address)} answered ${serverCode}: ${fromName(packet.text(1))}`;
				const error = new GearmanError("SERVER_ERROR", message, { serverCode });
				if (this.#state !== "asking") return this.#crew.onServerError(this.address, error);
				this.#doubts.push({ error, ask: this.#asks });
				this.send(ECHO_REQ);
				return;
			}
		}
	}

	/** Answers come in order: when the ask is still open behind its ECHO_RES, the ERROR was all the answer it gets. */
	#settle({ error, ask }: Doubt): void {
		const wasRefused = this.#state === "asking" && ask === this.#asks;
		if (!wasRefused || this.#grab === GRAB_JOB) this.#crew.onServerError(this.address, error);
		if (!wasRefused) return;
		if (this.#grab === GRAB_JOB) return this.#distrust();
		this.#grab++;
		this.#goOn();
		this.#crew.turns.unused();
	}

	/** After a NO_JOB. */
	#sleep(): void {
		if (this.#isDraining) return this.#goOn();
		// Before PRE_SLEEP, so that nothing wakes us for a function that is not ours any more.
		this.#leaveFunctions();
		if (this.#leaving.size > 0) {
			this.#state = "ready";
			return;
		}
		this.#state = "asleep";
		this.send(PRE_SLEEP);
	}

	/** Connected, no answer under way: does what is due. */
	#goOn(): void {
		if (this.#state === "leaving" || this.#state === "closed") return;
		clearTimeout(this.#leaveTimer);
		this.#state = "ready";
		this.#leaveFunctions();
		if (!this.#isDraining) {
			if (this.#leaving.size === 0) this.#crew.turns.want(this);
		} else if (this.#running.size === 0) this.#leave();
	}

	#leaveFunctions(): void {
		for (const name of this.#leaving.keys()) {
			if ([...this.#running.values()].some((running) => running.functionName === name)) continue;
			this.#leaving.delete(name);
			this.send(encodeRequest("CANT_DO", [name]));
		}
	}

	/** Closing with a NOOP unread would reset the connection, and what the server has not read yet with it: so ask first. */
	#leave(): void {
		if (!this.#hasSentResults) return this.#close();
		this.#state = "leaving";
		this.send(ECHO_REQ);
		// A large result on a slow line takes the time it takes.
		void this.drained().then(() => this.#closeLater());
	}

	#closeLater(): void {
		clearTimeout(this.#leaveTimer);
		if (this.#state !== "closed") this.#leaveTimer = setTimeout(() => this.#close(), LEAVE_MS);
	}

	async #work(assignment: Assignment): Promise<void> {
		const { handle, functionName } = assignment;
		const abort = new AbortController();
		const running: Running = { functionName, abort };
		this.#running.set(handle, running);
		const job = new Job(assignment, this, abort.signal);
		this.#crew.onJobStart(job);
		let failure: unknown;
		let result: WorkResult;
		try {
			const ability = this.#crew.abilities.get(functionName) ?? this.#leaving.get(functionName);
			if (ability === undefined) throw new GearmanError("JOB_FAILED", `no function "${job.functionName}" here`);
			result = (await ability.run(job)) ?? undefined;
		} catch (error) {
			failure = error;
		}
		const isFailedCommand = failure instanceof GearmanError && failure.code === "COMMAND_FAILED";
		const hidesException = isFailedCommand && !abort.signal.aborted && (await this.#askIsGearmand1());
		if (abort.signal.aborted) {
			failure = abort.signal.reason;
		} else {
			this.#running.delete(handle);
			this.#hasSentResults = true;
			if (failure === undefined) this.#sendWith("WORK_COMPLETE", handle, toBytes(result));
			else this.#sendFailure(handle, failure, hidesException);
		}
		if (!abort.signal.aborted) {
			if (this.#state === "ready") this.#goOn();
			else if (this.#state === "asleep") this.#leaveFunctions();
		}
		// May ask at once, so that the result and the next GRAB_JOB_ALL leave in one write.
		this.#crew.turns.done();
		this.#crew.onJobEnd(job, failure);
	}

	#sendFailure(handle: string, failure: unknown, hidesException: boolean): void {
		const reason = exceptionOf(failure);
		if (failure instanceof GearmanError && failure.code === "JOB_FAILED")
			this.send(encodeRequest("WORK_FAIL", [handle]));
		else if (hidesException) {
			this.send(encodeRequest("WORK_WARNING", [handle, Buffer.concat([reason, Buffer.from("\n")])]));
			this.send(encodeRequest("WORK_FAIL", [handle]));
		} else {
			this.#sendWith("WORK_EXCEPTION", handle, reason);
			// It ends the job, and the C server answers a WORK_FAIL behind it with ERROR; to Perl's it is news of a job that goes on.
			if (this.#grab === GRAB_JOB) this.send(encodeRequest("WORK_FAIL", [handle]));
		}
	}

	/**
	 * gearmand 1.x gives clients that did not ask for exceptions a WORK_FAIL with a NUL behind the handle instead, on which
	 * C's own client, which never asks, waits for ever. A server that does not say what it is, is not that one.
	 */
	#askIsGearmand1(): Promise<boolean> {
		this.#isGearmand1 ??= new Promise((resolve) => {
			const timer = setTimeout(resolve, VERSION_MS, false);
			this.#onLine = (line) => {
				clearTimeout(timer);
				resolve(/^OK 1\./.test(line));
			};
			this.send(VERSION);
		});
		return this.#isGearmand1;
	}

	#sendWith(name: "WORK_COMPLETE" | "WORK_EXCEPTION", handle: string, data: Uint8Array): void {
		if (data.length < COPY_BYTES) {
			this.send(encodeRequest(name, [handle, data]));
			return;
		}
		const head = Buffer.alloc(HEADER_BYTES + handle.length + 1);
		writeHeader(head, 0, MAGIC_REQUEST, Type[name], handle.length + 1 + data.length);
		head.write(handle, HEADER_BYTES, "latin1");
		this.send(head);
		this.send(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
	}

	#distrust(): void {
		this.#connection?.close();
		this.#lose(new GearmanError("INVALID_RESPONSE", `${nameOf(this.address)} sent something a worker cannot follow`));
	}

	#lose(error: GearmanError): void {
		if (this.#state === "closed") return;
		this.#connection = undefined;
		this.#abandon(error);
		if (this.#isDraining) return this.#close();
		this.#state = "connecting";
		this.#report(false, error);
		void this.#pause().then(() => this.open());
	}

	/** The connection's jobs and turn are gone. */
	#abandon(error: GearmanError): void {
		this.#crew.turns.forget(this);
		if (this.#state === "asking") {
			this.#state = "connecting";
			this.#crew.turns.unused();
		}
		const running = [...this.#running.values()];
		this.#running.clear();
		this.#leaving.clear();
		this.#doubts = [];
		for (const { abort } of running) abort.abort(error);
	}

	#close(): void {
		if (this.#state === "closed") return;
		this.#state = "closed";
		clearTimeout(this.#leaveTimer);
		this.#end.abort();
		this.#connection?.close();
		this.#connection = undefined;
		this.#crew.onClosed();
	}

	/** Waits before the next connect; ends early, and quietly, when the link closes. */
	async #pause(): Promise<void> {
		await sleep(backoff(this.#attempt++), undefined, { signal: this.#end.signal }).catch(() => undefined);
	}

	#report(isConnected: boolean, error?: GearmanError): void {
		if (this.#wasConnected === isConnected) return;
		this.#wasConnected = isConnected;
		if (isConnected) this.#crew.onConnect(this.address);
		else this.#crew.onDisconnect(this.address, error ?? new GearmanError("CONNECTION_LOST"));
	}
}

function assignmentOf(packet: Packet): Assignment {
	return {
		handle: packet.text(0),
		functionName: packet.text(1),
		unique: packet.type === Type.JOB_ASSIGN ? "" : packet.text(2),
		reducer: packet.type === Type.JOB_ASSIGN_ALL ? packet.text(3) : "",
		workload: packet.keepData(),
	};
}

/** What the client is told of something a function threw. */
function exceptionOf(error: unknown): Uint8Array {
	if (error instanceof GearmanError && error.data !== undefined) return error.data;
	return Buffer.from(error instanceof Error ? error.message : String(error));
}

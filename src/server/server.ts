// The job server: open the store, replay it, listen, serve, drain, close. Owns what all peers share (job table, journal,
// log). cli/server.ts runs one a process; tests and users of the library run as many as they like.

import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { GearmanError } from "../errors.ts";
import { Log, type LogFields } from "../log.ts";
import { Type } from "../protocol/commands.ts";
import { FRAME_BYTES, giveBack } from "../protocol/frames.ts";
import type { FunctionQueue, Worker } from "./function-queue.ts";
import { Gate } from "./gate.ts";
import { Grabs } from "./grabs.ts";
import { type Blockable, HIGH, type Job, LOW, NORMAL, uniqueKeyOf } from "./job.ts";
import { JobTable } from "./jobs.ts";
import { Journal } from "./journal.ts";
import { Count, Metrics } from "./metrics.ts";
import { textOf } from "./names.ts";
import { Patience } from "./patience.ts";
import { Peer } from "./peer.ts";
import { loadProtocol, type Protocol } from "./protocols/index.ts";
import { type ServerOptions, type Settings, settingsOf } from "./settings.ts";
import { loadStore, type Store, type StoreInfo } from "./stores/index.ts";
import { Turn } from "./turn.ts";

/** Jobs replayed before others get their turn. */
const REPLAY_TURN = 1000;
/** How long a stop waits for a store that does not answer. What it then refuses was never acknowledged. */
const DRAIN_MS = 10_000;

/** Members that are marked internal are for the other modules of the server, its job table (as JobEvents) among them. */
export class Server {
	readonly options: Settings;
	readonly log: Log;
	/** @internal */
	readonly gate: Gate;
	/** @internal */
	readonly patience: Patience;
	/** @internal */
	readonly metrics: Metrics;
	/** @internal */
	readonly jobs: JobTable;
	/** @internal */
	readonly peers = new Set<Peer>();
	/** @internal */
	readonly createdMs = Date.now();
	/** @internal Commands that change something are taken at addresses of their own alone. */
	readonly hasAdminListeners: boolean;
	/** Connections through the admin listeners. */
	readonly #admins = new WeakSet<Socket>();
	/** @internal */
	readonly turn = new Turn(this);
	/** @internal */
	readonly grabs = new Grabs(this);
	/** @internal Those who do not take what is sent to them. */
	readonly blocked = new Set<Blockable>();
	/** @internal Takes no new jobs; stops when the last one is done. */
	isDraining = false;
	/** @internal Gives jobs to workers; else it stops when the last running one is done. */
	isGranting = true;
	/** @internal Closes all that is open; who leaves now loses no job. */
	isStopping = false;
	/** @internal Jobs of the last run are still coming back. */
	isReplaying = true;
	/** Settles when the jobs of the last run are back. Rejects when the store cannot give them. */
	replayed: Promise<void> = Promise.resolve();
	/** Settles when the server has stopped, for whatever reason. Rejects when the store could not be closed as it should. */
	readonly stopped: Promise<void>;
	#setStopped: (closing: void | PromiseLike<void>) => void = () => {};
	#journal: Journal | undefined;
	#isStoreSilent = false;
	#store: Store | undefined;
	readonly #protocols: Protocol[] = [];
	readonly #addresses = new Map<string, readonly AddressInfo[]>();
	#drainTimer: NodeJS.Timeout | undefined;
	#lastPeerId = 0;
	/** What the clock shows while it stands still, else 0. */
	#heldMs = 0;

	constructor(options: ServerOptions = {}) {
		const { log = new Log(), ...given } = options;
		this.options = settingsOf(given);
		this.log = log;
		this.metrics = new Metrics(this.options.metricsFunctions);
		this.hasAdminListeners = this.options.adminListen.length > 0 || this.options.inherited?.admin !== undefined;
		this.patience = new Patience(this.options, (peer, why) => {
			log.errorOnceASecond(`${peer.name} is dropped: it ${why}`, "patience");
			peer.destroy();
		});
		this.gate = new Gate(this.options, log, this.metrics, () => this.patience.makeRoom());
		const retries = this.options.jobRetries;
		this.jobs = new JobTable(this, {
			handlePrefix: this.options.handlePrefix,
			maxLostAssignments: retries < 0 ? Number.POSITIVE_INFINITY : Math.max(1, retries),
			wakeups: this.options.workerWakeup,
			wakeTimeoutMs: this.options.wakeTimeoutMs,
			metrics: this.metrics,
		});
		this.stopped = new Promise((resolve) => {
			this.#setStopped = resolve;
		});
		this.stopped.catch(() => {}); // whoever waits for it hears of it; so does the log
	}

	/** Opens the store, takes its jobs over, listens. Rejects with GearmanError; nothing is left open then. */
	async start(): Promise<void> {
		await this.gate.open();
		const { queueType, storeOptions, port } = this.options;
		const store = this.options.store ?? (await loadStore(queueType, { port, options: storeOptions }));
		const lastReserved = await store.open();
		this.jobs.numberFrom(lastReserved);
		this.#store = store;
		this.#journal = new Journal(store, lastReserved, this.metrics.store, {
			pending: () => this.turn.schedule(),
			failing: (error) => {
				const reason = error instanceof Error ? error.message : error;
				this.log.error(`The store fails, background jobs are refused until it works again: ${reason}`);
			},
			recovered: () => this.log.error("The store works again"),
			unfit: (job, reason) => this.log.warning(`A job of ${job.functionName} is refused: ${reason}`),
		});
		try {
			// Before anybody gets a handle.
			this.#journal.used(lastReserved);
			await this.#journal.drain();
			// The admin address first: the others tell it to those they turn away.
			const protocols = [...(this.hasAdminListeners ? ["admin"] : []), "gear", ...this.options.protocols];
			for (const name of new Set(protocols)) await this.#listen(name);
			this.#cautionIfOpen();
		} catch (error) {
			for (const protocol of this.#protocols.splice(0)) {
				await protocol.close();
				await protocol.end();
			}
			await store.close();
			throw error;
		}
		this.replayed = this.#replay(store);
		this.replayed.catch(() => {}); // whoever waits for it hears of it; so does the log
	}

	async #listen(name: string): Promise<void> {
		const protocol = await loadProtocol(name);
		if (protocol === undefined) throw new GearmanError("BAD_ARGUMENT", `Unknown protocol module : ${name}`);
		this.#addresses.set(name, await protocol.listen(this));
		this.#protocols.push(protocol);
	}

	/** Takes over what the last run left, while clients and workers are served already. */
	async #replay(store: Store): Promise<void> {
		let count = 0;
		try {
			for await (const stored of store.replay()) {
				if (this.isStopping) return;
				const { handle, retries, functionName, unique, workload, reducer, dueMs, submittedMs } = stored;
				const job = this.jobs.restore(handle, retries, {
					queue: this.jobs.functionOf(functionName),
					unique,
					uniqueKey: uniqueKeyOf(unique, workload),
					workload,
					priority: stored.priority === HIGH || stored.priority === LOW ? stored.priority : NORMAL,
					isBackground: true,
					dueMs,
					reducer,
					submittedMs,
				});
				this.jobs.release(job, this.nowMs());
				this.journal.kept++;
				if (++count % REPLAY_TURN === 0) await new Promise(setImmediate);
			}
			if (count > 0) this.log.notice(`Replayed ${count} jobs`);
			this.isReplaying = false;
			this.turn.schedule();
		} catch (error) {
			if (this.isStopping) return; // the store was closed meanwhile; the rest is for the next run
			this.log.fatal(`The store could not be replayed: ${error instanceof Error ? error.message : error}`);
			throw error;
		}
	}

	/** The port of the Gearman protocol, once started; 0 when it is spoken on Unix sockets alone. */
	get port(): number {
		return this.addresses.find(({ port }) => port > 0)?.port ?? 0;
	}

	/** The addresses of the Gearman protocol, once started. */
	get addresses(): readonly AddressInfo[] {
		return this.addressesOf("gear");
	}

	/** The addresses where a protocol is spoken, once started; none when it is not. */
	addressesOf(protocol: string): readonly AddressInfo[] {
		return this.#addresses.get(protocol) ?? [];
	}

	/** The store, as it tells of itself, or as it was asked for. */
	get storeInfo(): StoreInfo {
		return this.#store?.info?.() ?? { name: this.options.store === undefined ? this.options.queueType : "own" };
	}

	/** @internal */
	get journal(): Journal {
		if (this.#journal === undefined) throw new Error("the server has not been started");
		return this.#journal;
	}

	/** @internal The clock: ms since 1970. */
	nowMs(): number {
		return this.#heldMs > 0 ? this.#heldMs : Date.now();
	}

	/** @internal The clock stands still until releaseClock(): many packets are dealt with in less than its millisecond. */
	holdClock(): void {
		this.#heldMs = Date.now();
	}

	/** @internal */
	releaseClock(): void {
		this.#heldMs = 0;
	}

	/**
	 * "quick": stops at once, foreground jobs are lost. "graceful": takes no new connections or jobs, stops as the last job
	 * ends. "finish": grants no more jobs either, stops as the last running one ends, at the latest after drainTimeoutMs;
	 * queued jobs stay in the store.
	 */
	requestStop(how: "quick" | "graceful" | "finish"): void {
		if (how === "quick") return this.#stopQuietly();
		if (how === "finish" && this.isGranting) {
			const { drainTimeoutMs } = this.options;
			this.log.info(`Shutdown: running jobs have ${drainTimeoutMs / 1000} s to finish`);
			this.isGranting = false;
			this.#drainTimer = setTimeout(() => {
				this.log.notice(`Shutdown: ${this.#runningJobs()} jobs did not finish in time`);
				this.#stopQuietly();
			}, drainTimeoutMs);
		} else if (how === "graceful" && !this.isDraining) this.log.info("Graceful shutdown: waiting for jobs to finish");
		if (!this.isDraining) for (const protocol of this.#protocols) protocol.close();
		this.isDraining = true;
		this.#stopIfDone();
	}

	/** As stop(); `stopped` tells how it went. */
	#stopQuietly(): void {
		this.stop().catch(() => {});
	}

	#stopIfDone(): void {
		if (this.isDraining && (this.isGranting ? this.jobs.size : this.#runningJobs()) === 0) this.#stopQuietly();
	}

	#runningJobs(): number {
		let running = 0;
		for (const queue of this.jobs.functions.values()) running += queue.running;
		return running;
	}

	/** Stops at once; resolves when all is closed. */
	async stop(): Promise<void> {
		if (this.isStopping) return this.stopped;
		this.isStopping = true;
		for (const protocol of this.#protocols) await protocol.close();
		await this.#drainJournal();
		this.turn.end();
		for (const protocol of this.#protocols) await protocol.end();
		this.patience.stop();
		clearTimeout(this.#drainTimer);
		this.turn.stop();
		const closed = [...this.peers].map((peer) => peer.close());
		await Promise.all(closed);
		await this.#drainJournal();
		try {
			await this.#store?.close();
			this.log.info("Shutdown complete");
			this.#setStopped();
		} catch (error) {
			const sentence = `The store could not be closed: ${error instanceof Error ? error.message : error}`;
			this.log.fatal(sentence);
			this.#setStopped(Promise.reject(new GearmanError("STORE_FAILED", sentence, { cause: error })));
		}
		this.log.flush();
		return this.stopped;
	}

	/** Gives up, once and for all, where a store does not answer. */
	async #drainJournal(): Promise<void> {
		if (this.#isStoreSilent) return;
		const abort = new AbortController();
		const late = sleep(DRAIN_MS, true, { signal: abort.signal }).catch(() => false);
		this.#isStoreSilent = (await Promise.race([this.#journal?.drain(), late])) === true;
		abort.abort();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.stop();
	}

	/** Connections of all protocols, those in a handshake too. */
	get connections(): number {
		return this.gate.count;
	}

	/** What has to do with the outside is looked at again: certificates. */
	reload(): void {
		this.gate.reload();
	}

	#cautionIfOpen(): void {
		const { gate } = this;
		const open = [...this.#addresses.values()].flat().find(({ address }) => address === "0.0.0.0" || address === "::");
		if (open === undefined || gate.isSecure || !gate.access.isOpen) return;
		const advice = "--listen 127.0.0.1, --ssl or --allow says who may";
		this.log.caution(`Anybody who reaches port ${open.port} of this machine may use this server: ${advice}`);
	}

	/** @internal A connection came in through an admin listener. */
	addAdmin(socket: Socket): void {
		this.#admins.add(socket);
	}

	/** @internal Whether commands that change more than a client's own jobs are taken from a connection. */
	mayChange(socket: Socket): boolean {
		return !this.hasAdminListeners || this.#admins.has(socket);
	}

	/** @internal The Gearman protocol has accepted a connection. */
	addPeer(socket: Socket): void {
		const peer = new Peer(this, socket, ++this.#lastPeerId);
		this.peers.add(peer);
		this.patience.watch(peer);
		this.log.info(`Accepted connection from ${peer.name}`, { peer: peer.name });
	}

	/** @internal The peer's connection is closed. */
	removePeer(peer: Peer): void {
		this.peers.delete(peer);
		this.patience.forget(peer);
		this.log.info(`Disconnected ${peer.name}`, { peer: peer.name });
	}

	/** @internal */
	wake(worker: Worker): void {
		if (this.isGranting) this.grabs.wake(worker);
	}

	/** @internal */
	exhausted(job: Job): void {
		this.log.notice(`Dropped job due to max retry count: ${job.handle} ${job.unique}`, aboutJob(job));
		for (const { client } of job.attachments) client.receiver.send(Type.WORK_FAIL, job.handle);
	}

	/** @internal */
	timedOut(job: Job): void {
		job.queue.metrics.count(Count.TIMED_OUT, job.priority);
		this.log.warning(`Worker timeout reached on job, requeueing: ${job.handle} ${job.unique}`, aboutJob(job));
	}

	/** @internal Cancels a job and tells its clients. False when that has happened already. */
	cancel(job: Job): boolean {
		if (job.isCancelled) return false;
		for (const { client } of this.jobs.cancel(job)) client.receiver.send(Type.WORK_FAIL, job.handle);
		return true;
	}

	/**
	 * @internal Drops a function, unless it has workers or running jobs: then false. Jobs still queued for it are cancelled: nobody
	 * could ever get them otherwise.
	 */
	dropFunction(queue: FunctionQueue): boolean {
		if (queue.workers > 0 || queue.running > 0) return false;
		if (queue.total > 0) {
			this.log.notice(`drop function ${JSON.stringify(textOf(queue.name))} cancels its ${queue.total} jobs`, {
				function: queue.name,
			});
			for (let job = queue.nextWaiting; job !== undefined; job = queue.nextWaiting) this.cancel(job);
			if (queue.total > 0) for (const job of this.jobs.heldJobs(queue)) this.cancel(job);
		}
		this.jobs.dropFunction(queue);
		return true;
	}

	/** @internal */
	lost(job: Job): void {
		job.queue.metrics.count(Count.RETRIED, job.priority);
		if (job.isStored) this.journal.retry(job);
		// The job table is in the midst of it.
		if (!this.isGranting) setImmediate(() => this.#stopIfDone());
	}

	/** @internal */
	removed(job: Job): void {
		if (job.isStored) this.journal.remove(job);
		if (job.workload.length >= FRAME_BYTES) giveBack(job.workload);
		if (this.isDraining) this.#stopIfDone();
	}

	/** @internal What was gathered for the store is on its way to it. */
	flushJournal(): void {
		this.#journal?.flush();
	}
}

function aboutJob({ handle, functionName, unique }: Job): LogFields {
	return { job: handle, function: functionName, unique };
}

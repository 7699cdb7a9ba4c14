// The job table: functions, jobs, uniques, handles, priorities, and which sleeping worker to wake. Pure and synchronous:
// it knows no socket, no clock (time comes in as an argument) and no store. commands.ts calls it, one packet at a time.
//
// Terminology
//   client, worker   roles of a connection; one connection may have both
//   function         a name that jobs are submitted to and workers can do; lives until it is dropped
//   job              one piece of work; named by its handle; `unique` is the client's own name for it
//   ability          a worker's claim to a function
//   abandoned        a foreground job whose clients have all left
//   grab, assign     a worker asks for a job, the server gives it one
//   lost             an assignment that ended without a result: its worker left, gave the function up or timed out
//   wake             a NOOP for a sleeping worker
//
// A job's way:   HELD (waits for its commit) → QUEUED ⇄ RUNNING → GONE
//                             DELAYED (epoch) ↗

import { Backlog } from "./backlog.ts";
import { Delayed } from "./delayed.ts";
import { type Ability, FunctionQueue, type Worker } from "./function-queue.ts";
import { type Attachment, type Client, type Incoming, Job, JobState, type NewJob, type Priority } from "./job.ts";
import { KnownJobs } from "./known-jobs.ts";
import { Count, type Ending, type Metrics } from "./metrics.ts";
import { type WakeEvents, Wakes } from "./wakes.ts";

/** What the table tells its owner while a call runs. */
export interface JobEvents extends WakeEvents {
	/** The job was given up: its last allowed assignment was lost. Its clients are still attached. */
	exhausted(job: Job): void;
	/** An assignment was lost; the job goes back to its queue, `retries` counts it. */
	lost(job: Job): void;
	/** A running job's time was over; it goes back to its queue. */
	timedOut(job: Job): void;
	/** The job left the table for good, done or not. */
	removed(job: Job): void;
}

export interface JobTableOptions {
	/** Handles are `${handlePrefix}:${n}`. */
	readonly handlePrefix: string;
	/** A job is failed when this many of its assignments are lost. Infinity: never. */
	readonly maxLostAssignments: number;
	/** Sleeping workers woken for each queued job: 0 all of them, N at most N; undefined: as many as needed. */
	readonly wakeups: number | undefined;
	/** A woken worker that has not grabbed after this long passes the wake on to the next. */
	readonly wakeTimeoutMs: number;
	readonly metrics: Metrics;
	/** Queued jobs of one function and priority that are Jobs; what comes behind goes to the backlog. Default 256. */
	readonly maxListed?: number;
}

/** Shortest CAN_DO_TIMEOUT: shorter ones are raised to it, as in gearmand. */
const MIN_TIMEOUT_MS = 1000;
const MAX_LISTED = 256;
const PRIORITIES: readonly Priority[] = [0, 1, 2];

export class JobTable {
	readonly functions = new Map<string, FunctionQueue>();
	readonly #events: JobEvents;
	readonly #options: JobTableOptions;
	readonly #maxListed: number;
	/** All Jobs; those that are bytes in the backlog are not among them. */
	readonly #known = new KnownJobs();
	readonly #backlog = new Backlog();
	/** Functions with queued jobs, by priority. */
	readonly #ready: [FunctionQueue[], FunctionQueue[], FunctionQueue[]] = [[], [], []];
	readonly #timed = new Delayed<Job>();
	readonly #wakes: Wakes;
	#lastNumber = 0;

	constructor(events: JobEvents, options: JobTableOptions) {
		this.#events = events;
		this.#options = options;
		this.#wakes = new Wakes(events, options.wakeups, options.wakeTimeoutMs);
		this.#maxListed = options.maxListed ?? MAX_LISTED;
	}

	/** Jobs in the table, in whatever state. */
	get size(): number {
		return this.#known.size + this.#backlog.size;
	}

	/** All jobs, to be looked at only: in order of submission, but those of a long queue last. */
	*jobs(): Generator<Job> {
		yield* this.#known.inOrder();
		for (const queue of this.functions.values()) {
			for (const priority of PRIORITIES) yield* this.#backlog.jobsOf(queue, priority);
		}
	}

	/** The function's jobs that wait for their commit. */
	heldJobs(queue: FunctionQueue): Job[] {
		return this.#known.inOrder().filter((job) => job.queue === queue && job.state === JobState.HELD);
	}

	/** The queued jobs of one function and priority in their order, to be looked at only; all, or those behind one of them. */
	*queuedJobs(queue: FunctionQueue, priority: Priority, behind?: Job): Generator<Job> {
		const place = behind?.place ?? 0;
		if (place === 0) {
			const first = behind === undefined ? queue.firstAt(priority) : behind.next;
			for (let job = first; job !== undefined; job = job.next) yield job;
		}
		yield* this.#backlog.jobsBehind(queue, priority, place);
	}

	find(handle: string): Job | undefined {
		return this.#known.withHandle(handle) ?? this.#takenOut(this.#backlog.find(handle));
	}

	/** Any job with this unique, whatever its function. Rarely asked, so functions are looked through one by one. */
	findUnique(unique: string): Job | undefined {
		for (const queue of this.functions.values()) {
			const job = this.#withKey(queue, unique);
			if (job !== undefined) return job;
		}
		return undefined;
	}

	/** Handles are numbered from here on: what an earlier run may have used is not used again. */
	numberFrom(lastNumber: number): void {
		this.#lastNumber = Math.max(this.#lastNumber, lastNumber);
	}

	/** The job that a submit to this function with this key joins. */
	findCoalescing(functionName: string, uniqueKey: string): Job | undefined {
		const queue = this.functions.get(functionName);
		return queue && this.#withKey(queue, uniqueKey);
	}

	#withKey(queue: FunctionQueue, key: string): Job | undefined {
		return this.#known.withKey(queue, key) ?? this.#takenOut(this.#backlog.findKey(queue, key));
	}

	/** The function of that name, created when it is new. */
	functionOf(name: string): FunctionQueue {
		let queue = this.functions.get(name);
		if (queue === undefined) {
			queue = new FunctionQueue(name, this.#options.metrics.of(name));
			this.functions.set(name, queue);
		}
		return queue;
	}

	/** The number in the newest handle. */
	get lastNumber(): number {
		return this.#lastNumber;
	}

	/** A new job, HELD: it has a handle and coalesces, but nobody can grab it before release(). */
	create(request: NewJob): Job {
		request.queue.metrics.submitted(request.priority, request.workload.length);
		return this.#add(new Job(`${this.#options.handlePrefix}:${++this.#lastNumber}`, request));
	}

	/**
	 * A new background job that no store has to keep, put straight behind the others where they are bytes already: four
	 * times as fast as create() and release(). Returns its handle; undefined where it has to be done by these.
	 */
	append(
		queue: FunctionQueue,
		unique: string,
		uniqueKey: string,
		incoming: Incoming,
		priority: Priority,
		nowMs: number,
	): string | undefined {
		if (queue.chains[priority] === undefined) return undefined;
		const prefix = this.#options.handlePrefix;
		const number = this.#lastNumber + 1;
		const { bytes, dataStart, end } = incoming;
		if (!this.#backlog.add(queue, priority, prefix, number, unique, uniqueKey, bytes, dataStart, end, nowMs))
			return undefined;
		this.#lastNumber = number;
		queue.total++;
		queue.queued++;
		queue.metrics.submitted(priority, end - dataStart);
		this.#wakes.jobQueued(queue, nowMs);
		return `${prefix}:${number}`;
	}

	/** A job of an earlier run, HELD, with the handle it had. */
	restore(handle: string, retries: number, request: NewJob): Job {
		const job = new Job(handle, request);
		job.retries = retries;
		job.isStored = true;
		job.queue.metrics.count(Count.REPLAYED, job.priority);
		return this.#add(job);
	}

	#add(job: Job): Job {
		job.queue.total++;
		this.#known.add(job);
		return job;
	}

	/** What came out of the backlog is known from now on. */
	#takenOut(job: Job | undefined): Job | undefined {
		if (job !== undefined) this.#known.add(job);
		return job;
	}

	/** Lets a HELD job go: into its queue, or to sleep until its time. */
	release(job: Job, nowMs: number): void {
		if (job.dueMs > nowMs) {
			job.timeMs = job.dueMs;
			job.state = JobState.DELAYED;
			job.queue.delayedJobs.push(job);
			this.#timed.add(job);
		} else this.#enqueue(job, nowMs);
	}

	/** The client gets what the job sends from now on; a client that submits twice is attached twice, as in gearmand. */
	attach(job: Job, client: Client): void {
		job.attach(client);
	}

	/** The client leaves: jobs nobody else wants are dropped, running ones go on unwatched. */
	removeClient(client: Client): void {
		const jobs = new Set(client.attachments.map(({ job }) => job));
		client.attachments = [];
		for (const job of jobs) {
			job.attachments = job.attachments.filter((attachment) => attachment.client !== client);
			this.dropIfAbandoned(job);
		}
	}

	/** Removes a job that neither runs nor is in the background nor has a client. */
	dropIfAbandoned(job: Job, ending: Ending = Count.ABANDONED): void {
		if (job.isAbandoned && job.state !== JobState.RUNNING) this.remove(job, ending);
	}

	/** Takes the job out of the table, wherever it is. A cancelled one ends as such, whatever its worker says. */
	remove(job: Job, ending: Ending): void {
		if (job.state === JobState.GONE) return;
		job.queue.metrics.count(job.isCancelled ? Count.CANCELLED : ending, job.priority);
		this.#leaveState(job);
		job.state = JobState.GONE;
		job.queue.total--;
		this.#known.delete(job);
		job.detachAll();
		this.#events.removed(job);
	}

	/**
	 * Cancels a job: a waiting one is removed; a running one stays with its worker until that reports, but coalesces
	 * no more and its result goes nowhere. Returns the clients to tell.
	 */
	cancel(job: Job): readonly Attachment[] {
		const attachments = job.detachAll();
		job.isBackground = false;
		if (job.state !== JobState.RUNNING) this.remove(job, Count.CANCELLED);
		else {
			job.isCancelled = true;
			this.#known.deleteKey(job);
		}
		return attachments;
	}

	/** CAN_DO. The last registered function has the first turn; a worker asleep is woken if there is work. */
	addAbility(worker: Worker, name: string, timeoutMs: number, nowMs: number): void {
		const queue = this.functionOf(name);
		worker.addAbility(queue, timeoutMs > 0 ? Math.max(timeoutMs, MIN_TIMEOUT_MS) : 0);
		if (worker.isSleeping) this.#wakes.wakeEnough(queue, nowMs);
	}

	/** CANT_DO: jobs running under the function are lost. */
	removeAbility(worker: Worker, name: string, nowMs: number): void {
		const queue = this.functions.get(name);
		const ability = queue && worker.abilities.get(queue);
		if (ability === undefined) return;
		worker.removeAbility(ability);
		for (const job of [...worker.jobs]) if (job.queue === ability.queue) this.#lose(job, nowMs);
		if (worker.wokenFor === ability.queue) this.#wakes.passOn(worker, nowMs);
	}

	/** RESET_ABILITIES, and what happens when the worker leaves. */
	removeAbilities(worker: Worker, nowMs: number): void {
		for (const ability of [...worker.abilities.values()]) worker.removeAbility(ability);
		for (const job of [...worker.jobs]) this.#lose(job, nowMs);
		this.#wakes.passOn(worker, nowMs);
	}

	/** The worker's connection is gone. */
	removeWorker(worker: Worker, nowMs: number): void {
		worker.isSleeping = false;
		this.removeAbilities(worker, nowMs);
	}

	/** PRE_SLEEP. True when there is a job for the worker right now: it must not sleep. */
	sleep(worker: Worker, nowMs: number): boolean {
		worker.isSleeping = false;
		this.#wakes.passOn(worker, nowMs);
		if (this.#choose(worker) !== undefined) return true;
		worker.sleep(nowMs);
		return false;
	}

	/** GRAB_JOB: the next job for this worker, now assigned to it. */
	grab(worker: Worker, nowMs: number): Job | undefined {
		worker.isSleeping = false;
		const ability = this.#choose(worker);
		const job = ability?.queue.next();
		if (ability === undefined || job === undefined) {
			this.#wakes.passOn(worker, nowMs);
			return undefined;
		}
		this.#leaveState(job);
		job.state = JobState.RUNNING;
		job.worker = worker;
		job.queue.runningJobs.push(job);
		worker.addJob(job);
		worker.endTurn(ability);
		ability.queue.lateWakes = 1;
		job.queue.metrics.grabbed(job.priority, (nowMs - job.since) | 0);
		job.since = nowMs | 0;
		if (ability.timeoutMs > 0) {
			job.timeMs = nowMs + ability.timeoutMs;
			this.#timed.add(job);
		}
		this.#wakes.passOn(worker, nowMs);
		return job;
	}

	/** When tick() has something to do next, in ms since 1970; Infinity: nothing waits. */
	nextTickMs(): number {
		return Math.min(this.#timed.peek()?.timeMs ?? Number.POSITIVE_INFINITY, this.#wakes.dueMs);
	}

	/** Does what is due: epoch jobs are queued, running jobs time out, late wakes are passed on. */
	tick(nowMs: number): void {
		for (let job = this.#timed.peek(); job !== undefined && job.timeMs <= nowMs; job = this.#timed.peek()) {
			if (job.state === JobState.DELAYED) {
				this.#leaveState(job);
				this.#enqueue(job, nowMs);
			} else {
				this.#events.timedOut(job);
				this.#lose(job, nowMs);
			}
		}
		this.#wakes.tick(nowMs);
	}

	/** Drops a function nobody can do and nobody runs. The caller has dealt with its queued jobs. */
	dropFunction(queue: FunctionQueue): void {
		this.#options.metrics.dropped(queue.metrics);
		this.functions.delete(queue.name);
	}

	/** An assignment was lost: back to the end of the queue, or given up. */
	#lose(job: Job, nowMs: number): void {
		this.#leaveState(job);
		job.retries++;
		job.numerator = 0;
		job.denominator = 0;
		if (job.isCancelled || job.isAbandoned) this.remove(job, Count.ABANDONED);
		else if (job.retries >= this.#options.maxLostAssignments) {
			this.#events.exhausted(job);
			this.remove(job, Count.GIVEN_UP);
		} else {
			this.#events.lost(job);
			this.#enqueue(job, nowMs);
		}
	}

	#enqueue(job: Job, nowMs: number): void {
		const queue = job.queue;
		const priority = job.priority;
		job.state = JobState.QUEUED;
		job.timeMs = 0;
		job.since = (job.retries > 0 ? nowMs : Math.max(job.submittedMs, job.dueMs)) | 0;
		queue.queued++;
		if (queue.listedAt(priority) >= this.#maxListed || queue.chains[priority] !== undefined) {
			if (this.#backlog.push(job)) {
				this.#known.delete(job);
			}
		} else if (queue.push(job)) {
			queue.readyIndex[priority] = this.#ready[priority].length;
			this.#ready[priority].push(queue);
		}
		this.#wakes.jobQueued(queue, nowMs);
	}

	/** Takes the job out of whatever its state keeps it in. */
	#leaveState(job: Job): void {
		const queue = job.queue;
		this.#timed.remove(job);
		switch (job.state) {
			case JobState.QUEUED:
				queue.queued--;
				if (job.place > 0) this.#backlog.remove(job);
				else if (queue.unlink(job)) this.#refill(queue, job.priority);
				break;
			case JobState.DELAYED:
				queue.delayedJobs.unlink(job);
				break;
			case JobState.RUNNING:
				queue.runningJobs.unlink(job);
				job.worker?.removeJob(job);
				job.worker = undefined;
				queue.metrics.running[job.priority]--;
				break;
		}
		job.state = JobState.HELD;
	}

	/** The function's list for this priority is empty: what is next in its backlog moves up. */
	#refill(queue: FunctionQueue, priority: Priority): void {
		while (queue.chains[priority] !== undefined && queue.listedAt(priority) < this.#maxListed) {
			const job = this.#backlog.take(queue, priority);
			if (job === undefined) break;
			if (this.#known.withHandle(job.handle) === undefined) this.#known.add(job);
			queue.push(job);
		}
		if (queue.listedAt(priority) === 0) this.#unready(queue, priority);
	}

	/** The function has no more queued jobs of this priority: the last ready one takes its place in the list. */
	#unready(queue: FunctionQueue, priority: Priority): void {
		const ready = this.#ready[priority];
		const index = queue.readyIndex[priority];
		const last = ready.pop();
		if (last !== undefined && last !== queue) {
			ready[index] = last;
			last.readyIndex[priority] = index;
		}
		queue.readyIndex[priority] = -1;
	}

	/**
	 * The ability whose job the worker gets next: highest priority first, whatever the function; within a priority the
	 * function whose turn it is. Looks through the worker's abilities or through the functions with jobs, whichever are
	 * fewer, so neither 10,000 functions nor a worker with 1,000 abilities costs a scan in the usual case.
	 */
	#choose(worker: Worker): Ability | undefined {
		for (let priority = 0; priority < 3; priority++) {
			const ready = this.#ready[priority];
			if (ready.length === 0) continue;
			if (worker.abilities.size <= ready.length) {
				for (let ability = worker.firstTurn; ability !== undefined; ability = ability.nextTurn) {
					if (ability.queue.readyIndex[priority] >= 0) return ability;
				}
			} else {
				let first: Ability | undefined;
				for (const queue of ready) {
					const ability = worker.abilities.get(queue);
					if (ability !== undefined && (first === undefined || ability.turn < first.turn)) first = ability;
				}
				if (first !== undefined) return first;
			}
		}
		return undefined;
	}
}

// A function's jobs and the workers that can do it; a worker's role and its abilities. The lists are woven
// through their members, so adding, taking and removing cost the same however long they are. Used by jobs.ts alone.
//
// Sleepers: each function lists the workers it may wake. A worker found awake while looking for one to wake leaves that
// list and is listed again when it next sleeps: so PRE_SLEEP costs nothing for abilities nobody asked for meanwhile.

import type { Chain } from "./backlog.ts";
import type { Assignee, Job, Priority } from "./job.ts";
import type { FunctionMetrics } from "./metrics.ts";

/** A worker's claim to a function. */
export class Ability {
	readonly worker: Worker;
	readonly queue: FunctionQueue;
	/** How often it was registered: `status` and `workers` count each, as gearmand does. */
	registrations = 1;
	/** CAN_DO_TIMEOUT in ms; 0 none. */
	timeoutMs = 0;
	/** Place in the worker's order of turns: the smallest is next. */
	turn = 0;
	previousTurn: Ability | undefined = undefined;
	nextTurn: Ability | undefined = undefined;
	/** In its function's list of sleepers, or else in its worker's list of unlisted abilities. */
	isListed = false;
	isRemoved = false;
	previousSleeper: Ability | undefined = undefined;
	nextSleeper: Ability | undefined = undefined;

	constructor(worker: Worker, queue: FunctionQueue) {
		this.worker = worker;
		this.queue = queue;
	}
}

/** A connection that does jobs. */
export class Worker {
	readonly receiver: Assignee;
	readonly abilities = new Map<FunctionQueue, Ability>();
	/** Jobs assigned to it, in no order. */
	readonly jobs: Job[] = [];
	/** Sent PRE_SLEEP and has not grabbed since. */
	isSleeping = false;
	/** Has been sent a NOOP since it fell asleep. */
	isWoken = false;
	/** When it last fell asleep; the low 32 bits of ms since 1970, a number that needs no box on the heap. */
	asleepSince = 0;
	/** A job came as soon as it had fallen asleep, the last time. Kept by wakes.ts, unlearned by grabs.ts. */
	isInDemand = false;
	/** The type of its GRAB_JOB that is not answered yet: it is asleep without having been told. 0: none. */
	openGrab = 0;
	/** The function it was woken for, until it grabs or the wake is passed on. */
	wokenFor: FunctionQueue | undefined = undefined;
	wokenAtMs = 0;
	/** In the job table's list of wakes to look after. */
	isWakeWatched = false;
	/** Handle of the job it last ended by WORK_EXCEPTION: a WORK_FAIL for it may follow. */
	lastException: string | undefined = undefined;
	/** Order of turns: the first is asked first, and moves to the end when it got a job. */
	firstTurn: Ability | undefined = undefined;
	#lastTurn: Ability | undefined = undefined;
	#unlisted: Ability[] = [];

	constructor(receiver: Assignee) {
		this.receiver = receiver;
	}

	addJob(job: Job): void {
		job.workerIndex = this.jobs.push(job) - 1;
	}

	removeJob(job: Job): void {
		const last = this.jobs.pop();
		if (last === undefined || last === job) return;
		this.jobs[job.workerIndex] = last;
		last.workerIndex = job.workerIndex;
	}

	addAbility(queue: FunctionQueue, timeoutMs: number): void {
		let ability = this.abilities.get(queue);
		if (ability === undefined) {
			ability = new Ability(this, queue);
			this.unlisted(ability);
		} else {
			ability.registrations++;
			this.#unlinkTurn(ability);
			this.abilities.delete(queue); // and set again: the map keeps the order of registration
		}
		this.abilities.set(queue, ability);
		queue.workers++;
		ability.timeoutMs = timeoutMs;
		ability.turn = this.firstTurn === undefined ? 0 : this.firstTurn.turn - 1;
		ability.nextTurn = this.firstTurn;
		if (this.firstTurn === undefined) this.#lastTurn = ability;
		else this.firstTurn.previousTurn = ability;
		this.firstTurn = ability;
		if (this.isSleeping) this.#list();
	}

	removeAbility(ability: Ability): void {
		ability.isRemoved = true;
		ability.queue.workers -= ability.registrations;
		this.abilities.delete(ability.queue);
		this.#unlinkTurn(ability);
		if (ability.isListed) ability.queue.unlistSleeper(ability);
	}

	/** The ability got its job: its turn comes again after all others. */
	endTurn(ability: Ability): void {
		const last = this.#lastTurn;
		if (last === ability || last === undefined) return;
		this.#unlinkTurn(ability);
		ability.turn = last.turn + 1;
		ability.previousTurn = last;
		last.nextTurn = ability;
		this.#lastTurn = ability;
	}

	/** With a grab that is open it is the first to be woken by the function whose job it did last. */
	sleep(nowMs: number): void {
		this.isSleeping = true;
		this.isWoken = false;
		this.asleepSince = nowMs | 0;
		this.#list();
		if (this.openGrab > 0) this.#lastTurn?.queue.listFirst(this.#lastTurn);
	}

	/** Called by the function when it takes the ability off its list. */
	unlisted(ability: Ability): void {
		// A worker that never sleeps may add and remove abilities for ever.
		if (this.#unlisted.length > 2 * this.abilities.size + 16) {
			this.#unlisted = this.#unlisted.filter((other) => !other.isRemoved);
		}
		this.#unlisted.push(ability);
	}

	#list(): void {
		if (this.#unlisted.length === 0) return;
		for (const ability of this.#unlisted) if (!ability.isRemoved) ability.queue.listSleeper(ability);
		this.#unlisted.length = 0;
	}

	#unlinkTurn(ability: Ability): void {
		const { previousTurn, nextTurn } = ability;
		if (previousTurn === undefined) this.firstTurn = nextTurn;
		else previousTurn.nextTurn = nextTurn;
		if (nextTurn === undefined) this.#lastTurn = previousTurn;
		else nextTurn.previousTurn = previousTurn;
		ability.previousTurn = undefined;
		ability.nextTurn = undefined;
	}
}

/** Jobs in the order they came, woven through their `previous` and `next`: a job is in one list at most. */
class JobList {
	first: Job | undefined = undefined;
	last: Job | undefined = undefined;
	length = 0;

	push(job: Job): void {
		job.previous = this.last;
		if (this.last === undefined) this.first = job;
		else this.last.next = job;
		this.last = job;
		this.length++;
	}

	unlink(job: Job): void {
		const { previous, next } = job;
		if (previous === undefined) this.first = next;
		else previous.next = next;
		if (next === undefined) this.last = previous;
		else next.previous = previous;
		job.previous = undefined;
		job.next = undefined;
		this.length--;
	}
}

let lastId = 0;

/** One function. */
export class FunctionQueue {
	readonly name: string;
	/** What is counted about it; functions that are too many share one. */
	readonly metrics: FunctionMetrics;
	/** Jobs in all: queued, delayed, running, and held for a commit. */
	total = 0;
	/** Jobs that workers have, in the order they were assigned. */
	readonly runningJobs = new JobList();
	/** Jobs that wait for their time, in the order they came. */
	readonly delayedJobs = new JobList();
	/** Jobs that can be grabbed now. Kept by jobs.ts. */
	queued = 0;
	/** Registrations of workers that can do it. */
	workers = 0;
	/** Limit of `total` for submits of each priority; 0: none. */
	readonly maxQueue: [number, number, number] = [0, 0, 0];
	/** Place in the table's list of functions with queued jobs, by priority; -1: not in it. Kept by jobs.ts. */
	readonly readyIndex: [number, number, number] = [-1, -1, -1];
	/** Workers woken on this function's account that have not grabbed yet. Kept by jobs.ts. */
	wakesPending = 0;
	/** Workers woken when the next wake comes too late; doubles each time until one grabs. Kept by jobs.ts. */
	lateWakes = 1;
	/** Tells it from others of its name. */
	readonly id = ++lastId;
	/** What follows the queued Jobs, by priority. Kept by backlog.ts. */
	readonly chains: [Chain | undefined, Chain | undefined, Chain | undefined] = [undefined, undefined, undefined];
	readonly #lists = [new JobList(), new JobList(), new JobList()];
	#firstSleeper: Ability | undefined = undefined;
	#lastSleeper: Ability | undefined = undefined;

	constructor(name: string, metrics: FunctionMetrics) {
		this.name = name;
		this.metrics = metrics;
	}

	get running(): number {
		return this.runningJobs.length;
	}

	get delayed(): number {
		return this.delayedJobs.length;
	}

	/** Queued jobs of one priority. */
	queuedAt(priority: Priority): number {
		return this.#lists[priority].length + (this.chains[priority]?.length ?? 0);
	}

	/** Those of them that are Jobs in its list, in front of the backlog. */
	listedAt(priority: Priority): number {
		return this.#lists[priority].length;
	}

	/** The job of one priority whose turn is next; its `next` follow. */
	firstAt(priority: Priority): Job | undefined {
		return this.#lists[priority].first;
	}

	/** The job whose turn it is, left in place. */
	next(): Job | undefined {
		return this.#lists[0].first ?? this.#lists[1].first ?? this.#lists[2].first;
	}

	/** A job that is queued or delayed, as long as there are any. */
	get nextWaiting(): Job | undefined {
		return this.next() ?? this.delayedJobs.first;
	}

	/** Takes no more jobs of this priority. */
	isFull(priority: Priority): boolean {
		const limit = this.maxQueue[priority];
		return limit > 0 && this.total >= limit;
	}

	/** Queues a job; true when its priority had none before. */
	push(job: Job): boolean {
		const list = this.#lists[job.priority];
		list.push(job);
		return list.length === 1;
	}

	/** Takes a queued job out; true when its priority has none left. */
	unlink(job: Job): boolean {
		const list = this.#lists[job.priority];
		list.unlink(job);
		return list.length === 0;
	}

	/** The worker at the end of the list. */
	get newestSleeper(): Worker | undefined {
		return this.#lastSleeper?.worker;
	}

	/** The worker that has slept longest and has not been woken; it leaves the list. */
	nextSleeper(): Worker | undefined {
		for (let ability = this.#firstSleeper; ability !== undefined; ability = this.#firstSleeper) {
			this.unlistSleeper(ability);
			const worker = ability.worker;
			worker.unlisted(ability);
			if (worker.isSleeping && !worker.isWoken) return worker;
		}
		return undefined;
	}

	listSleeper(ability: Ability): void {
		ability.isListed = true;
		ability.previousSleeper = this.#lastSleeper;
		if (this.#lastSleeper === undefined) this.#firstSleeper = ability;
		else this.#lastSleeper.nextSleeper = ability;
		this.#lastSleeper = ability;
	}

	/** Brings what is listed to the front. */
	listFirst(ability: Ability): void {
		const first = this.#firstSleeper;
		if (first === ability || first === undefined) return;
		this.unlistSleeper(ability);
		ability.isListed = true;
		ability.nextSleeper = first;
		first.previousSleeper = ability;
		this.#firstSleeper = ability;
	}

	unlistSleeper(ability: Ability): void {
		const { previousSleeper, nextSleeper } = ability;
		if (previousSleeper === undefined) this.#firstSleeper = nextSleeper;
		else previousSleeper.nextSleeper = nextSleeper;
		if (nextSleeper === undefined) this.#lastSleeper = previousSleeper;
		else nextSleeper.previousSleeper = previousSleeper;
		ability.previousSleeper = undefined;
		ability.nextSleeper = undefined;
		ability.isListed = false;
	}
}

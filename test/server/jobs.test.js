// The job table against a model that is slow, small and obviously right; and the promises its head makes.

import test from "ava";
import fc from "fast-check";
import { Worker } from "../../dist/server/function-queue.js";
import { Client, HIGH, JobState, LOW, NORMAL, uniqueKeyOf } from "../../dist/server/job.js";
import { JobTable } from "../../dist/server/jobs.js";
import { Count, Metrics } from "../../dist/server/metrics.js";

const WAKE_TIMEOUT_MS = 200;
const receiver = { send() {}, forward() {}, isCongested: false, onceDrained() {} };

/** A table, a clock, and what the table told. */
function create(options = {}) {
	const told = { woken: [], exhausted: [], timedOut: [], removed: [], lost: [] };
	const events = {
		wake: (worker) => told.woken.push(worker),
		exhausted: (job) => told.exhausted.push(job),
		timedOut: (job) => told.timedOut.push(job),
		lost: (job) => told.lost.push(job),
		removed: (job) => told.removed.push(job),
	};
	const table = new JobTable(events, {
		handlePrefix: "H",
		maxLostAssignments: Number.POSITIVE_INFINITY,
		wakeups: undefined,
		wakeTimeoutMs: WAKE_TIMEOUT_MS,
		metrics: new Metrics(),
		...options,
	});
	return { table, told };
}

function submit(table, name, { priority = NORMAL, dueMs = 0, client, unique = "", nowMs = 0 } = {}) {
	const workload = Buffer.alloc(0);
	const uniqueKey = uniqueKeyOf(unique, workload);
	const job = table.create({
		queue: table.functionOf(name),
		unique,
		uniqueKey,
		workload,
		priority,
		isBackground: client === undefined,
		dueMs,
		reducer: undefined,
		submittedMs: nowMs,
	});
	if (client !== undefined) table.attach(job, client);
	table.release(job, nowMs);
	return job;
}

const ENDINGS = [Count.COMPLETED, Count.FAILED, Count.EXCEPTIONS, Count.CANCELLED, Count.ABANDONED, Count.GIVEN_UP];

/** What must be true of a table at any time. */
function check(t, table, workers) {
	const jobs = [...table.jobs()];
	for (const queue of table.functions.values()) {
		const mine = jobs.filter((job) => job.queue === queue);
		const inState = (state) => mine.filter((job) => job.state === state).length;
		t.is(queue.total, mine.length);
		t.is(queue.running, inState(JobState.RUNNING));
		t.is(queue.delayed, inState(JobState.DELAYED));
		t.is(queue.queued, inState(JobState.QUEUED));
		for (const priority of [HIGH, NORMAL, LOW]) {
			const count = mine.filter((job) => job.state === JobState.QUEUED && job.priority === priority).length;
			t.is(queue.queuedAt(priority), count);
			t.is(queue.readyIndex[priority] >= 0, count > 0);
			const running = mine.filter((job) => job.state === JobState.RUNNING && job.priority === priority).length;
			t.is(queue.metrics.running[priority], running);
			const counted = (count) => queue.metrics.counted(count, priority);
			const ended = ENDINGS.reduce((sum, ending) => sum + counted(ending), 0);
			t.is(counted(Count.SUBMITTED), ended + mine.filter((job) => job.priority === priority).length);
		}
		const abilities = workers.map((worker) => worker.abilities.get(queue)).filter((ability) => ability);
		t.is(
			queue.workers,
			abilities.reduce((sum, ability) => sum + ability.registrations, 0),
		);
		t.is(queue.wakesPending, workers.filter((worker) => worker.wokenFor === queue).length);
		// The promise: whoever could do a waiting job is awake, or about to be.
		const asleep = abilities.filter(({ worker }) => worker.isSleeping && !worker.isWoken);
		t.true(queue.wakesPending >= queue.queued || asleep.length === 0, `${queue.name} stalls`);
	}
	for (const worker of workers) for (const job of worker.jobs) t.is(job.worker, worker);
}

const names = ["a", "b", "c"];
const name = fc.constantFrom(...names);
const who = fc.nat(3);
const step = fc.oneof(
	{ weight: 4, arbitrary: fc.record({ do: fc.constant("submit"), name, priority: fc.constantFrom(0, 1, 2), who }) },
	fc.record({ do: fc.constant("submitUnique"), name, who }),
	fc.record({ do: fc.constant("join"), name, who }),
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("append"), name, priority: fc.constantFrom(0, 1, 2) }) },
	fc.record({ do: fc.constant("submitDelayed"), name, delayMs: fc.nat(500) }),
	{ weight: 4, arbitrary: fc.record({ do: fc.constant("grab"), who }) },
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("sleep"), who }) },
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("canDo"), who, name, timeoutMs: fc.constantFrom(0, 0, 1) }) },
	fc.record({ do: fc.constant("cantDo"), who, name }),
	fc.record({ do: fc.constant("reset"), who }),
	{ weight: 3, arbitrary: fc.record({ do: fc.constant("finish"), who }) },
	fc.record({ do: fc.constant("clientLeaves"), who }),
	fc.record({ do: fc.constant("cancel"), nth: fc.nat(20) }),
	{ weight: 2, arbitrary: fc.record({ do: fc.constant("tick"), ms: fc.nat(1500) }) },
);

test("whatever happens in whatever order, counters are right, nobody stalls, and grabs follow the rules", (t) => {
	const property = fc.property(
		fc.array(step, { maxLength: 120 }),
		fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
		fc.constantFrom(1, 2, 256),
		(steps, maxLostAssignments, maxListed) => {
			const { table, told } = create({ maxLostAssignments, maxListed });
			const workers = Array.from({ length: 4 }, () => new Worker(receiver));
			const clients = Array.from({ length: 4 }, () => new Client(receiver));
			let nowMs = 1000;
			/** Order in which jobs entered a queue: the table must give them out so. */
			let entered = 0;
			const enteredAt = new Map();
			const noteEntries = () => {
				for (const job of table.jobs()) {
					if (job.state !== JobState.QUEUED) enteredAt.delete(job.handle);
					else if (!enteredAt.has(job.handle)) enteredAt.set(job.handle, ++entered);
				}
			};
			for (const action of steps) {
				const worker = workers[action.who];
				switch (action.do) {
					case "submit":
						submit(table, action.name, {
							priority: action.priority,
							client: action.who > 1 ? clients[action.who] : undefined,
							nowMs,
						});
						break;
					case "submitUnique":
						if (table.findCoalescing(action.name, "u") === undefined)
							submit(table, action.name, { unique: "u", nowMs });
						break;
					case "submitDelayed":
						submit(table, action.name, { dueMs: nowMs + action.delayMs, nowMs });
						break;
					case "grab": {
						const able = [...table.jobs()].filter(
							(job) => job.state === JobState.QUEUED && worker.abilities.has(job.queue),
						);
						const job = table.grab(worker, nowMs);
						t.is(job === undefined, able.length === 0);
						if (job === undefined) break;
						t.is(job.priority, Math.min(...able.map((other) => other.priority)));
						const sameLine = able.filter((other) => other.queue === job.queue && other.priority === job.priority);
						t.is(enteredAt.get(job.handle), Math.min(...sameLine.map((other) => enteredAt.get(other.handle))));
						t.is(table.find(job.handle), job);
						t.true(worker.jobs.includes(job));
						break;
					}
					case "sleep": {
						const hasWork = [...table.jobs()].some(
							(job) => job.state === JobState.QUEUED && worker.abilities.has(job.queue),
						);
						t.is(table.sleep(worker, nowMs), hasWork);
						break;
					}
					case "canDo":
						table.addAbility(worker, action.name, action.timeoutMs, nowMs);
						break;
					case "cantDo":
						table.removeAbility(worker, action.name, nowMs);
						break;
					case "reset":
						table.removeAbilities(worker, nowMs);
						break;
					case "finish":
						for (const job of worker.jobs) {
							table.remove(job, Count.COMPLETED);
							break;
						}
						break;
					case "clientLeaves":
						table.removeClient(clients[action.who]);
						break;
					case "cancel": {
						const jobs = [...table.jobs()];
						if (jobs.length > 0) table.cancel(table.find(jobs[action.nth % jobs.length].handle));
						break;
					}
					case "join": {
						const job = table.findCoalescing(action.name, "u");
						t.is(job?.unique, job && "u");
						if (job !== undefined) table.attach(job, clients[action.who]);
						break;
					}
					case "append": {
						const bytes = Buffer.from(`..${steps.indexOf(action)}`);
						const packet = { bytes, dataStart: 2, end: bytes.length };
						table.append(table.functionOf(action.name), "", "", packet, action.priority, nowMs);
						break;
					}
					case "tick":
						nowMs += action.ms;
						table.tick(nowMs);
						t.true(table.nextTickMs() > nowMs);
						break;
				}
				noteEntries();
				check(t, table, workers);
			}
			for (const worker of workers) table.removeWorker(worker, nowMs);
			for (const { handle } of [...table.jobs()]) table.remove(table.find(handle), Count.COMPLETED);
			check(t, table, workers);
			t.is(table.size, 0);
			t.is(new Set(told.removed).size, told.removed.length);
		},
	);
	fc.assert(property, { numRuns: 600 });
	t.pass();
});

test("functions take turns also when there are far more of them than the worker can do", (t) => {
	const { table } = create();
	for (let i = 0; i < 1000; i++) submit(table, `other ${i}`);
	for (const each of ["A", "B", "C", "A", "B", "C"]) submit(table, each);
	const worker = new Worker(receiver);
	for (const each of ["A", "B", "C"]) table.addAbility(worker, each, 0, 0);
	const order = Array.from({ length: 6 }, () => table.grab(worker, 0).queue.name);
	t.is(order.join(""), "CBACBA");
});

test("a function with many jobs does not starve another", (t) => {
	const { table } = create();
	for (let i = 0; i < 100; i++) submit(table, "busy");
	for (let i = 0; i < 20; i++) submit(table, "rare");
	const worker = new Worker(receiver);
	for (const each of ["busy", "rare"]) table.addAbility(worker, each, 0, 0);
	const first = Array.from({ length: 40 }, () => table.grab(worker, 0).queue.name);
	t.is(first.filter((each) => each === "rare").length, 20);
});

test("handles count up and are never used twice", (t) => {
	const { table } = create();
	const one = submit(table, "f");
	table.remove(one, Count.COMPLETED);
	t.deepEqual([one.handle, submit(table, "f").handle], ["H:1", "H:2"]);
});

test("the same unique in several functions is several jobs, in any order of removal", (t) => {
	for (const order of [
		[0, 1, 2],
		[2, 1, 0],
		[1, 0, 2],
	]) {
		const { table } = create();
		const jobs = names.map((each) => submit(table, each, { unique: "u" }));
		for (const nth of order) {
			t.is(table.findCoalescing(names[nth], "u"), jobs[nth]);
			table.remove(jobs[nth], Count.COMPLETED);
			t.is(table.findCoalescing(names[nth], "u"), undefined);
		}
		t.is(table.findUnique("u"), undefined);
	}
});

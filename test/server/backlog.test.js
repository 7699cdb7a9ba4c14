import test from "ava";
import fc from "fast-check";
import { Backlog } from "../../dist/server/backlog.js";
import { FunctionQueue } from "../../dist/server/function-queue.js";
import { HIGH, Job, LOW, NORMAL, uniqueKeyOf } from "../../dist/server/job.js";
import { FunctionMetrics } from "../../dist/server/metrics.js";
import { PlaceIndex } from "../../dist/server/place-index.js";

const queueOf = (name) => new FunctionQueue(name, new FunctionMetrics(name));

function jobOf(queue, handle, { unique = "", workload = Buffer.alloc(0), priority = NORMAL, ...rest } = {}) {
	const uniqueKey = uniqueKeyOf(unique, workload);
	const request = { queue, unique, uniqueKey, workload, priority, isBackground: true, dueMs: 0, submittedMs: 7 };
	return Object.assign(new Job(handle, { ...request, reducer: undefined }), rest);
}

const shown = ({ handle, unique, uniqueKey, workload, priority, retries, isStored, submittedMs, since }) => ({
	...{ handle, unique, uniqueKey, workload: workload.toString("hex"), priority },
	...{ retries, isStored, submittedMs, since },
});

test("a job comes back as it went, whatever its bytes, names and numbers", (t) => {
	const arbitrary = fc.record({
		prefix: fc.constantFrom("H:a", "H:other:host", "x"),
		number: fc.maxSafeNat(),
		unique: fc.constantFrom("", "-", "key", "é".normalize("NFD"), "k".repeat(64)),
		workload: fc.uint8Array({ maxLength: 4200 }),
		priority: fc.constantFrom(HIGH, NORMAL, LOW),
		retries: fc.nat(300),
		isStored: fc.boolean(),
		submittedMs: fc.constantFrom(0, 1_790_000_000_123),
		since: fc.integer(),
	});
	const property = fc.property(
		fc.uniqueArray(arbitrary, { selector: ({ number }) => number, maxLength: 40 }),
		(all) => {
			const backlog = new Backlog();
			const queue = queueOf("f");
			const jobs = all.map(({ prefix, number, unique, workload, priority, ...rest }) => {
				const name = Buffer.from(unique).toString("latin1").slice(0, 64);
				return jobOf(queue, `${prefix}:${number}`, {
					unique: name,
					workload: Buffer.from(workload),
					priority,
					...rest,
				});
			});
			for (const job of jobs) backlog.push(job);
			for (const priority of [HIGH, NORMAL, LOW]) {
				const mine = jobs.filter((job) => job.priority === priority);
				t.is(queue.chains[priority]?.length ?? 0, mine.length);
				for (const job of mine) t.deepEqual(shown(backlog.take(queue, priority)), shown(job));
				t.is(backlog.take(queue, priority), undefined);
				t.is(queue.chains[priority], undefined);
			}
			t.is(backlog.size, 0);
		},
	);
	fc.assert(property, { numRuns: 100 });
	t.pass();
});

test("a job is found by its handle and by its key, keeps its place, and can leave it", (t) => {
	const backlog = new Backlog();
	const [queue, queue2] = [queueOf("f"), queueOf("g")];
	for (let i = 1; i <= 5000; i++) {
		backlog.push(jobOf(queue, `H:h:${i}`, { unique: `u${i}`, workload: Buffer.from(`${i}`) }));
		backlog.push(jobOf(queue2, `H:h:${i + 10_000}`, { unique: `u${i}` }));
	}
	t.is(backlog.find("H:h:9999"), undefined);
	t.is(backlog.find("H:x:77"), undefined);
	t.is(backlog.find("H:h:77.0"), undefined);
	t.is(backlog.findKey(queue, "u5001"), undefined);
	backlog.push(
		jobOf(queue, "H:second:5", { unique: "-", workload: Buffer.from("w"), isStored: true, retries: 3, since: 9 }),
	);
	const other = backlog.find("H:second:5");
	t.deepEqual(
		[other.handle, other.unique, other.isStored, other.retries, other.since],
		["H:second:5", "-", true, 3, 9],
	);
	t.is(backlog.findKey(queue, other.uniqueKey), undefined);
	backlog.remove(other);
	const byHandle = backlog.find("H:h:77");
	t.is(byHandle.workload.toString(), "77");
	t.is(backlog.find("H:h:77"), undefined); // it is a Job now, its finder's business
	const byKey = backlog.findKey(queue, "u78");
	t.is(byKey.handle, "H:h:78");
	t.is(backlog.findKey(queue2, "u78").handle, "H:h:10078");
	backlog.remove(byKey);
	t.is(queue.chains[NORMAL].length, 4999);
	for (let i = 1; i <= 5000; i++) {
		if (i === 78) continue;
		const job = backlog.take(queue, NORMAL);
		t.is(job.handle, `H:h:${i}`);
		if (i === 77) t.is(job, byHandle);
	}
	t.is(backlog.take(queue, NORMAL), undefined);
	t.is(backlog.size, 4999);
});

test("what is no plain background job stays a Job and still has its turn", (t) => {
	const backlog = new Backlog();
	const queue = queueOf("f");
	const jobs = [
		jobOf(queue, "H:h:1"),
		jobOf(queue, "H:h:2", { isBackground: false }),
		jobOf(queue, "H:h:3", { workload: Buffer.alloc(5000) }),
		jobOf(queue, "H:h:4", { retries: 1000 }),
		jobOf(queue, "H:h:5", { unique: "k".repeat(9000) }),
		jobOf(queue, "no number"),
		jobOf(queue, "H:h:007"),
		jobOf(queue, "H:h:8"),
	];
	t.deepEqual(
		jobs.map((job) => backlog.push(job)),
		[true, false, false, false, false, false, false, true],
	);
	t.deepEqual(
		[...backlog.jobsOf(queue, NORMAL)].map((job) => job.handle),
		["H:h:1", "H:h:8"],
	);
	for (const job of jobs) t.is(backlog.take(queue, NORMAL).handle, job.handle);
	for (const job of jobs) t.is(job.place, 0);
});

test("the index holds what was added and not removed, however hashes collide", (t) => {
	const entry = fc.tuple(fc.constantFrom(0, 1, 5, 16, 17, 0xffff_ffff, 0x8000_0001), fc.integer({ min: 1, max: 60 }));
	const property = fc.property(fc.array(fc.tuple(fc.boolean(), entry), { maxLength: 300 }), (steps) => {
		const index = new PlaceIndex();
		const model = new Map();
		for (const [adds, [hash, place]] of steps) {
			const key = `${hash}:${place}`;
			if (adds === model.has(key)) continue;
			if (adds) index.add(hash, place);
			else index.delete(hash, place);
			if (adds) model.set(key, [hash, place]);
			else model.delete(key);
		}
		for (const hash of [0, 1, 5, 16, 17, 0xffff_ffff, 0x8000_0001]) {
			const wanted = [...model.values()].filter(([other]) => other === hash).map(([, place]) => place);
			t.deepEqual([...index.at(hash)].sort(), wanted.sort());
		}
	});
	fc.assert(property, { numRuns: 300 });
	t.pass();
});

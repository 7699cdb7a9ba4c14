// What every store has to do, run over each of them.

import fc from "fast-check";

/** A job as the server would hand it to a store; every one has a number of its own. */
export function jobOf(number, fields = {}) {
	return {
		handle: `H:test:${number}`,
		functionName: "f",
		unique: "",
		workload: Buffer.from(`workload ${number}`),
		priority: 1,
		dueMs: 0,
		reducer: undefined,
		retries: 0,
		submittedMs: 1_700_000_000_000 + number,
		...fields,
	};
}

export const add = (job) => ({ kind: "add", job });
export const remove = (job) => ({ kind: "remove", job });
export const retry = (job) => ({ kind: "retry", job });
export const reserve = (number) => ({ kind: "reserve", number });

/** All that a store gives back. */
export async function replay(store) {
	const jobs = [];
	for await (const job of store.replay()) jobs.push(job);
	return jobs;
}

const handles = (jobs) => jobs.map(({ handle }) => handle);
const plain = (jobs) => jobs.map((job) => ({ ...job, workload: job.workload.toString("latin1") }));

/** Bytes as the server has them in names: latin1, without NUL, which ends an argument on the wire. */
const name = (limits) => fc.uint8Array({ min: 1, ...limits }).map((bytes) => Buffer.from(bytes).toString("latin1"));

const fields = fc.record({
	functionName: name({ minLength: 1, maxLength: 40 }),
	unique: name({ maxLength: 64 }),
	workload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
	priority: fc.constantFrom(0, 1, 2),
	dueMs: fc.constantFrom(0, 1_700_000_000_123, 4_102_444_800_000),
	reducer: fc.option(name({ maxLength: 20 }), { nil: undefined }),
	retries: fc.nat(1000),
	submittedMs: fc.integer({ min: 1_600_000_000_000, max: 4_102_444_800_000 }),
});

/**
 * Registers the tests. `create(t)` resolves to `{ open() }`, which makes a store, not opened, every time on the same data,
 * empty at first. With `skip` they are shown as skipped.
 */
export function testStore(ava, kind, create, { skip = false } = {}) {
	const test = skip ? ava.skip : ava;

	/** A store of the test's own: `start()` opens it (again), after closing it. */
	async function setUp(t) {
		const data = await create(t);
		let store;
		t.teardown(() => store?.close());
		const start = async () => {
			await store?.close();
			store = await data.open();
			const lastReserved = await store.open();
			return { store, lastReserved };
		};
		return { start, write: (changes) => store.write(changes), ...(await start()) };
	}

	/** What a store opened now gives back. */
	async function kept({ start }) {
		return replay((await start()).store);
	}

	test(`${kind}: an empty store gives back nothing, and has reserved nothing`, async (t) => {
		const { store, lastReserved } = await setUp(t);
		t.is(lastReserved, 0);
		t.deepEqual(await replay(store), []);
	});

	test(`${kind}: whatever a job holds, it comes back byte by byte, in order`, async (t) => {
		const data = await setUp(t);
		let number = 0;
		const expected = [];
		await fc.assert(
			fc.asyncProperty(fc.array(fields, { minLength: 1, maxLength: 8 }), async (batch) => {
				const jobs = batch.map((values) => jobOf(++number, values));
				await data.write(jobs.map(add));
				expected.push(...jobs);
			}),
			{ numRuns: 40 },
		);
		t.deepEqual(plain(await kept(data)), plain(expected));
	});

	test(`${kind}: empty workloads, NULs and megabytes`, async (t) => {
		const data = await setUp(t);
		const large = Buffer.alloc(1 << 20, "abc\0\xff", "latin1");
		const workloads = [Buffer.alloc(0), Buffer.from([0, 0, 255, 0]), large, large.subarray(7, 1000)];
		const jobs = workloads.map((workload, i) => jobOf(i + 1, { workload }));
		for (const job of jobs) await data.write([add(job)]);
		t.deepEqual(plain(await kept(data)), plain(jobs));
	});

	test(`${kind}: jobs of the same function with the same unique, or none, are all kept`, async (t) => {
		const data = await setUp(t);
		const jobs = ["", "", "u", "u", "-", "-"].map((unique, i) => jobOf(i + 1, { unique }));
		await data.write(jobs.map(add));
		t.deepEqual(plain(await kept(data)), plain(jobs));
	});

	test(`${kind}: a job that is removed does not come back; one that was not there is no fault`, async (t) => {
		const data = await setUp(t);
		const jobs = [1, 2, 3, 4].map((number) => jobOf(number));
		await data.write(jobs.map(add));
		await data.write([remove(jobs[0]), remove(jobs[2]), remove(jobOf(99))]);
		await data.write([add(jobOf(5)), remove(jobOf(5))]);
		t.deepEqual(handles(await kept(data)), ["H:test:2", "H:test:4"]);
		t.deepEqual(handles(await kept(data)), ["H:test:2", "H:test:4"]);
	});

	test(`${kind}: a lost assignment is counted, or an earlier count comes back`, async (t) => {
		const data = await setUp(t);
		await data.write([add(jobOf(1, { retries: 1 })), add(jobOf(2))]);
		await data.write([retry(jobOf(1, { retries: 5 }))]);
		const [first, second] = await kept(data);
		t.true(first.retries === 5 || first.retries === 1);
		t.is(second.retries, 0);
	});

	test(`${kind}: the last number reserved comes back, and it never shrinks`, async (t) => {
		const data = await setUp(t);
		await data.write([reserve(1_000_000), add(jobOf(1))]);
		t.true((await data.start()).lastReserved >= 1_000_000);
		await data.write([reserve(3_000_000)]);
		await data.write([remove(jobOf(1))]);
		t.is((await data.start()).lastReserved, 3_000_000);
	});

	test(`${kind}: a batch of thousands is one batch`, async (t) => {
		const data = await setUp(t);
		const jobs = Array.from({ length: 3000 }, (_, i) => jobOf(i + 1));
		await data.write(jobs.map(add));
		await data.write(jobs.filter((_, i) => i % 3 !== 0).map(remove));
		t.deepEqual(handles(await kept(data)), handles(jobs.filter((_, i) => i % 3 === 0)));
	});

	test(`${kind}: jobs that are written while the old ones are given back are not among those, nor lost`, async (t) => {
		const data = await setUp(t);
		const old = Array.from({ length: 2500 }, (_, i) => jobOf(i + 1));
		await data.write(old.map(add));
		const { store } = await data.start();
		const seen = [];
		for await (const job of store.replay()) {
			seen.push(job);
			// As the server does: a job may be done as soon as it is back.
			if (seen.length % 500 === 0) await store.write([remove(job), add(jobOf(10_000 + seen.length))]);
		}
		t.deepEqual(handles(seen), handles(old));
		const left = old.filter((_, i) => (i + 1) % 500 !== 0);
		const added = [500, 1000, 1500, 2000, 2500].map((n) => jobOf(10_000 + n));
		t.deepEqual(handles(await kept(data)), handles([...left, ...added]));
	});

	test(`${kind}: a replay that is broken off leaves everything as it was`, async (t) => {
		const data = await setUp(t);
		await data.write([1, 2, 3].map((number) => add(jobOf(number))));
		const { store } = await data.start();
		for await (const job of store.replay()) {
			t.is(job.handle, "H:test:1");
			break;
		}
		t.is((await kept(data)).length, 3);
	});
}

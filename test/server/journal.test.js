// Commit, then answer: what clients see of a store that is slow, that fails, and that does both.

import test from "ava";
import { dial, startServer } from "../helpers/server.js";

/** A store whose commits happen when the test says so. */
class HeldStore {
	/** Batches that were written: [kind, workload] of each change. */
	batches = [];
	#waiting = [];
	#arrivals = [];

	async open() {
		return 0;
	}

	async *replay() {}
	async close() {}

	write(changes) {
		// What nobody waits for is written at once.
		const jobs = changes.filter(({ kind }) => kind !== "reserve" && kind !== "retry");
		if (jobs.length === 0) return undefined;
		this.batches.push(jobs.map(({ kind, job }) => [kind, job.workload.toString()]));
		const promise = new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
		this.#arrivals.shift()?.();
		return promise;
	}

	/** Resolves when a batch waits for its commit. */
	async written() {
		if (this.#waiting.length === 0) await new Promise((resolve) => this.#arrivals.push(resolve));
	}

	async commit() {
		await this.written();
		this.#waiting.shift().resolve();
	}

	async fail() {
		await this.written();
		this.#waiting.shift().reject(new Error("disk full"));
	}
}

test("JOB_CREATED comes when the store has committed, and no worker sees the job before", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store });
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	worker.send("CAN_DO", "f");
	client.send("SUBMIT_JOB_BG", "f", "", "x");
	await store.written();
	worker.send("GRAB_JOB");
	t.deepEqual(await worker.next(), ["NO_JOB"]);
	worker.send("PRE_SLEEP");
	t.deepEqual(await worker.settle(), []);
	await store.commit();
	const [name, handle] = await client.next();
	t.is(name, "JOB_CREATED");
	t.deepEqual(await worker.next(), ["NOOP"]);
	worker.send("GRAB_JOB");
	t.is((await worker.next())[1], handle);
	worker.send("WORK_COMPLETE", handle, "");
	await store.commit();
	t.deepEqual(store.batches, [[["add", "x"]], [["remove", "x"]]]);
});

test("answers keep the order of their requests while one waits", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store, version: "1" });
	const client = await dial(t, port);
	client.send("SUBMIT_JOB_BG", "f", "", "1");
	client.send("ECHO_REQ", "a");
	client.send("SUBMIT_JOB", "f", "", "2");
	client.send("SUBMIT_JOB_BG", "f", "", "3");
	client.raw("version\n");
	await store.commit();
	t.deepEqual(await client.next(), ["JOB_CREATED", "H:test:1"]);
	t.deepEqual(await client.next(), ["ECHO_RES", "a"]);
	t.deepEqual(await client.next(), ["JOB_CREATED", "H:test:2"]);
	t.deepEqual(await client.next(), ["JOB_CREATED", "H:test:3"]);
	t.is(await client.next(), "OK 1");
	t.deepEqual(store.batches, [
		[
			["add", "1"],
			["add", "3"],
		],
	]);
});

test("what arrives during a commit is committed together, and other peers do not wait", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store });
	const clients = await Promise.all([1, 2, 3].map(() => dial(t, port)));
	clients[0].send("SUBMIT_JOB_BG", "f", "", "0");
	await store.written();
	clients[1].send("SUBMIT_JOB_BG", "f", "", "1");
	clients[2].send("SUBMIT_JOB_BG", "f", "", "2");
	const witness = await dial(t, port);
	t.is((await witness.list("show jobs")).length, 3);
	await store.commit();
	t.is((await clients[0].next())[0], "JOB_CREATED");
	await store.commit();
	t.is((await clients[1].next())[0], "JOB_CREATED");
	t.is((await clients[2].next())[0], "JOB_CREATED");
	t.is(store.batches.length, 2);
	t.is(store.batches[1].length, 2);
});

test("a submit that joins a job committed earlier still answers in order", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store });
	const [client, other] = [await dial(t, port), await dial(t, port)];
	client.send("SUBMIT_JOB_BG", "f", "u", "");
	await store.commit();
	t.deepEqual(await client.next(), ["JOB_CREATED", "H:test:1"]);
	other.send("SUBMIT_JOB_BG", "f", "v", "");
	await store.written();
	client.send("SUBMIT_JOB_BG", "f", "w", ""); // in the batch after
	client.send("SUBMIT_JOB_BG", "f", "v", ""); // in the batch being written
	client.send("SUBMIT_JOB_BG", "f", "u", ""); // committed already
	await (await dial(t, port)).settle();
	await store.commit();
	t.deepEqual(await other.next(), ["JOB_CREATED", "H:test:2"]);
	await store.commit();
	for (const handle of ["H:test:3", "H:test:2", "H:test:1"]) t.deepEqual(await client.next(), ["JOB_CREATED", handle]);
});

test("a commit that fails answers QUEUE_ERROR and queues nothing", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store });
	const [client, joined] = [await dial(t, port), await dial(t, port)];
	client.send("SUBMIT_JOB_BG", "f", "u", "");
	await store.written();
	joined.send("SUBMIT_JOB_BG", "f", "u", "");
	joined.send("ECHO_REQ", "still held");
	await (await dial(t, port)).settle(); // the server has read both
	await store.fail();
	t.deepEqual(await client.next(), ["ERROR", "QUEUE_ERROR", "QUEUE_ERROR"]);
	t.deepEqual(await joined.next(), ["ERROR", "QUEUE_ERROR", "QUEUE_ERROR"]);
	t.deepEqual(await joined.next(), ["ECHO_RES", "still held"]);
	t.deepEqual(await client.list("show jobs"), []);
});

for (const how of ["rejects", "throws"]) {
	test(`a full store that ${how} is not asked over and over, and answers who submits, however much is done`, async (t) => {
		let isFull = false;
		let refusals = 0;
		const removed = new Set();
		const store = {
			open: async () => 0,
			async *replay() {},
			close: async () => {},
			write(changes) {
				if (!isFull) {
					for (const { kind, job } of changes) if (kind === "remove") removed.add(job.handle);
					return how === "throws" ? undefined : new Promise(setImmediate);
				}
				refusals++;
				if (how === "throws") throw new Error("disk full");
				return Promise.reject(new Error("disk full"));
			},
		};
		const { port } = await startServer(t, { store });
		const [client, worker] = [await dial(t, port), await dial(t, port)];
		worker.send("CAN_DO", "f");
		const handles = [];
		const count = 3000;
		for (let i = 0; i < count; i++) client.send("SUBMIT_JOB_BG", "f", "", "x");
		for (let i = 0; i < count; i++) handles.push((await client.next())[1]);
		for (let i = 0; i < count; i++) worker.send("GRAB_JOB");
		for (let i = 0; i < count; i++) await worker.next();
		isFull = true;
		for (const handle of handles) worker.send("WORK_COMPLETE", handle, "");
		t.deepEqual(await worker.settle(), []);
		for (let i = 0; i < 10; i++) {
			client.send("SUBMIT_JOB_BG", "f", "", "y");
			t.deepEqual((await client.next()).slice(0, 2), ["ERROR", "QUEUE_ERROR"]);
		}
		t.true(refusals < 100, `asked ${refusals} times`);
		t.is(removed.size, 0);
		isFull = false;
		client.send("SUBMIT_JOB_BG", "f", "", "z");
		t.is((await client.next())[0], "JOB_CREATED");
		t.is(removed.size, count);
	});
}

test("a foreground client stays with its job when keeping it fails", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store });
	const [waits, keeps, worker] = [await dial(t, port), await dial(t, port), await dial(t, port)];
	waits.send("SUBMIT_JOB", "f", "u", "x");
	const [, handle] = await waits.next();
	keeps.send("SUBMIT_JOB_BG", "f", "u", "x");
	await store.fail();
	t.is((await keeps.next())[1], "QUEUE_ERROR");
	worker.send("CAN_DO", "f");
	worker.send("GRAB_JOB");
	t.is((await worker.next())[1], handle);
	worker.send("WORK_COMPLETE", handle, "done");
	t.deepEqual(await waits.next(), ["WORK_COMPLETE", handle, "done"]);
	t.is(store.batches.length, 1);
});

test("a job finished or cancelled before its commit ends is removed from the store after it", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store });
	const [client, admin] = [await dial(t, port), await dial(t, port)];
	client.send("SUBMIT_JOB_BG", "f", "", "x");
	await store.written();
	admin.raw("cancel job H:test:1\n");
	t.is(await admin.next(), "OK");
	await store.commit();
	t.deepEqual(await client.next(), ["JOB_CREATED", "H:test:1"]);
	await store.commit();
	t.deepEqual(store.batches, [[["add", "x"]], [["remove", "x"]]]);
	t.deepEqual(await admin.list("status"), ["f\t0\t0\t0"]);
});

test("a client that leaves while its submit is committed leaves the job behind", async (t) => {
	const store = new HeldStore();
	const { port } = await startServer(t, { store });
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	client.send("SUBMIT_JOB_BG", "f", "", "x");
	await store.written();
	client.destroy();
	await store.commit();
	worker.send("CAN_DO", "f");
	for (;;) {
		worker.send("GRAB_JOB");
		const [name] = await worker.next();
		if (name === "JOB_ASSIGN") break;
		worker.send("PRE_SLEEP");
		t.deepEqual(await worker.next(), ["NOOP"]);
	}
	t.pass();
});

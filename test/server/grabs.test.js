import { setImmediate as nextTurn } from "node:timers/promises";
import test from "ava";
import { dial, startServer } from "../helpers/server.js";

/** Somewhat more than any machine needs until two packets follow each other within a millisecond. */
const TRIES = 5000;

/** A client, and a worker whose jobs have come as soon as it slept: its next GRAB_JOB is not answered at once. */
async function setUp(t, options) {
	const { server, port } = await startServer(t, options);
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	worker.send("CAN_DO", "f");
	worker.send("PRE_SLEEP");
	await worker.settle();
	const role = () => [...server.peers].find(({ worker }) => worker !== undefined).worker;
	const demand = async () => {
		for (let i = 0; i < TRIES && !role().isInDemand; i++) {
			client.send("SUBMIT_JOB", "f", "", `${i}`);
			t.deepEqual(await worker.next(), ["NOOP"]);
			worker.send("GRAB_JOB");
			const [, handle] = await worker.next();
			worker.send("WORK_COMPLETE", handle, "");
			worker.send("PRE_SLEEP");
			t.is((await client.next())[0], "JOB_CREATED");
			t.is((await client.next())[0], "WORK_COMPLETE");
		}
		t.true(role().isInDemand);
		t.deepEqual(await worker.settle(), []);
	};
	return { server, port, client, worker, role, demand };
}

for (const [grab, assign, ...unique] of [
	["GRAB_JOB", "JOB_ASSIGN"],
	["GRAB_JOB_UNIQ", "JOB_ASSIGN_UNIQ", "u"],
	["GRAB_JOB_ALL", "JOB_ASSIGN_UNIQ", "u"],
]) {
	test(`a job that comes at once is the answer to ${grab}`, async (t) => {
		const { client, worker, role, demand } = await setUp(t);
		for (let i = 0; ; i++) {
			t.true(i < TRIES);
			await demand();
			worker.send(grab);
			// Open, or told NO_JOB already.
			while (role().openGrab === 0 && role().isInDemand) await nextTurn();
			client.send("SUBMIT_JOB", "f", "u", "text");
			const [, handle] = await client.next();
			const answer = await worker.next();
			if (answer[0] === "NO_JOB") {
				// Too late: the job is there.
				worker.send("GRAB_JOB");
				t.deepEqual(await worker.next(), ["JOB_ASSIGN", handle, "f", "text"]);
			} else t.deepEqual(answer, [assign, handle, "f", ...unique, "text"]);
			worker.send("WORK_COMPLETE", handle, "");
			t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, ""]);
			if (answer[0] !== "NO_JOB") return;
		}
	});
}

test("NO_JOB comes when no job does, and at once from then on", async (t) => {
	const { worker, role, demand } = await setUp(t);
	await demand();
	worker.send("GRAB_JOB");
	t.deepEqual(await worker.next(), ["NO_JOB"]);
	t.false(role().isInDemand);
	t.false(role().isSleeping);
	worker.send("GRAB_JOB");
	t.deepEqual(await worker.settle(), [["NO_JOB"]]);
});

test("whatever else the worker sends is answered behind NO_JOB", async (t) => {
	const { client, worker, demand } = await setUp(t);
	await demand();
	worker.send("GRAB_JOB");
	t.deepEqual(await worker.settle(), [["NO_JOB"]]);
	worker.send("GRAB_JOB");
	worker.send("GRAB_JOB_UNIQ");
	worker.send("GRAB_JOB_ALL");
	t.deepEqual(await worker.settle(), [["NO_JOB"], ["NO_JOB"], ["NO_JOB"]]);
	worker.send("GRAB_JOB");
	worker.raw("getpid\n");
	t.deepEqual(await worker.next(), ["NO_JOB"]);
	t.regex(await worker.next(), /^OK /);
	worker.send("GRAB_JOB");
	worker.send("PRE_SLEEP");
	t.deepEqual(await worker.settle(), [["NO_JOB"]]);
	client.send("SUBMIT_JOB", "f", "", "");
	t.deepEqual(await worker.next(), ["NOOP"]);
});

test("a packet that is too large is complained of behind NO_JOB", async (t) => {
	const { worker, demand } = await setUp(t, { maxPacketBytes: 1000 });
	await demand();
	worker.send("GRAB_JOB");
	worker.send("WORK_COMPLETE", "H:test:1", "x".repeat(2000));
	t.deepEqual(await worker.next(), ["NO_JOB"]);
	t.is((await worker.next())[1], "ARGUMENT_TOO_LARGE");
});

test("a worker that says no more is told NO_JOB before its connection ends", async (t) => {
	const { worker, demand } = await setUp(t);
	await demand();
	worker.send("GRAB_JOB");
	worker.end();
	t.deepEqual(await worker.next(), ["NO_JOB"]);
	t.is(await worker.next(), "closed");
});

test("a worker that is gone gets no job", async (t) => {
	const { client, worker, port, demand } = await setUp(t);
	await demand();
	const other = await dial(t, port);
	other.send("CAN_DO", "f");
	other.send("PRE_SLEEP");
	await other.settle();
	worker.send("GRAB_JOB");
	await worker.close();
	client.send("SUBMIT_JOB", "f", "", "text");
	t.deepEqual(await other.next(), ["NOOP"]);
	other.send("GRAB_JOB");
	t.is((await other.next())[0], "JOB_ASSIGN");
});

test("no job is given once the server finishes", async (t) => {
	const { server, worker, client, demand } = await setUp(t);
	client.send("SUBMIT_JOB", "g", "", "keeps the server up");
	await client.next();
	await demand();
	worker.send("CAN_DO", "g");
	t.deepEqual(await worker.next(), ["NOOP"]);
	worker.send("GRAB_JOB");
	const [, handle] = await worker.next();
	worker.send("GRAB_JOB");
	server.requestStop("finish");
	t.deepEqual(await worker.next(), ["NO_JOB"]);
	worker.send("WORK_COMPLETE", handle, "");
	t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, ""]);
	await server.stopped;
});

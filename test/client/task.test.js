import { fileURLToPath } from "node:url";
import test from "ava";
import { Client } from "../../dist/client/client.js";
import { run } from "../helpers/programs.js";
import { startScripted } from "../helpers/scripted-server.js";
import { startWorker } from "../helpers/scripted-worker.js";
import { startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A client whose server is the test. */
async function setUp(t) {
	const server = await startScripted(t);
	const client = new Client(`127.0.0.1:${server.port}`);
	t.teardown(() => client.close());
	return { server, client };
}

const rejects = (t, promise, code) => t.throwsAsync(() => promise, { name: "GearmanError", code, message: /./ });

/** All events of a task, data as text. */
async function eventsOf(task) {
	const events = [];
	for await (const event of task) events.push("data" in event ? [event.type, event.data.toString()] : event);
	return events;
}

test("awaited, a task gives the data and behind them the result", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const peer = await server.accept();
	await peer.take("H:1");
	peer.answer("WORK_DATA", "H:1", "one ");
	peer.answer("WORK_WARNING", "H:1", "careful");
	peer.answer("WORK_STATUS", "H:1", "1", "2");
	peer.answer("WORK_DATA", "H:1", "two ");
	peer.answer("WORK_COMPLETE", "H:1", "three");
	t.is((await task).toString(), "one two three");
	t.is((await task).toString(), "one two three");
	t.is(await task.handle, "H:1");
	t.true(task.hasEnded);
	t.deepEqual(task.progress, { numerator: 1, denominator: 2 });
});

test("a status is two numbers from 0 on, whatever a worker makes of it", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const peer = await server.accept();
	await peer.take("H:1");
	const endless = "9".repeat(400);
	for (const [numerator, denominator] of [
		["1", "3"],
		["-1", "-3"],
		["much", ""],
		[endless, `-${endless}`],
	]) {
		peer.answer("WORK_STATUS", "H:1", numerator, denominator);
	}
	peer.answer("WORK_COMPLETE", "H:1", "");
	const events = await eventsOf(task);
	t.deepEqual(
		events.slice(0, 4).map(({ numerator, denominator }) => [numerator, denominator]),
		[
			[1, 3],
			[0, 0],
			[0, 0],
			[0, 0],
		],
	);
});

test("iterated, a task gives its events in order, and awaited then the result alone", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const events = eventsOf(task);
	const peer = await server.accept();
	await peer.take("H:1");
	peer.answer("WORK_DATA", "H:1", "one");
	peer.answer("WORK_WARNING", "H:1", "careful");
	await until(() => task.isCreated);
	peer.answer("WORK_STATUS", "H:1", "1", "2");
	peer.answer("WORK_DATA", "H:1", "two");
	peer.answer("WORK_COMPLETE", "H:1", "three");
	t.deepEqual(await events, [
		["data", "one"],
		["warning", "careful"],
		{ type: "status", numerator: 1, denominator: 2 },
		["data", "two"],
	]);
	t.is((await task).toString(), "three");
});

test("iterated late, a task still gives all its data", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const peer = await server.accept();
	await peer.take("H:1");
	peer.answer("WORK_DATA", "H:1", "one");
	peer.answer("WORK_DATA", "H:1", "two");
	peer.answer("WORK_STATUS", "H:1", "1", "2");
	await until(() => task.progress.numerator === 1);
	const events = eventsOf(task);
	peer.answer("WORK_COMPLETE", "H:1", "three");
	t.deepEqual(await events, [
		["data", "one"],
		["data", "two"],
	]);
});

test("an iteration broken off leaves the result", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const first = (async () => {
		for await (const event of task) return event.data.toString();
	})();
	const peer = await server.accept();
	await peer.take("H:1");
	peer.answer("WORK_DATA", "H:1", "one");
	t.is(await first, "one");
	peer.answer("WORK_DATA", "H:1", "two");
	peer.answer("WORK_COMPLETE", "H:1", "three");
	t.is((await task).toString(), "three");
	await rejects(t, eventsOf(task), "BAD_ARGUMENT");
});

test("WORK_FAIL ends task and iteration as JOB_FAILED", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const events = eventsOf(task);
	const peer = await server.accept();
	await peer.take("H:1");
	peer.answer("WORK_FAIL", "H:1");
	await rejects(t, task, "JOB_FAILED");
	await rejects(t, events, "JOB_FAILED");
});

test("WORK_EXCEPTION ends a task as JOB_EXCEPTION with the worker's bytes", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const peer = await server.accept();
	await peer.take("H:1");
	peer.answer("WORK_EXCEPTION", "H:1", Buffer.from([0, 255]));
	t.deepEqual((await rejects(t, task, "JOB_EXCEPTION")).data, Buffer.from([0, 255]));
});

test("a NUL behind the handle does not hide a failure", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f");
	const peer = await server.accept();
	await peer.take("H:1");
	peer.answer("WORK_FAIL", "H:1\0");
	await rejects(t, task, "JOB_FAILED");
});

test("coalesced jobs of one client all get every packet, and the result", async (t) => {
	const server = await startServer(t);
	const client = new Client(`127.0.0.1:${server.port}`);
	t.teardown(() => client.close());
	const tasks = [1, 2, 3].map((i) => client.submit("f", `${i}`, { unique: "key" }));
	const events = [eventsOf(tasks[0]), eventsOf(tasks[1])];
	t.deepEqual(await Promise.all(tasks.map((task) => task.handle)), ["H:test:1", "H:test:1", "H:test:1"]);
	await startWorker(t, server.port, {
		f: (workload) => [
			["WORK_DATA", "a"],
			["WORK_DATA", "b"],
			["WORK_COMPLETE", workload],
		],
	});
	t.is((await tasks[0]).toString(), "1");
	t.is((await tasks[1]).toString(), "1");
	t.is((await tasks[2]).toString(), "ab1");
	const data = [
		["data", "a"],
		["data", "b"],
	];
	t.deepEqual(await Promise.all(events), [data, data]);
	// The handle is free again: nothing more is expected for it.
	t.is((await client.echo("x")).toString(), "x");
});

test("a task nobody awaits rejects in silence", async (t) => {
	const rejections = [];
	const note = (reason) => rejections.push(reason);
	process.on("unhandledRejection", note);
	t.teardown(() => process.off("unhandledRejection", note));
	const { server, client } = await setUp(t);
	client.submit("f");
	const looked = client.submit("f");
	void looked.handle;
	const peer = await server.accept();
	await peer.request();
	await peer.next();
	peer.answer("ERROR", "QUEUE_ERROR", "full");
	peer.answer("ERROR", "QUEUE_ERROR", "full");
	await until(() => looked.hasEnded);
	t.deepEqual(rejections, []);
	await rejects(t, looked, "SERVER_ERROR");
	await rejects(t, looked.handle, "SERVER_ERROR");
});

test("a task of a client that was closed leaves nothing behind that keeps the program alive", async (t) => {
	const script = `import { Client } from "gearman";
		const client = new Client();
		client.close();
		client.submit("f", "", { timeoutMs: 3_600_000 }).catch(({ code }) => console.log(code));`;
	const { stdout } = await run(t, process.execPath, ["--input-type=module", "--eval", script], {
		cwd: fileURLToPath(new URL("../..", import.meta.url)),
	});
	t.is(stdout, "ABORTED\n");
});

test("the timeout is the longest wait for a sign of life, not for the result", async (t) => {
	const { server, client } = await setUp(t);
	const task = client.submit("f", "", { timeoutMs: 300 });
	const peer = await server.accept();
	await peer.take("H:1");
	const began = Date.now();
	// Signs of life for longer than the timeout, each well within it.
	await new Promise((resolve) => {
		const timer = setInterval(() => {
			peer.answer("WORK_STATUS", "H:1", "1", "2");
			if (Date.now() - began < 450) return;
			clearInterval(timer);
			resolve();
		}, 20);
	});
	t.false(task.hasEnded);
	const error = await rejects(t, task, "TIMED_OUT");
	t.true(error.mayHaveRun);
	t.true(Date.now() - began >= 700);
});

test("a signal ends a task and its iteration; later packets of it are dropped", async (t) => {
	const { server, client } = await setUp(t);
	const abort = new AbortController();
	const task = client.submit("f", "", { signal: abort.signal });
	const events = eventsOf(task);
	const peer = await server.accept();
	await peer.take("H:1");
	await task.handle;
	abort.abort("enough");
	const error = await rejects(t, task, "ABORTED");
	t.is(error.cause, "enough");
	t.true(error.mayHaveRun);
	await rejects(t, events, "ABORTED");
	peer.answer("WORK_DATA", "H:1", "late");
	peer.answer("WORK_COMPLETE", "H:1", "late");
	const echo = client.echo("x");
	await peer.next();
	peer.answer("ECHO_RES", "x");
	t.is((await echo).toString(), "x");
});

test("an iterator far behind stops the reading, and loses nothing", async (t) => {
	const chunk = Buffer.alloc(1024 * 1024, "x");
	const chunks = 64;
	const start = async () => {
		const { server, client } = await setUp(t);
		const task = client.submit("f");
		const iterator = task[Symbol.asyncIterator]();
		const first = iterator.next();
		const peer = await server.accept();
		await peer.take("H:1");
		let isBehindRead = false;
		const echo = client.echo("behind").then(() => {
			isBehindRead = true;
		});
		await peer.next();
		for (let i = 0; i < chunks; i++) peer.answer("WORK_DATA", "H:1", chunk);
		peer.answer("ECHO_RES", "behind");
		peer.answer("WORK_COMPLETE", "H:1", "end");
		return { task, iterator, echo, isBehindRead: () => isBehindRead, bytes: (await first).value.data.length };
	};
	const slow = await start();
	const quick = await start();
	const readAll = async ({ task, iterator, echo, bytes }) => {
		let sum = bytes;
		for await (const event of iterator) sum += event.data.length;
		await echo;
		t.is(sum, chunks * chunk.length);
		t.is((await task).toString(), "end");
	};
	await readAll(quick);
	// As much has gone over another connection meanwhile.
	t.false(slow.isBehindRead());
	await readAll(slow);
});

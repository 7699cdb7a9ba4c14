import { once } from "node:events";
import { createServer } from "node:net";
import test from "ava";
import { Client } from "../../dist/client/client.js";
import { GearmanError } from "../../dist/errors.js";
import { encode, MAGIC_RESPONSE } from "../../dist/protocol/packet.js";
import { Server } from "../../dist/server/server.js";
import { Worker } from "../../dist/worker/worker.js";
import { DEADLINE_MS, startServer, Wire } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A port that plays server: `accept()` gives the next connection as a Wire. */
async function listen(t) {
	const arrived = [];
	const waiting = [];
	const server = createServer((socket) => {
		const wire = new Wire(socket);
		wire.answer = (name, ...fields) => socket.write(encode(MAGIC_RESPONSE, name, fields));
		t.teardown(() => socket.destroy());
		const resolve = waiting.shift();
		if (resolve) resolve(wire);
		else arrived.push(wire);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.teardown(() => server.close());
	const accept = () => (arrived.length > 0 ? arrived.shift() : new Promise((resolve) => waiting.push(resolve)));
	return { port: server.address().port, accept };
}

/** Runs the worker until the test ends. */
function start(t, worker) {
	const ran = worker.run();
	t.teardown(async () => {
		worker.kill();
		await ran;
	});
	return ran;
}

function connectClient(t, port) {
	const client = new Client(`127.0.0.1:${port}`);
	t.teardown(() => client.close());
	return client;
}

/** A promise and how to settle it. */
function defer() {
	let resolve;
	const promise = new Promise((settle) => {
		resolve = settle;
	});
	return { promise, resolve };
}

/** Where a worker has come to rest: it has asked, got nothing and sleeps. */
async function fallAsleep(wire) {
	for (;;) {
		const [name] = await wire.next();
		if (name === "GRAB_JOB_ALL") break;
	}
	wire.answer("NO_JOB");
	return wire.next();
}

test("a worker names itself, claims its functions, the first one last, and asks for a job", async (t) => {
	const { port, accept } = await listen(t);
	const worker = new Worker(`127.0.0.1:${port}`, { id: "me" });
	worker.add("first", () => undefined).add("second", () => undefined, { timeoutMs: 1500 });
	start(t, worker);
	const wire = await accept();
	t.deepEqual(await wire.next(), ["SET_CLIENT_ID", "me"]);
	t.deepEqual(await wire.next(), ["CAN_DO_TIMEOUT", "second", "1500"]);
	t.deepEqual(await wire.next(), ["CAN_DO", "first"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
});

test("a worker sleeps when there is no job and asks again when it is woken", async (t) => {
	const { port, accept } = await listen(t);
	start(
		t,
		new Worker(`127.0.0.1:${port}`).add("x", () => undefined),
	);
	const wire = await accept();
	t.deepEqual(await fallAsleep(wire), ["PRE_SLEEP"]);
	wire.answer("NOOP");
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	wire.answer("NOOP");
	wire.answer("NO_JOB");
	t.deepEqual(await wire.next(), ["PRE_SLEEP"]);
});

test("a server that does not know GRAB_JOB_ALL is asked by GRAB_JOB_UNIQ, or by GRAB_JOB", async (t) => {
	const { port, accept } = await listen(t);
	const errors = [];
	const worker = new Worker(`127.0.0.1:${port}`, { onServerError: (_server, error) => errors.push(error.serverCode) });
	worker
		.add("x", (job) => job.workload)
		.add("bad", () => {
			throw new Error("went wrong");
		});
	start(t, worker);
	const wire = await accept();
	await wire.next();
	await wire.next();
	for (const grab of ["GRAB_JOB_ALL", "GRAB_JOB_UNIQ"]) {
		t.deepEqual(await wire.next(), [grab]);
		wire.answer("ERROR", "server_error", "no such command");
		t.deepEqual(await wire.next(), ["ECHO_REQ", ""]);
		wire.answer("ECHO_RES", "");
	}
	t.deepEqual(await wire.next(), ["GRAB_JOB"]);
	wire.answer("JOB_ASSIGN", "H:1", "x", "data");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", "data"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB"]);
	// A server of that kind takes a WORK_EXCEPTION for news of a job that goes on.
	wire.answer("JOB_ASSIGN", "H:2", "bad", "");
	t.deepEqual(await wire.next(), ["WORK_EXCEPTION", "H:2", "went wrong"]);
	t.deepEqual(await wire.next(), ["WORK_FAIL", "H:2"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB"]);
	t.deepEqual(errors, []);
});

test("an ERROR of something else that comes while a worker asks is told, and the worker goes on asking", async (t) => {
	const { port, accept } = await listen(t);
	const errors = [];
	const worker = new Worker(`127.0.0.1:${port}`, { onServerError: (_server, error) => errors.push(error.serverCode) });
	start(
		t,
		worker.add("x", () => "done"),
	);
	const wire = await accept();
	t.deepEqual(await wire.next(), ["CAN_DO", "x"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	wire.answer("JOB_ASSIGN", "H:1", "x", "");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", "done"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	wire.answer("ERROR", "JOB_NOT_FOUND", "that job is gone");
	wire.answer("JOB_ASSIGN", "H:2", "x", "");
	t.deepEqual(await wire.next(), ["ECHO_REQ", ""]);
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:2", "done"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	// Comes while the worker asks again.
	wire.answer("ECHO_RES", "");
	wire.answer("NO_JOB");
	t.deepEqual(await wire.next(), ["PRE_SLEEP"]);
	t.deepEqual(errors, ["JOB_NOT_FOUND"]);
});

test("a server that knows no way to ask for a job leaves its worker's turns to the other servers", async (t) => {
	const { port, accept } = await listen(t);
	const { port: good } = await startServer(t);
	const errors = [];
	const worker = new Worker([`127.0.0.1:${port}`, `127.0.0.1:${good}`], {
		onServerError: (_server, error) => errors.push(error.serverCode),
	});
	start(
		t,
		worker.add("x", () => "done"),
	);
	const wire = await accept();
	t.deepEqual(await wire.next(), ["CAN_DO", "x"]);
	for (const grab of ["GRAB_JOB_ALL", "GRAB_JOB_UNIQ", "GRAB_JOB"]) {
		t.deepEqual(await wire.next(), [grab]);
		wire.answer("ERROR", "server_error", "no such command");
		t.deepEqual(await wire.next(), ["ECHO_REQ", ""]);
		wire.answer("ECHO_RES", "");
	}
	t.is((await connectClient(t, good).submit("x")).toString(), "done");
	t.deepEqual(errors, ["server_error"]);
});

test("a worker that may do two jobs asks for the second at once, and then neither asks nor sleeps", async (t) => {
	const { port, accept } = await listen(t);
	const ends = [];
	const worker = new Worker(`127.0.0.1:${port}`, { concurrency: 2 });
	worker.add("x", () => new Promise((resolve) => ends.push(resolve)));
	start(t, worker);
	const wire = await accept();
	t.deepEqual(await wire.next(), ["CAN_DO", "x"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	wire.answer("JOB_ASSIGN", "H:1", "x", "");
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	wire.answer("JOB_ASSIGN_UNIQ", "H:2", "x", "unique", "");
	wire.answer("NOOP");
	await until(() => ends.length === 2);
	ends[1]("two");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:2", "two"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	wire.answer("NO_JOB");
	t.deepEqual(await wire.next(), ["PRE_SLEEP"]);
	ends[0]("one");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", "one"]);
	wire.answer("NOOP");
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
});

test("a job has the fields of its packet, names as text and the workload as bytes", async (t) => {
	const { port, accept } = await listen(t);
	const jobs = [];
	start(
		t,
		new Worker(`127.0.0.1:${port}`).add("größe", (job) => {
			jobs.push(job);
		}),
	);
	const wire = await accept();
	await wire.next();
	await wire.next();
	const name = Buffer.from("größe");
	wire.answer("JOB_ASSIGN_ALL", "H:1", name, "u", "reduce", Buffer.from([0, 255, 0]));
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", ""]);
	await wire.next();
	wire.answer("JOB_ASSIGN", "H:2", name, "");
	await wire.next();
	t.like(jobs[0], { handle: "H:1", functionName: "größe", unique: "u", reducer: "reduce" });
	t.deepEqual(jobs[0].workload, Buffer.from([0, 255, 0]));
	t.like(jobs[1], { handle: "H:2", functionName: "größe", unique: "", reducer: "" });
});

test("an exception is sent as WORK_EXCEPTION and no WORK_FAIL behind it", async (t) => {
	const { port, accept } = await listen(t);
	start(
		t,
		new Worker(`127.0.0.1:${port}`).add("x", () => {
			throw new Error("no such thing");
		}),
	);
	const wire = await accept();
	await wire.next();
	await wire.next();
	wire.answer("JOB_ASSIGN", "H:1", "x", "");
	t.deepEqual(await wire.next(), ["WORK_EXCEPTION", "H:1", "no such thing"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
});

test("an added function wakes a sleeping worker", async (t) => {
	const { port, accept } = await listen(t);
	const worker = new Worker(`127.0.0.1:${port}`).add("x", () => undefined);
	start(t, worker);
	const wire = await accept();
	t.deepEqual(await fallAsleep(wire), ["PRE_SLEEP"]);
	worker.add("y", () => "done");
	t.deepEqual(await wire.next(), ["CAN_DO", "y"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	wire.answer("JOB_ASSIGN", "H:1", "y", "");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", "done"]);
	t.throws(() => worker.add("y", () => undefined), { code: "BAD_ARGUMENT" });
});

test("a removed function is given up when its last job has ended", async (t) => {
	const { port, accept } = await listen(t);
	const end = defer();
	const worker = new Worker(`127.0.0.1:${port}`, { concurrency: 2 });
	worker.add("x", () => end.promise).add("y", () => undefined);
	start(t, worker);
	const wire = await accept();
	for (const name of ["CAN_DO", "CAN_DO", "GRAB_JOB_ALL"]) t.is((await wire.next())[0], name);
	wire.answer("JOB_ASSIGN", "H:1", "x", "");
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	worker.remove("y").remove("x");
	wire.answer("NO_JOB");
	t.deepEqual(await wire.next(), ["CANT_DO", "y"]);
	end.resolve("finished");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", "finished"]);
	t.deepEqual(await wire.next(), ["CANT_DO", "x"]);
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
});

test("stop waits until the server has read the last result", async (t) => {
	const { port, accept } = await listen(t);
	const end = defer();
	const worker = new Worker(`127.0.0.1:${port}`).add("x", () => end.promise);
	const ran = start(t, worker);
	const wire = await accept();
	await wire.next();
	await wire.next();
	wire.answer("JOB_ASSIGN", "H:1", "x", "");
	const stopped = worker.stop();
	wire.answer("NOOP");
	end.resolve("last");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", "last"]);
	t.deepEqual(await wire.next(), ["ECHO_REQ", ""]);
	wire.answer("ECHO_RES", "");
	t.is(await wire.next(), "closed");
	await stopped;
	await ran;
});

test("a job granted while the worker stops is done", async (t) => {
	const { port, accept } = await listen(t);
	const worker = new Worker(`127.0.0.1:${port}`).add("x", () => "done");
	start(t, worker);
	const wire = await accept();
	await wire.next();
	t.deepEqual(await wire.next(), ["GRAB_JOB_ALL"]);
	const stopped = worker.stop();
	wire.answer("JOB_ASSIGN", "H:1", "x", "");
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:1", "done"]);
	t.deepEqual(await wire.next(), ["ECHO_REQ", ""]);
	wire.answer("ECHO_RES", "");
	await stopped;
});

test("a lost connection aborts its jobs, and their results are not sent on the next one", async (t) => {
	const { port, accept } = await listen(t);
	const end = defer();
	const lost = defer();
	const worker = new Worker(`127.0.0.1:${port}`, { concurrency: 2 });
	worker.add("x", (job) => {
		job.signal.addEventListener("abort", () => lost.resolve(job));
		return end.promise;
	});
	start(t, worker);
	const first = await accept();
	await first.next();
	await first.next();
	first.answer("JOB_ASSIGN", "H:1", "x", "");
	t.deepEqual(await first.next(), ["GRAB_JOB_ALL"]);
	first.destroy();
	const job = await lost.promise;
	t.is(job.signal.reason.code, "CONNECTION_LOST");
	const second = await accept();
	t.deepEqual(await second.next(), ["CAN_DO", "x"]);
	t.deepEqual(await second.next(), ["GRAB_JOB_ALL"]);
	await job.sendData("nobody hears this");
	end.resolve("nor this");
	second.answer("NO_JOB");
	t.deepEqual(await second.next(), ["PRE_SLEEP"]);
});

test("a server that hangs up is reported once, however often it is tried", async (t) => {
	const reports = [];
	const { port, accept } = await listen(t);
	const worker = new Worker(`127.0.0.1:${port}`, {
		onConnect: () => reports.push("connected"),
		onDisconnect: (_server, error) => reports.push(error.code),
	}).add("x", () => undefined);
	start(t, worker);
	for (let attempt = 0; attempt < 3; attempt++) (await accept()).destroy();
	const wire = await accept();
	t.deepEqual(await fallAsleep(wire), ["PRE_SLEEP"]);
	t.deepEqual(reports, ["CONNECTION_LOST", "connected"]);
});

test("something that is not Gearman is hung up on and tried again", async (t) => {
	const { port, accept } = await listen(t);
	const codes = [];
	const worker = new Worker(`127.0.0.1:${port}`, { onDisconnect: (_server, error) => codes.push(error.code) });
	start(t, worker);
	(await accept()).raw("220 mail.example.org ESMTP\r\n");
	await accept();
	t.deepEqual(codes, ["INVALID_RESPONSE"]);
});

test("text, bytes and nothing are results, and JOB_FAILED is a failure", async (t) => {
	const { port } = await startServer(t);
	const worker = new Worker(`127.0.0.1:${port}`)
		.add("text", async () => "grün")
		.add("bytes", async (job) => job.workload.subarray(1))
		.add("nothing", async () => undefined)
		.add("large", (job) => Buffer.concat([job.workload, job.workload]))
		.add("fails", () => {
			throw new GearmanError("JOB_FAILED");
		})
		.add("throws", async () => {
			throw new GearmanError("JOB_EXCEPTION", undefined, { data: Buffer.from([0, 1]) });
		});
	start(t, worker);
	const client = connectClient(t, port);
	t.is((await client.submit("text")).toString(), "grün");
	t.deepEqual(await client.submit("bytes", Buffer.from([1, 0, 255])), Buffer.from([0, 255]));
	t.is((await client.submit("nothing")).length, 0);
	const large = Buffer.alloc(200_000, "large");
	t.deepEqual(await client.submit("large", large), Buffer.concat([large, large]));
	await t.throwsAsync(async () => client.submit("fails"), { code: "JOB_FAILED" });
	const error = await t.throwsAsync(async () => client.submit("throws"), { code: "JOB_EXCEPTION" });
	t.deepEqual(error.data, Buffer.from([0, 1]));
});

test("data, warnings and status reach the client in order", async (t) => {
	const { port } = await startServer(t);
	const worker = new Worker(`127.0.0.1:${port}`).add("x", async (job) => {
		await job.sendData("a");
		job.sendStatus(1, 2);
		await job.sendWarning("careful");
		await job.sendData(Buffer.from("b"));
		t.throws(() => job.sendStatus(-1, 2), { code: "BAD_ARGUMENT" });
		return "c";
	});
	start(t, worker);
	const events = [];
	const task = connectClient(t, port).submit("x");
	for await (const { type, data, numerator, denominator } of task) {
		events.push(type === "status" ? `${numerator}/${denominator}` : `${type} ${data}`);
	}
	t.deepEqual(events, ["data a", "1/2", "warning careful", "data b"]);
	t.is((await task).toString(), "c");
});

test("one worker serves several servers under one limit", async (t) => {
	const ports = [(await startServer(t)).port, (await startServer(t)).port];
	let running = 0;
	let most = 0;
	const worker = new Worker(
		ports.map((port) => `127.0.0.1:${port}`),
		{ concurrency: 3 },
	).add("x", async (job) => {
		most = Math.max(most, ++running);
		await new Promise((resolve) => setImmediate(resolve));
		running--;
		return job.workload;
	});
	start(t, worker);
	const clients = ports.map((port) => connectClient(t, port));
	const results = await Promise.all(
		Array.from({ length: 100 }, async (_, i) => (await clients[i % 2].submit("x", String(i))).toString()),
	);
	t.deepEqual(
		results,
		Array.from({ length: 100 }, (_, i) => String(i)),
	);
	t.true(most <= 3, `${most} at once`);
});

test("a server that is away does not keep the worker from serving the others", async (t) => {
	const { port: closedPort, accept } = await listen(t);
	const { port } = await startServer(t);
	start(
		t,
		new Worker([`127.0.0.1:${closedPort}`, `127.0.0.1:${port}`]).add("x", () => "served"),
	);
	(await accept()).destroy();
	t.is((await connectClient(t, port).submit("x")).toString(), "served");
});

test("a worker works on when its server has restarted", async (t) => {
	const before = new Server({ listen: ["127.0.0.1"], port: 0 });
	await before.start();
	const { port } = before;
	const reports = [];
	const worker = new Worker(`127.0.0.1:${port}`, {
		onConnect: () => reports.push("connected"),
		onDisconnect: () => reports.push("disconnected"),
	}).add("x", () => "served");
	start(t, worker);
	await until(() => reports.length === 1);
	await before.stop();
	await until(() => reports.length === 2);
	await startServer(t, { port });
	t.is((await connectClient(t, port).submit("x")).toString(), "served");
	t.deepEqual(reports, ["connected", "disconnected", "connected"]);
});

test("kill gives the running job back to the server", async (t) => {
	const { port } = await startServer(t);
	const started = defer();
	const first = new Worker(`127.0.0.1:${port}`).add("x", (job) => {
		started.resolve(job);
		return new Promise(() => undefined);
	});
	const ran = first.run();
	const task = connectClient(t, port).submit("x");
	const job = await started.promise;
	first.kill();
	await ran;
	t.is(job.signal.reason.code, "ABORTED");
	start(
		t,
		new Worker(`127.0.0.1:${port}`).add("x", () => "by the second worker"),
	);
	t.is((await task).toString(), "by the second worker");
});

test("an aborted signal kills the worker", async (t) => {
	const { port } = await startServer(t);
	const controller = new AbortController();
	const ran = new Worker(`127.0.0.1:${port}`).add("x", () => undefined).run({ signal: controller.signal });
	controller.abort();
	await t.notThrowsAsync(ran);
	await t.notThrowsAsync(new Worker(`127.0.0.1:${port}`, { signal: controller.signal }).run());
});

test("a worker stops by itself after maxJobs jobs, and takes no more than those", async (t) => {
	const { port, server } = await startServer(t);
	const client = connectClient(t, port);
	const tasks = Array.from({ length: 5 }, () => client.submit("x"));
	await Promise.all(tasks.map((task) => task.handle));
	const worker = new Worker(`127.0.0.1:${port}`, { concurrency: 4, maxJobs: 3 });
	await worker.add("x", () => "done").run();
	await Promise.race([tasks[2], new Promise((_, reject) => setTimeout(reject, DEADLINE_MS).unref())]);
	t.is(server.jobs.size, 2);
});

test("a worker disposes of itself by finishing its job", async (t) => {
	const { port } = await startServer(t);
	const started = defer();
	const end = defer();
	const worker = new Worker(`127.0.0.1:${port}`).add("x", () => {
		started.resolve();
		return end.promise;
	});
	const ran = worker.run();
	const task = connectClient(t, port).submit("x");
	await started.promise;
	const disposed = worker[Symbol.asyncDispose]();
	end.resolve("done");
	await disposed;
	await ran;
	t.is((await task).toString(), "done");
	await t.throwsAsync(worker.run(), { code: "BAD_ARGUMENT" });
});

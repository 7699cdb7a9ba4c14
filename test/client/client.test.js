import test from "ava";
import { Client } from "../../dist/client/client.js";
import { freePort } from "../helpers/free-port.js";
import { startScripted } from "../helpers/scripted-server.js";
import { startWorker } from "../helpers/scripted-worker.js";
import { dial, startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const reverse = (workload) => [["WORK_COMPLETE", [...workload].reverse().join("")]];

function connectTo(t, servers, options) {
	const names = [servers].flat().map((server) => (typeof server === "object" ? `127.0.0.1:${server.port}` : server));
	const client = new Client(names, options);
	t.teardown(() => client.close());
	return client;
}

const rejects = (t, promise, code, more = {}) =>
	t.throwsAsync(() => promise, { name: "GearmanError", code, message: /./, ...more });

test("a submitted job gives its result", async (t) => {
	const server = await startServer(t);
	await startWorker(t, server.port, { reverse });
	const client = connectTo(t, server);
	t.is((await client.submit("reverse", "hello")).toString(), "olleh");
	t.deepEqual(await client.submit("reverse", new Uint8Array([0, 255, 1])), Buffer.from([1, 255, 0]));
	t.is((await client.submit("reverse")).length, 0);
});

test("names outside ASCII are sent as UTF-8", async (t) => {
	const server = await startScripted(t);
	const task = connectTo(t, server).submit("größe", "", { unique: "schlüssel" });
	const peer = await server.accept();
	const [, name, unique] = await peer.take("H:ä".normalize());
	t.is(Buffer.from(name, "latin1").toString(), "größe");
	t.is(Buffer.from(unique, "latin1").toString(), "schlüssel");
	t.is(task.unique, "schlüssel");
});

test("a workload too big to be copied arrives whole", async (t) => {
	const server = await startServer(t);
	await startWorker(t, server.port, { echo: (workload) => [["WORK_COMPLETE", Buffer.from(workload, "latin1")]] });
	const workload = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
	t.true((await connectTo(t, server).submit("echo", workload)).equals(workload));
});

for (const [options, packet] of [
	[{}, "SUBMIT_JOB"],
	[{ priority: "high" }, "SUBMIT_JOB_HIGH"],
	[{ priority: "low" }, "SUBMIT_JOB_LOW"],
	[{ reducer: "sum" }, "SUBMIT_REDUCE_JOB"],
]) {
	test(`submit ${JSON.stringify(options)} is ${packet}`, async (t) => {
		const server = await startScripted(t);
		connectTo(t, server).submit("f", "w", { unique: "u", ...options });
		const request = await (await server.accept()).request();
		t.deepEqual(request, [packet, "f", "u", ...(options.reducer ? ["sum", "0"] : []), "w"]);
	});
}

for (const [options, packet, ...fields] of [
	[{}, "SUBMIT_JOB_BG"],
	[{ priority: "high" }, "SUBMIT_JOB_HIGH_BG"],
	[{ priority: "low" }, "SUBMIT_JOB_LOW_BG"],
	[{ reducer: "sum" }, "SUBMIT_REDUCE_JOB_BACKGROUND", "sum", "0"],
	[{ at: 2_000_000_000 }, "SUBMIT_JOB_EPOCH", "2000000000"],
	[{ at: new Date(2_000_000_000_001) }, "SUBMIT_JOB_EPOCH", "2000000001"],
]) {
	test(`background ${JSON.stringify(options)} is ${packet}, and gives the handle`, async (t) => {
		const server = await startScripted(t);
		const handle = connectTo(t, server).background("f", "w", { unique: "u", ...options });
		t.deepEqual(await (await server.accept()).take("H:1"), [packet, "f", "u", ...fields, "w"]);
		t.is(await handle, "H:1");
	});
}

test("delayMs is rounded up to whole seconds, never early", async (t) => {
	const server = await startScripted(t);
	const before = Date.now();
	connectTo(t, server)
		.background("f", "", { delayMs: 1500 })
		.catch(() => {});
	const [, , , epoch] = await (await server.accept()).request();
	t.true(Number(epoch) * 1000 >= before + 1500);
	t.true(Number(epoch) * 1000 <= Date.now() + 2500);
});

test("what cannot be sent as asked is refused before anything is sent", async (t) => {
	const client = connectTo(t, `127.0.0.1:${await freePort()}`);
	const refused = { name: "GearmanError", code: "BAD_ARGUMENT" };
	t.throws(() => client.submit("a\0b"), refused);
	t.throws(() => client.submit("f", "", { unique: "a\0b" }), refused);
	t.throws(() => client.submit("f", "", { priority: "high", reducer: "r" }), refused);
	await t.throwsAsync(client.background("f", "", { at: Number.NaN }), refused);
	await t.throwsAsync(client.background("f", "", { at: 1, delayMs: 1 }), refused);
	await t.throwsAsync(client.background("f", "", { at: 1, reducer: "r" }), refused);
	await t.throwsAsync(client.background("f", "", { at: 1, priority: "low" }), refused);
	await t.throwsAsync(client.status("a\0b"), refused);
	t.throws(() => new Client([]), refused);
	t.throws(() => new Client("a:b"), refused);
});

test("without a key each job gets a UUID of its own", async (t) => {
	const server = await startScripted(t);
	const client = connectTo(t, server);
	const tasks = [client.submit("f"), client.submit("f", "", { unique: "" })];
	const peer = await server.accept();
	const keys = [(await peer.take("H:1"))[2], (await peer.take("H:2"))[2]];
	for (const key of keys) t.regex(key, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
	t.is(new Set(keys).size, 2);
	t.deepEqual(
		tasks.map((task) => task.unique),
		keys,
	);
});

test("exceptions are asked for once a connection, before the first job, unless they are not wanted", async (t) => {
	const server = await startScripted(t);
	const client = connectTo(t, server);
	client.submit("f");
	client.submit("g");
	const peer = await server.accept();
	t.deepEqual(await peer.next(), ["OPTION_REQ", "exceptions"]);
	t.is((await peer.next())[1], "f");
	t.is((await peer.next())[1], "g");
	connectTo(t, server, { exceptions: false }).submit("f");
	t.is((await (await server.accept()).next())[0], "SUBMIT_JOB");
});

test("a server that does not know the option serves all the same", async (t) => {
	const server = await startScripted(t);
	const task = connectTo(t, server).submit("f");
	const peer = await server.accept();
	await peer.next();
	peer.answer("ERROR", "UNKNOWN_OPTION", "Server does not recognize given option");
	await peer.take("H:1");
	peer.answer("WORK_COMPLETE", "H:1", "done");
	t.is((await task).toString(), "done");
});

test("answers go to the requests in order, each to its own kind", async (t) => {
	const server = await startServer(t);
	const client = connectTo(t, server);
	const [handle, first, status, second, byUnique] = await Promise.all([
		client.background("f", "w", { unique: "key" }),
		client.echo("one"),
		client.status("H:none:1"),
		client.echo("two"),
		client.statusUnique("key"),
	]);
	t.is(handle, "H:test:1");
	t.is(first.toString(), "one");
	t.is(second.toString(), "two");
	t.deepEqual(status, { isKnown: false, isRunning: false, numerator: 0, denominator: 0 });
	t.deepEqual(byUnique, { isKnown: true, isRunning: false, numerator: 0, denominator: 0, clients: 0 });
	t.true((await client.status(handle)).isKnown);
});

test("the status of a running job says how far it is", async (t) => {
	const server = await startServer(t);
	const client = connectTo(t, server);
	const worker = await dial(t, server.port);
	worker.send("CAN_DO", "f");
	const task = client.submit("f", "", { unique: "key" });
	const handle = await task.handle;
	worker.send("GRAB_JOB");
	worker.send("WORK_STATUS", handle, "3", "4");
	await worker.settle();
	t.deepEqual(await client.status(handle), { isKnown: true, isRunning: true, numerator: 3, denominator: 4 });
	t.is((await client.statusUnique("key")).clients, 1);
	await until(() => task.progress.numerator === 3);
	t.deepEqual(task.progress, { numerator: 3, denominator: 4 });
});

test("an ERROR answers its own request and no other", async (t) => {
	const server = await startScripted(t);
	const client = connectTo(t, server);
	const tasks = [client.submit("a"), client.submit("b")];
	const peer = await server.accept();
	await peer.request();
	await peer.next();
	peer.answer("ERROR", "QUEUE_ERROR", "Job queue is full");
	peer.answer("JOB_CREATED", "H:2");
	peer.answer("WORK_COMPLETE", "H:2", "b");
	const error = await rejects(t, tasks[0], "SERVER_ERROR", { message: /Job queue is full/ });
	t.is(error.serverCode, "QUEUE_ERROR");
	t.is((await tasks[1]).toString(), "b");
});

for (const [title, send] of [
	["an answer of another kind", (peer) => peer.answer("STATUS_RES", "H:1", "1", "1", "0", "0")],
	[
		"an answer nobody asked for",
		(peer) => {
			peer.answer("JOB_CREATED", "H:1");
			peer.answer("JOB_CREATED", "H:2");
		},
	],
	["a request", (peer) => peer.send("ECHO_REQ", "x")],
	["a packet too short", (peer) => peer.answer("WORK_STATUS", "H:1")],
	["a worker's packet", (peer) => peer.answer("NO_JOB")],
	["a line of text", (peer) => peer.raw("hello\n")],
]) {
	test(`${title} from the server ends the connection as INVALID_RESPONSE`, async (t) => {
		const server = await startScripted(t);
		const task = connectTo(t, server).submit("f");
		const peer = await server.accept();
		await peer.request();
		send(peer);
		t.true((await rejects(t, task, "INVALID_RESPONSE")).mayHaveRun);
		t.is(await peer.next(), "closed");
	});
}

test("no server: the refusal names it, and nothing may have run", async (t) => {
	const port = await freePort();
	const client = connectTo(t, `127.0.0.1:${port}`);
	const message = `could not connect to 127.0.0.1:${port}: connection refused`;
	t.false((await rejects(t, client.submit("f"), "COULD_NOT_CONNECT", { message })).mayHaveRun);
	await rejects(t, client.background("f"), "COULD_NOT_CONNECT", { message });
	await rejects(t, client.status("H:1"), "COULD_NOT_CONNECT", { message });
});

test("a connection lost before JOB_CREATED is reported and the job not sent again", async (t) => {
	const server = await startScripted(t);
	const client = connectTo(t, server);
	const task = client.submit("f");
	const first = await server.accept();
	await first.request();
	first.destroy();
	t.true((await rejects(t, task, "CONNECTION_LOST")).mayHaveRun);
	// The next call connects anew; it alone is sent.
	const echo = client.echo("still there");
	const second = await server.accept();
	t.deepEqual(await second.request(), ["ECHO_REQ", "still there"]);
	second.answer("ECHO_RES", "still there");
	t.is((await echo).toString(), "still there");
});

test("a connection lost later ends all tasks on it as CONNECTION_LOST", async (t) => {
	const server = await startScripted(t);
	const client = connectTo(t, server);
	const tasks = [client.submit("f"), client.submit("f"), client.submit("f")];
	const peer = await server.accept();
	await peer.take("H:1");
	await peer.take("H:2");
	await tasks[1].handle;
	peer.destroy();
	for (const task of tasks) t.true((await rejects(t, task, "CONNECTION_LOST")).mayHaveRun);
});

test("a client comes back to a server that was restarted", async (t) => {
	const first = await startServer(t);
	const client = connectTo(t, first);
	await client.echo("x");
	await first.server.stop();
	const again = await startServer(t, { port: first.port });
	await startWorker(t, again.port, { reverse });
	const result = await until(() => client.submit("reverse", "ab"));
	t.is(result.toString(), "ba");
});

test("a server that is down is passed over", async (t) => {
	const server = await startServer(t);
	await startWorker(t, server.port, { reverse });
	const client = connectTo(t, [`127.0.0.1:${await freePort()}`, server]);
	for (let i = 0; i < 4; i++) t.is((await client.submit("reverse", "ab")).toString(), "ba");
	t.is((await client.submit("reverse", "ab", { unique: "key" })).toString(), "ba");
});

test("jobs without a key take turns between the servers", async (t) => {
	const servers = [await startServer(t), await startServer(t)];
	const client = connectTo(t, servers);
	for (let i = 0; i < 6; i++) await client.background("f");
	for (const { port } of servers) t.deepEqual(await (await dial(t, port)).list("status"), ["f\t3\t0\t0"]);
});

test("jobs of one key go to one server, whatever the order of the list, and many keys to all", async (t) => {
	const servers = [await startServer(t), await startServer(t), await startServer(t)];
	const clients = [connectTo(t, servers), connectTo(t, servers.toReversed())];
	const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`);
	for (const client of clients) await Promise.all(keys.map((unique) => client.background("f", "", { unique })));
	const counts = [];
	for (const { port } of servers) {
		const [line] = await (await dial(t, port)).list("status");
		counts.push(Number(line.split("\t")[1]));
	}
	t.is(counts[0] + counts[1] + counts[2], keys.length);
	for (const count of counts) t.true(count > 0);
});

test("the status of a job is found on whichever server has it", async (t) => {
	const servers = [await startServer(t, { handlePrefix: "H:a" }), await startServer(t, { handlePrefix: "H:b" })];
	const client = connectTo(t, servers);
	const handles = [await client.background("f"), await client.background("f")];
	for (const handle of handles) t.true((await client.status(handle)).isKnown);
	t.false((await client.status("H:c:1")).isKnown);
});

test("after a refusal a server is left alone for a while, and then tried again for whoever waits", async (t) => {
	const port = await freePort();
	const client = connectTo(t, `127.0.0.1:${port}`);
	await rejects(t, client.echo("x"), "COULD_NOT_CONNECT");
	const refusedAt = Date.now();
	const server = await startScripted(t, { port });
	const echo = client.echo("x");
	const peer = await server.accept();
	t.true(Date.now() - refusedAt >= 90);
	await peer.request();
	peer.answer("ECHO_RES", "x");
	t.is((await echo).toString(), "x");
});

test("a timeout or a signal ends a call, and the connection goes on", async (t) => {
	const server = await startScripted(t);
	const client = connectTo(t, server);
	const abort = new AbortController();
	const lost = client.background("f", "", { timeoutMs: 1000 });
	const aborted = client.status("H:1", { signal: abort.signal });
	const peer = await server.accept();
	await peer.request();
	await peer.next();
	t.true((await rejects(t, lost, "TIMED_OUT")).mayHaveRun);
	abort.abort(new Error("enough"));
	const error = await rejects(t, aborted, "ABORTED");
	t.is(error.cause.message, "enough");
	peer.answer("JOB_CREATED", "H:1");
	peer.answer("STATUS_RES", "H:1", "0", "0", "0", "0");
	const echo = client.echo("x");
	await peer.next();
	peer.answer("ECHO_RES", "x");
	t.is((await echo).toString(), "x");
});

test("a call given up before it could be written is never written", async (t) => {
	const port = await freePort();
	const client = connectTo(t, `127.0.0.1:${port}`);
	await rejects(t, client.echo("x"), "COULD_NOT_CONNECT");
	// The server is down for at least 100 ms: both wait.
	const server = await startScripted(t, { port });
	const abort = new AbortController();
	const task = client.submit("f", "", { signal: abort.signal });
	const echo = client.echo("after");
	abort.abort();
	t.false((await rejects(t, task, "ABORTED")).mayHaveRun);
	const peer = await server.accept();
	t.deepEqual(await peer.request(), ["ECHO_REQ", "after"]);
	peer.answer("ECHO_RES", "after");
	await echo;
	await rejects(t, client.submit("f", "", { signal: AbortSignal.abort() }), "ABORTED");
	await rejects(t, client.background("f", "", { signal: AbortSignal.abort() }), "ABORTED");
	const last = client.echo("last");
	t.deepEqual(await peer.next(), ["ECHO_REQ", "last"]);
	peer.answer("ECHO_RES", "last");
	await last;
});

test("close() ends what waits as ABORTED, and what comes after it", async (t) => {
	const server = await startScripted(t);
	const client = new Client(`127.0.0.1:${server.port}`);
	const task = client.submit("f");
	const peer = await server.accept();
	await peer.take("H:1");
	await task.handle;
	const waiting = client.echo("x");
	await client[Symbol.asyncDispose]();
	t.true((await rejects(t, task, "ABORTED")).mayHaveRun);
	await rejects(t, waiting, "ABORTED");
	await rejects(t, client.submit("f"), "ABORTED");
	for (let item = await peer.next(); item !== "closed"; item = await peer.next());
});

test("close() before the connection is there leaves none behind", async (t) => {
	const server = await startScripted(t);
	const client = new Client(`127.0.0.1:${server.port}`);
	const task = client.submit("f");
	client.close();
	t.false((await rejects(t, task, "ABORTED")).mayHaveRun);
	t.is(server.unaccepted, 0);
});

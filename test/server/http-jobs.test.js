// Jobs over HTTP, on raw connections: answers, limits, and what becomes of them when one side leaves.

import test from "ava";
import { Log } from "../../dist/log.js";
import { httpServer, talk } from "../helpers/http.js";
import { dial, startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A request as bytes. */
function post(path, body = "", headers = {}, method = "POST") {
	const lines = Object.entries({ Host: "127.0.0.1", "Content-Length": Buffer.byteLength(body, "latin1"), ...headers });
	return `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`;
}

/** A Gearman connection that can do a function. */
async function workerFor(t, port, name) {
	const worker = await dial(t, port);
	worker.send("CAN_DO", name);
	await worker.settle();
	return worker;
}

/** Its next job: [NAME, handle, function, unique, workload]. */
async function grab(worker) {
	return until(async () => {
		worker.send("GRAB_JOB_UNIQ");
		const packet = await worker.next();
		return packet[0] === "JOB_ASSIGN_UNIQ" ? packet : undefined;
	});
}

async function setUp(t, name = "f", options = {}) {
	const { server, port, http } = await httpServer(t, options);
	return { server, port, http, worker: await workerFor(t, port, name), wire: await talk(t, http) };
}

test("a result is 200 with gearmand's headers, and the connection goes on", async (t) => {
	const { worker, wire } = await setUp(t);
	for (const result of ["first", "", "third\0\xff"]) {
		wire.write(post("/f", "workload"));
		const [, handle, name, unique, workload] = await grab(worker);
		t.deepEqual([name, unique, workload], ["f", "-", "workload"]);
		worker.send("WORK_COMPLETE", handle, Buffer.from(result, "latin1"));
		const { status, headers, body } = await wire.answer();
		t.is(status, 200);
		t.is(headers["x-gearman-job-handle"], handle);
		t.is(headers["x-gearman-command"], "WORK_COMPLETE");
		t.is(headers["content-length"], String(result.length));
		t.is(body, result);
	}
});

test("PUT is as POST; chunked bodies and ones of no byte arrive whole", async (t) => {
	const { worker, wire } = await setUp(t);
	const chunked = { "Transfer-Encoding": "chunked" };
	const head = post("/f", "", chunked).replace(/Content-Length: 0\r\n/, "");
	for (const [request, expected] of [
		[post("/f", "put", {}, "PUT"), "put"],
		[post("/f"), ""],
		[`${head}3\r\nabc\r\n2;x=y\r\nd\0\r\n0\r\n\r\n`, "abcd\0"],
		[`${head}0\r\n\r\n`, ""],
		[`${head}${"1\r\nx\r\n".repeat(100_000)}0\r\n\r\n`, "x".repeat(100_000)],
	]) {
		wire.write(request);
		const [, handle, , , workload] = await grab(worker);
		t.is(workload, expected);
		worker.send("WORK_COMPLETE", handle, "");
		t.is((await wire.answer()).status, 200);
	}
});

test("pipelined requests run at once and are answered in order", async (t) => {
	const { worker, wire } = await setUp(t);
	wire.write(["a", "b", "c"].map((body) => post("/f", body)).join(""));
	const jobs = [await grab(worker), await grab(worker), await grab(worker)];
	for (const [, handle, , , workload] of jobs.reverse()) worker.send("WORK_COMPLETE", handle, `done ${workload}`);
	for (const body of ["a", "b", "c"]) t.is((await wire.answer()).body, `done ${body}`);
});

test("headers choose unique, priority, background and time", async (t) => {
	const { server, wire, worker } = await setUp(t);
	const background = { "X-Gearman-Background": "true" };
	wire.write(post("/f", "low", { ...background, "X-Gearman-Priority": "low", "X-Gearman-Unique": "u-low" }));
	wire.write(post("/f", "normal", { ...background, "X-Gearman-Unique": "" }));
	wire.write(post("/f", "high", { ...background, "x-gearman-priority": "HIGH" }));
	wire.write(post("/f", "delayed", { "X-Gearman-Delay": "1h" }));
	wire.write(post("/f", "past", { "X-Gearman-Epoch": "1", "X-Gearman-Priority": "low" }));
	const handles = [];
	for (let i = 0; i < 5; i++) {
		const { status, headers, body } = await wire.answer();
		t.is(status, 202);
		t.is(headers["x-gearman-command"], "JOB_CREATED");
		t.is(body, `${headers["x-gearman-job-handle"]}\n`);
		t.is(headers.location, `/jobs/${headers["x-gearman-job-handle"]}`);
		t.is(headers["x-gearman-unique"], ["u-low", "", undefined, undefined, undefined][i]);
		handles.push(headers["x-gearman-job-handle"]);
	}
	t.true(server.jobs.find(handles[3]).dueMs > Date.now() + 3_500_000);
	for (const [workload, unique] of [
		["high", "-"],
		["normal", ""],
		["low", "u-low"],
		["past", "-"],
	]) {
		const [, handle, , ...rest] = await grab(worker);
		t.deepEqual(rest, [unique, workload]);
		worker.send("WORK_COMPLETE", handle, "");
	}
	await worker.settle();
	t.deepEqual(
		[...server.jobs.jobs()].map((job) => job.handle),
		[handles[3]],
	);
});

test("function names are percent-encoded bytes; slashes in front are nothing", async (t) => {
	const { server, http } = await httpServer(t);
	const wire = await talk(t, http);
	for (const [path, name] of [
		["/a/b", "a/b"],
		["///a%20b%2Fc", "a b/c"],
		["/gr%C3%B6%c3%9fe", "größe"],
		["/%FF+%3F", "\xff+?"],
		["/jobs/x", "jobs/x"],
		["http://127.0.0.1:8080/whole", "whole"],
	]) {
		wire.write(post(path, "", { "X-Gearman-Background": "1" }));
		t.is((await wire.answer()).status, 202, path);
		const bytes = name === "größe" ? Buffer.from(name).toString("latin1") : name;
		t.true(server.jobs.functions.has(bytes), path);
	}
	for (const path of ["/nul%00", "/half%2", "/no%zz", "/f?x=1"]) {
		wire.write(post(path));
		t.is((await wire.answer()).status, 400, path);
	}
	wire.write(post("/"));
	t.is((await wire.answer()).status, 405);
});

test("a header that says nothing is 400, in a sentence", async (t) => {
	const { http, server } = await httpServer(t);
	const wire = await talk(t, http);
	for (const [headers, sentence] of [
		[{ "X-Gearman-Priority": "urgent" }, "x-gearman-priority is high, normal or low\n"],
		[{ "X-Gearman-Priority": "constructor" }, "x-gearman-priority is high, normal or low\n"],
		[{ "X-Gearman-Priority": "__proto__" }, "x-gearman-priority is high, normal or low\n"],
		[{ "X-Gearman-Background": "maybe" }, "x-gearman-background is true or false\n"],
		[{ "X-Gearman-Unique": "u".repeat(65) }, "x-gearman-unique is over 64 bytes\n"],
		[{ "X-Gearman-Timeout": "soon" }, "x-gearman-timeout is a time in ms, or as 5s, 2m, 1h\n"],
		[{ "X-Gearman-Delay": "-1s" }, "x-gearman-delay is a time in ms, or as 5s, 2m, 1h\n"],
		[{ "X-Gearman-Epoch": "tomorrow" }, "x-gearman-epoch is Unix seconds or a date\n"],
		[
			{ "X-Gearman-Epoch": "1", "X-Gearman-Background": "no" },
			"x-gearman-background is not false for a job of a later time\n",
		],
	]) {
		wire.write(post("/f", "w", headers));
		const { status, body } = await wire.answer();
		t.deepEqual([status, body], [400, sentence]);
	}
	t.is(server.jobs.size, 0);
});

test("WORK_FAIL is 502, an exception 500 with its bytes, and neither ends the connection", async (t) => {
	const { worker, wire } = await setUp(t);
	wire.write(post("/f") + post("/f"));
	const [, first] = await grab(worker);
	const [, second] = await grab(worker);
	worker.send("WORK_FAIL", first);
	worker.send("WORK_EXCEPTION", second, Buffer.from("why\0\xfe", "latin1"));
	const failed = await wire.answer();
	t.is(failed.status, 502);
	t.is(failed.headers["x-gearman-command"], "WORK_FAIL");
	t.is(failed.headers["x-gearman-job-handle"], first);
	const thrown = await wire.answer();
	t.is(thrown.status, 500);
	t.is(thrown.headers["x-gearman-command"], "WORK_EXCEPTION");
	t.is(thrown.body, "why\0\xfe");
	t.is((await wire.get("/livez")).status, 200);
});

test("WORK_DATA comes at once as chunks; the trailer tells the end, warnings stand apart", async (t) => {
	const { worker, wire } = await setUp(t);
	wire.write(post("/f"));
	const [, handle] = await grab(worker);
	worker.send("WORK_WARNING", handle, "disk is 90% full\n");
	worker.send("WORK_DATA", handle, "one");
	const { status, headers } = await wire.head();
	t.is(status, 200);
	t.is(headers["transfer-encoding"], "chunked");
	t.is(headers["x-gearman-command"], "WORK_DATA");
	t.is(headers["x-gearman-warning"], "disk is 90%25 full%0A");
	t.is(await wire.chunk(), "one");
	worker.send("WORK_DATA", handle, "");
	worker.send("WORK_DATA", handle, "two");
	t.is(await wire.chunk(), "two");
	worker.send("WORK_WARNING", handle, "\xff");
	worker.send("WORK_STATUS", handle, "1", "2");
	worker.send("WORK_COMPLETE", handle, "three");
	t.is(await wire.chunk(), "three");
	t.is(await wire.chunk(), "");
	const [trailers] = await wire.read(/^(?:[^\r]+\r\n)*\r\n/);
	t.is(trailers, "X-Gearman-Command: WORK_COMPLETE\r\nX-Gearman-Warning: %FF\r\n\r\n");
	t.is((await wire.get("/livez")).status, 200);
});

test("warnings of a job that only completes are a header each; too many are left out, which is in the log", async (t) => {
	const lines = [];
	const log = new Log("DEBUG", "none", (_level, line) => lines.push(line));
	const { worker, wire } = await setUp(t, "f", { log });
	wire.write(post("/f"));
	const [, handle] = await grab(worker);
	for (let i = 0; i < 20; i++) worker.send("WORK_WARNING", handle, "w".repeat(1000));
	worker.send("WORK_FAIL", handle);
	const { status, all } = await wire.answer();
	t.is(status, 502);
	t.is(all.filter((line) => line.startsWith("X-Gearman-Warning: www")).length, 8);
	t.is(
		lines.filter((line) => line.endsWith("has more warnings than an answer holds: the others are left out")).length,
		1,
	);
	t.false(lines.some((line) => line.includes("www")));
});

test("a job that fails after WORK_DATA leaves its answer without an end", async (t) => {
	const { worker, http } = await setUp(t);
	for (const [packet, command] of [
		["WORK_FAIL", "WORK_FAIL"],
		["WORK_EXCEPTION", "WORK_EXCEPTION"],
	]) {
		const wire = await talk(t, http);
		wire.write(post("/f"));
		const [, handle] = await grab(worker);
		worker.send("WORK_DATA", handle, "one");
		worker.send(...(packet === "WORK_FAIL" ? [packet, handle] : [packet, handle, "why"]));
		await wire.head();
		t.is(await wire.chunk(), "one");
		t.is(await wire.rest(), `0\r\nX-Gearman-Command: ${command}\r\n`);
	}
});

test("an HTTP/1.0 client gets its data until the connection ends, and a reset when the job fails", async (t) => {
	const { worker, http } = await setUp(t);
	for (const isGood of [true, false]) {
		const wire = await talk(t, http);
		wire.write("POST /f HTTP/1.0\r\nContent-Length: 1\r\n\r\nw");
		const [, handle] = await grab(worker);
		worker.send("WORK_DATA", handle, "one");
		t.is((await wire.head()).headers["transfer-encoding"], undefined);
		await wire.bytes(3);
		if (isGood) worker.send("WORK_COMPLETE", handle, "two");
		else worker.send("WORK_FAIL", handle);
		t.is(await wire.rest(), isGood ? "two" : "");
		t.is(wire.error, isGood ? undefined : "ECONNRESET");
	}
});

test("X-Gearman-Timeout: 504, and the job is dropped while it is queued", async (t) => {
	const { server, wire, worker, http } = await setUp(t);
	wire.write(post("/nobody", "", { "X-Gearman-Timeout": "50ms" }));
	t.is((await wire.answer()).status, 504);
	t.is(server.jobs.size, 0);
	wire.write(post("/f", "", { "X-Gearman-Timeout": "1500" }));
	const [, handle] = await grab(worker);
	t.is((await wire.answer()).status, 504);
	// It runs on, unwatched.
	worker.send("WORK_COMPLETE", handle, "late");
	t.deepEqual(await worker.settle(), []);
	t.is((await wire.get("/livez")).status, 200);
	const other = await talk(t, http);
	other.write(post("/f", "", { "X-Gearman-Timeout": "1500ms" }));
	worker.send("WORK_DATA", (await grab(worker))[1], "one");
	await other.head();
	t.is(await other.rest(), "3\r\none\r\n0\r\n");
});

test("what the server cannot take is 503 with a code", async (t) => {
	const { server, port, http } = await httpServer(t);
	const wire = await talk(t, http);
	wire.write(post("/f", "", { "X-Gearman-Require-Worker": "true" }));
	const none = await wire.answer();
	t.deepEqual([none.status, none.headers["x-gearman-error"]], [503, "NO_WORKER"]);
	const worker = await workerFor(t, port, "f");
	wire.write(post("/f", "", { "X-Gearman-Require-Worker": "true" }));
	const [, handle] = await grab(worker);
	worker.send("WORK_COMPLETE", handle, "");
	t.is((await wire.answer()).status, 200);

	worker.raw("maxqueue f 1\n");
	t.is(await worker.next(), "OK");
	wire.write(post("/f", "1", { "X-Gearman-Background": "true" }) + post("/f", "2"));
	t.is((await wire.answer()).status, 202);
	const full = await wire.answer();
	t.deepEqual([full.status, full.headers["x-gearman-error"]], [503, "QUEUE_ERROR"]);
	t.is(full.headers["x-gearman-command"], "ERROR");
	t.is(full.headers["retry-after"], "1");

	server.requestStop("graceful");
	wire.write(post("/f", "3"));
	const draining = await wire.answer();
	t.deepEqual([draining.status, draining.headers["x-gearman-error"]], [503, "SHUTDOWN_GRACEFUL"]);
});

test("a background job is 202 when the store has it, and 503 when it refuses", async (t) => {
	const writes = [];
	const store = {
		open: async () => 0,
		async *replay() {},
		write: (changes) =>
			new Promise((resolve, reject) => {
				if (!changes.some(({ kind }) => kind === "add")) resolve();
				else writes.push({ resolve, reject });
			}),
		close: async () => {},
	};
	const { server, wire, worker } = await setUp(t, "f", { store });
	wire.write(post("/f", "kept", { "X-Gearman-Background": "true" }));
	const first = await until(() => writes.shift());
	worker.send("GRAB_JOB");
	t.deepEqual(await worker.next(), ["NO_JOB"]);
	first.resolve();
	t.is((await wire.answer()).status, 202);
	wire.write(post("/f", "lost", { "X-Gearman-Background": "true" }));
	(await until(() => writes.shift())).reject(new Error("disk full"));
	const { status, headers } = await wire.answer();
	t.deepEqual([status, headers["x-gearman-error"]], [503, "QUEUE_ERROR"]);
	t.is(server.jobs.size, 1);
	// Who leaves before the commit leaves the job behind.
	wire.write(post("/f", "left", { "X-Gearman-Background": "true" }));
	const last = await until(() => writes.shift());
	wire.destroy();
	await until(() => server.connections === 1);
	last.resolve();
	await until(() => server.jobs.size === 2);
	t.is((await grab(worker))[4], "kept");
	t.is((await grab(worker))[4], "left");
});

test("a body over the limit is 413 whether its length is told or not, and the connection ends", async (t) => {
	const { server, http } = await httpServer(t, { maxPacketBytes: 1000 });
	const chunked = post("/f", "", { "Transfer-Encoding": "chunked" }).replace("Content-Length: 0\r\n", "");
	const part = `3e8\r\n${"x".repeat(1000)}\r\n`;
	for (const bytes of [
		post("/f", "", { "Content-Length": 1_000_000 }) + "x".repeat(100_000),
		chunked + part + part,
		`${post("/f", "x".repeat(1001))}`,
	]) {
		const wire = await talk(t, http);
		wire.write(bytes);
		const { status, body } = await wire.answer();
		t.deepEqual([status, body], [413, "The body is over the limit of 1000 bytes\n"]);
	}
	const wire = await talk(t, http);
	wire.write(chunked + part);
	wire.write("0\r\n\r\n");
	await until(() => server.jobs.size === 1);
	t.is(server.jobs.jobs().next().value.workload.length, 1000);
});

test("what is refused is refused before 100 Continue, what is taken after it", async (t) => {
	const { wire, worker, http } = await setUp(t, "f", { maxPacketBytes: 1000 });
	wire.write(post("/f", "", { "Content-Length": 4, Expect: "100-continue" }));
	t.is((await wire.answer()).status, 100);
	wire.write("body");
	const [, handle, , , workload] = await grab(worker);
	t.is(workload, "body");
	worker.send("WORK_COMPLETE", handle, "");
	t.is((await wire.answer()).status, 200);
	for (const [path, headers, status] of [
		["/f", { "Content-Length": 1001 }, 413],
		["/f", { "Content-Length": 1, "X-Gearman-Priority": "?" }, 400],
		["/g", { "Content-Length": 1, "X-Gearman-Require-Worker": "1" }, 503],
		["/", { "Content-Length": 1 }, 405],
	]) {
		const other = await talk(t, http);
		other.write(post(path, "", { Expect: "100-continue", ...headers }));
		const answer = await other.answer();
		t.is(answer.status, status);
		t.is(answer.headers.connection, "close");
		await other.rest();
	}
	const odd = await talk(t, http);
	odd.write(post("/f", "", { Expect: "a miracle" }));
	t.is((await odd.answer()).status, 417);
	// HTTP/1.0 has no 100 Continue, whoever expects it.
	const old = await talk(t, http);
	old.write(post("/f", "w", { Expect: "100-continue", "X-Gearman-Background": "1" }).replace("HTTP/1.1", "HTTP/1.0"));
	t.is((await old.answer()).status, 202);
});

test("lengths that lie, and what is no HTTP, harm nobody else", async (t) => {
	const { server, port, http } = await httpServer(t);
	const both = await talk(t, http);
	both.write(post("/f", "", { "Content-Length": 3, "Transfer-Encoding": "chunked" }));
	t.is((await both.answer()).status, 400);
	// A body in a coding we do not know is no workload.
	const coded = await talk(t, http);
	coded.write("POST /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\n\x1f\x8b\x08\r\n0\r\n\r\n");
	t.is((await coded.answer()).status, 501);
	const longer = await talk(t, http);
	longer.write(`${post("/f", "abc", { "X-Gearman-Background": "1" })}def`);
	t.is((await longer.answer()).status, 202);
	const shorter = await talk(t, http);
	shorter.write(post("/f", "", { "Content-Length": 10 }));
	shorter.end();
	await shorter.rest();
	const garbage = await talk(t, http);
	garbage.write("\0REQ\0\0\0\x07\0\0\0\0");
	t.is((await garbage.answer()).status, 400);
	const header = await talk(t, http);
	header.write(`GET /livez HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`);
	t.is((await header.answer()).status, 431);
	// Garbage behind a request that waits for its job is no answer to it.
	const worker = await workerFor(t, port, "waits");
	const behind = await talk(t, http);
	behind.write(post("/waits", "w"));
	const [, handle] = await grab(worker);
	for (let i = 0; i < 20; i++) behind.write("garbage\r\n\r\n");
	worker.send("WORK_COMPLETE", handle, "done");
	t.is((await behind.answer()).body, "done");
	t.is(await behind.rest(), "");
	const half = await talk(t, http);
	half.write(`${post("/f", "", { "Transfer-Encoding": "chunked" }).replace("Content-Length: 0\r\n", "")}zz\r\n`);
	t.is((await half.answer()).status, 400);
	await half.rest();
	t.is(server.jobs.size, 1);
});

test("a client that leaves takes its queued jobs along, pipelined ones too; a running one goes on", async (t) => {
	const { server, wire, worker } = await setUp(t);
	wire.write(post("/f", "running"));
	const [, handle] = await grab(worker);
	wire.write(post("/f", "queued 1") + post("/f", "queued 2"));
	await until(() => server.jobs.size === 3);
	wire.destroy();
	await until(() => server.jobs.size === 1);
	worker.send("WORK_COMPLETE", handle, "");
	t.deepEqual(await worker.settle(), []);
	t.is(server.jobs.size, 0);
});

test("clients of both protocols share a job by its unique", async (t) => {
	const { server, port, http, worker } = await setUp(t);
	const [one, two] = [await talk(t, http), await talk(t, http)];
	const gear = await dial(t, port);
	one.write(post("/f", "first", { "X-Gearman-Unique": "u" }));
	await until(() => server.jobs.size === 1);
	two.write(post("/f", "second", { "X-Gearman-Unique": "u" }));
	gear.send("SUBMIT_JOB", "f", "u", "third");
	const [, created] = await gear.next();
	await until(() => server.jobs.find(created)?.attachments.length === 3);
	const [, handle, , , workload] = await grab(worker);
	t.is(handle, created);
	t.is(workload, "first");
	two.destroy();
	await until(() => server.jobs.find(created).attachments.length === 2);
	worker.send("WORK_DATA", handle, "d");
	worker.send("WORK_COMPLETE", handle, "c");
	t.is((await one.answer()).body, "dc");
	t.deepEqual(await gear.next(), ["WORK_DATA", handle, "d"]);
	t.deepEqual(await gear.next(), ["WORK_COMPLETE", handle, "c"]);
});

test("without a unique, jobs of equal workload are one, as in gearmand; with an empty one they are not", async (t) => {
	const { server, http } = await httpServer(t);
	const wire = await talk(t, http);
	const background = { "X-Gearman-Background": "true" };
	wire.write(post("/f", "w", background) + post("/f", "w", background));
	t.is((await wire.answer()).body, (await wire.answer()).body);
	const apart = { ...background, "X-Gearman-Unique": "" };
	wire.write(post("/f", "w", apart) + post("/f", "w", apart));
	t.not((await wire.answer()).body, (await wire.answer()).body);
	t.is(server.jobs.size, 3);
});

test("GET /jobs/HANDLE tells a job's state, DELETE cancels it", async (t) => {
	const { server, wire, worker } = await setUp(t);
	wire.write(post("/f", "w", { "X-Gearman-Background": "true", "X-Gearman-Unique": "u" }));
	const handle = (await wire.answer()).body.trim();
	const ask = async () => {
		const { status, body } = await wire.get(`/jobs/${handle}`);
		return { status, ...JSON.parse(body) };
	};
	const queued = await ask();
	t.like(queued, { status: 200, handle, known: true, running: false, state: "queued", function: "f", unique: "u" });
	await grab(worker);
	worker.send("WORK_STATUS", handle, "3", "7");
	await worker.settle();
	t.like(await ask(), { running: true, state: "running", numerator: 3, denominator: 7, background: true, clients: 0 });
	wire.write(`DELETE /jobs/${handle} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
	t.is((await wire.answer()).status, 200);
	t.like(await ask(), { status: 200, state: "cancelled" });
	wire.write(`DELETE /jobs/${handle} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
	t.is((await wire.answer()).status, 404);
	worker.send("WORK_COMPLETE", handle, "");
	await worker.settle();
	t.deepEqual(await ask(), { status: 404, handle, known: false, running: false });
	t.is(server.jobs.size, 0);
});

test("a cancelled job is 502 for those who wait for it", async (t) => {
	const { server, wire, http } = await setUp(t);
	wire.write(post("/f", "w"));
	const [job] = await until(() => (server.jobs.size === 1 ? [...server.jobs.jobs()] : undefined));
	const other = await talk(t, http);
	other.write(`DELETE /jobs/${job.handle} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
	t.is((await other.answer()).status, 200);
	t.is((await wire.answer()).status, 502);
});

test("a job given up after its last retry is 502", async (t) => {
	const { wire, worker } = await setUp(t, "f", { jobRetries: 1 });
	wire.write(post("/f", "w"));
	await grab(worker);
	worker.destroy();
	t.is((await wire.answer()).status, 502);
});

test("a slow reader makes the worker wait, and gets all of it", async (t) => {
	const { server, wire, worker } = await setUp(t);
	wire.write(post("/f"));
	const [, handle] = await grab(worker);
	wire.pause();
	const part = Buffer.alloc(1 << 20, "x");
	const COUNT = 64;
	for (let i = 0; i < COUNT; i++) worker.send("WORK_DATA", handle, part);
	worker.send("WORK_COMPLETE", handle, "end");
	await until(() => [...server.blocked].some((one) => one.holdsUpWorker && one.pendingBytes > 1 << 24));
	t.true([...server.blocked][0].pendingBytes < 1 << 25);
	t.is(server.jobs.size, 1);
	wire.resume();
	const { body } = await wire.answer();
	t.is(body.length, COUNT * part.length + 3);
	t.true(body.endsWith("xend"));
	t.is(server.blocked.size, 0);
});

test("a client that does not read at all is dropped, and the worker goes on", async (t) => {
	const { server, wire, worker } = await setUp(t, "f", { stallMs: 300 });
	wire.write(post("/f"));
	const [, handle] = await grab(worker);
	wire.pause();
	for (let i = 0; i < 64; i++) worker.send("WORK_DATA", handle, Buffer.alloc(1 << 20));
	worker.send("WORK_COMPLETE", handle, "");
	await worker.settle();
	t.is(server.blocked.size, 0);
	await until(() => server.connections === 1);
	t.pass();
});

test("a connection with endless requests and no answers is not read on, until there are answers", async (t) => {
	const { server, port, http } = await httpServer(t);
	const wire = await talk(t, http);
	const COUNT = 20_000;
	const bodies = Array.from({ length: COUNT }, (_, i) => `job ${i}`);
	wire.write(bodies.map((body) => post("/f", body)).join(""));
	await until(() => server.jobs.size >= 1000);
	const probe = await talk(t, http);
	for (let i = 0; i < 5; i++) await probe.get("/livez");
	t.true(server.jobs.size < 4000, `${server.jobs.size}`);
	const worker = await workerFor(t, port, "f");
	for (const body of bodies) {
		const [, handle] = await grab(worker);
		worker.send("WORK_COMPLETE", handle, body);
		if (body.endsWith("00")) await worker.settle();
	}
	for (const body of bodies) t.is((await wire.answer()).body, body);
});

test("a job that ends a drain is answered to the end", async (t) => {
	const { server, worker, wire } = await setUp(t);
	wire.write(post("/f"));
	const [, handle] = await grab(worker);
	worker.send("WORK_DATA", handle, "one");
	await wire.head();
	server.requestStop("graceful");
	const result = "x".repeat(5 << 20);
	worker.send("WORK_COMPLETE", handle, result);
	let length = 0;
	for (let chunk = await wire.chunk(); chunk !== ""; chunk = await wire.chunk()) length += chunk.length;
	t.is(length, 3 + result.length);
	t.is(await wire.rest(), "X-Gearman-Command: WORK_COMPLETE\r\n\r\n");
	await server.stopped;
});

test("a server that stops answers 503 to whoever waits, and ends what has begun", async (t) => {
	const { server, port, http } = await httpServer(t);
	const worker = await workerFor(t, port, "f");
	const [begun, waiting] = [await talk(t, http), await talk(t, http)];
	begun.write(post("/f", "1"));
	worker.send("WORK_DATA", (await grab(worker))[1], "one");
	await begun.head();
	waiting.write(post("/f", "2"));
	await until(() => server.jobs.size === 2);
	const idle = await talk(t, http);
	t.is((await idle.get("/livez")).status, 200);
	const stopped = server.stop();
	t.is((await waiting.answer()).status, 503);
	t.is(await begun.rest(), "3\r\none\r\n");
	t.is(await idle.rest(), "");
	await stopped;
	t.is(server.connections, 0);
});

test("a background job over HTTP is there after a restart", async (t) => {
	const kept = new Map();
	const store = () => ({
		open: async () => kept.size,
		async *replay() {
			yield* kept.values();
		},
		write: (changes) => {
			for (const { kind, job } of changes) if (kind === "add") kept.set(job.handle, job);
		},
		close: async () => {},
	});
	const { server, http } = await httpServer(t, { store: store() });
	const wire = await talk(t, http);
	wire.write(post("/f", "w", { "X-Gearman-Background": "true", "X-Gearman-Priority": "high" }));
	const handle = (await wire.answer()).body.trim();
	await server.stop();
	const { server: next } = await startServer(t, { store: store() });
	await next.replayed;
	t.is(next.jobs.find(handle).priority, 0);
});

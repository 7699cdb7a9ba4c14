import test from "ava";
import { Admin } from "../../dist/admin/admin.js";
import { startScripted } from "../helpers/scripted-server.js";
import { dial, startServer } from "../helpers/server.js";

async function setUp(t, options) {
	const server = await startServer(t, options);
	const admin = new Admin(`127.0.0.1:${server.port}`);
	t.teardown(() => admin.close());
	const peer = await dial(t, server.port);
	return { server, admin, peer };
}

async function setUpScripted(t, options) {
	const server = await startScripted(t);
	const admin = new Admin(`127.0.0.1:${server.port}`, options);
	t.teardown(() => admin.close());
	return { server, admin };
}

const rejects = (t, promise, code, more = {}) => t.throwsAsync(() => promise, { name: "GearmanError", code, ...more });

test("functions, jobs and workers are shown as rows", async (t) => {
	const { admin, peer } = await setUp(t);
	peer.send("SET_CLIENT_ID", "my worker");
	peer.send("CAN_DO", "f");
	peer.send("SUBMIT_JOB_BG", "f", "key", "");
	peer.send("SUBMIT_JOB_HIGH", "g", "other key", "");
	await peer.settle();
	peer.send("GRAB_JOB");
	await peer.settle();
	const byName = (a, b) => (a.functionName < b.functionName ? -1 : 1);
	t.deepEqual((await admin.status()).sort(byName), [
		{ functionName: "f", total: 1, running: 1, workers: 1 },
		{ functionName: "g", total: 1, running: 0, workers: 0 },
	]);
	t.deepEqual((await admin.priorityStatus()).sort(byName), [
		{ functionName: "f", high: 0, normal: 0, low: 0, workers: 1 },
		{ functionName: "g", high: 1, normal: 0, low: 0, workers: 0 },
	]);
	const worker = (await admin.workers()).find(({ id }) => id === "my worker");
	t.deepEqual(worker.functions, ["f"]);
	t.is(worker.address, "127.0.0.1");
	t.deepEqual(
		(await admin.showJobs()).sort((a, b) => (a.handle < b.handle ? -1 : 1)),
		[
			{ handle: "H:test:1", retries: 0, isIgnored: false, isBackground: true },
			{ handle: "H:test:2", retries: 0, isIgnored: false, isBackground: false },
		],
	);
	t.deepEqual((await admin.showUniqueJobs()).sort(), ["key", "other key"]);
});

test("the queue tells of itself; a server that has no such command is named as one", async (t) => {
	const { admin, peer } = await setUp(t, {
		store: { open: async () => 0, replay: async function* () {}, write() {}, async close() {} },
	});
	peer.send("SUBMIT_JOB_BG", "f", "", "12345");
	await peer.settle();
	const { lastCommit, changes, commits, ...rest } = await admin.queueInfo();
	t.deepEqual(rest, { store: "own", state: "ready", jobs: 1, failedCommits: 0 });
	t.like(lastCommit, { bytes: 5 });
	t.true(changes >= 1 && commits >= 1 && lastCommit.durationMs >= 0);
	t.is(new Date(lastCommit.time).toISOString(), lastCommit.time);
	const scripted = await setUpScripted(t);
	const asked = scripted.admin.queueInfo();
	const server = await scripted.server.accept();
	t.is(await server.next(), "queue info");
	server.raw("ERR UNKNOWN_COMMAND Unknown+server+commandqueue\r\n");
	await rejects(t, asked, "SERVER_ERROR", {
		message: 'the job server has no command "queue"',
	}).then((error) => t.is(error.serverCode, "UNKNOWN_COMMAND"));
});

test("commands sent without waiting are answered each with its own", async (t) => {
	const { admin } = await setUp(t, { version: "1.2.3" });
	const answers = await Promise.all([
		admin.version(),
		admin.status(),
		admin.getpid(),
		admin.workers(),
		admin.verbose(),
	]);
	t.is(answers[0], "1.2.3");
	t.deepEqual(answers[1], []);
	t.is(answers[2], process.pid);
	t.is(answers[3].length, 2);
	t.regex(answers[4], /^[A-Z]+$/);
});

test("functions are created and dropped by their whole name", async (t) => {
	const { admin } = await setUp(t);
	await admin.createFunction("abc");
	t.deepEqual(await admin.status(), [{ functionName: "abc", total: 0, running: 0, workers: 0 }]);
	await admin.dropFunction("abc");
	t.deepEqual(await admin.status(), []);
	await rejects(t, admin.dropFunction("abc"), "SERVER_ERROR", { message: "function not found" });
});

test("a job is cancelled once", async (t) => {
	const { admin, peer } = await setUp(t);
	peer.send("SUBMIT_JOB", "f", "", "");
	const [, handle] = await peer.next();
	await admin.cancelJob(handle);
	t.deepEqual(await peer.next(), ["WORK_FAIL", handle]);
	const error = await rejects(t, admin.cancelJob(handle), "SERVER_ERROR");
	t.is(error.serverCode, "UNKNOWN_JOB");
});

test("a limit of jobs is kept", async (t) => {
	const { admin, peer } = await setUp(t);
	await admin.createFunction("f");
	await admin.maxQueue("f", 1);
	for (let i = 0; i < 2; i++) peer.send("SUBMIT_JOB_BG", "f", `${i}`, "");
	t.is((await peer.next())[0], "JOB_CREATED");
	t.deepEqual((await peer.next()).slice(0, 2), ["ERROR", "QUEUE_ERROR"]);
});

for (const [options, line] of [
	[undefined, "shutdown"],
	[{ graceful: true }, "shutdown graceful"],
]) {
	test(`shutdown(${JSON.stringify(options) ?? ""}) is "${line}"`, async (t) => {
		const { server, admin } = await setUpScripted(t);
		const done = admin.shutdown(options);
		const peer = await server.accept();
		t.is(await peer.next(), line);
		peer.raw("OK\r\n");
		await done;
	});
}

test("any command can be sent; its reply is lines, or bytes as they came", async (t) => {
	const { server, admin } = await setUpScripted(t);
	const lines = admin.command("show something");
	const peer = await server.accept();
	t.is(await peer.next(), "show something");
	peer.raw("a\r\nb\n.\n");
	t.deepEqual(await lines, ["a", "b"]);
	const raw = admin.raw("anything");
	await peer.next();
	peer.raw("ERR no\r\n");
	t.is((await raw).toString(), "ERR no\r\n");
	await rejects(t, admin.command("two\nlines"), "BAD_ARGUMENT");
});

test("a long line of a worker with many functions is read", async (t) => {
	const { admin, peer } = await setUp(t);
	const names = Array.from({ length: 3000 }, (_, i) => `function_${i}`);
	for (const name of names) peer.send("CAN_DO", name);
	await peer.settle();
	const worker = (await admin.workers()).find(({ functions }) => functions.length > 0);
	t.deepEqual(worker.functions.toSorted(), names.toSorted());
});

test("a name the protocol cannot carry is refused", async (t) => {
	const { admin } = await setUp(t);
	for (const name of ["", "a b", "a\nb"]) await rejects(t, admin.createFunction(name), "BAD_ARGUMENT");
});

test("a lost connection fails what was asked; the next question connects anew", async (t) => {
	const { server, admin } = await setUpScripted(t);
	const questions = [admin.status(), admin.version()];
	const first = await server.accept();
	await first.next();
	first.raw("f\t1\t");
	first.end();
	for (const question of questions) await rejects(t, question, "CONNECTION_LOST");
	const version = admin.version();
	const second = await server.accept();
	await second.next();
	second.raw("OK 1\n");
	t.is(await version, "1");
});

test("a server that does not answer is given up after the timeout", async (t) => {
	const { server, admin } = await setUpScripted(t, { timeoutMs: 50 });
	await rejects(t, admin.status(), "TIMED_OUT", { message: `127.0.0.1:${server.port} did not answer within 50 ms` });
});

test("no server is COULD_NOT_CONNECT, a closed one ABORTED", async (t) => {
	const { server, admin } = await setUpScripted(t);
	server.close();
	await rejects(t, admin.status(), "COULD_NOT_CONNECT");
	await admin[Symbol.asyncDispose]();
	await rejects(t, admin.status(), "ABORTED");
	t.throws(() => new Admin("a:b"), { code: "BAD_ARGUMENT" });
});

test("a signal ends the wait for a reply, and the next command gets its own", async (t) => {
	const { port } = await startServer(t, { version: "1.2.3" });
	const admin = new Admin(`127.0.0.1:${port}`);
	t.teardown(() => admin.close());
	await admin.version();
	const abort = new AbortController();
	const asked = admin.status({ signal: abort.signal });
	abort.abort();
	await t.throwsAsync(asked, { code: "ABORTED" });
	t.is(await admin.version(), "1.2.3");
	await t.throwsAsync(admin.version({ signal: abort.signal }), { code: "ABORTED" });
});

import { join } from "node:path";
import test from "ava";
import { temporaryFolder } from "../helpers/program.js";
import { dial, startServer } from "../helpers/server.js";

/** Sends raw text and returns the exact bytes of the reply, up to a trailing ECHO. */
async function exact(t, port, text, replyEnd) {
	const { connect } = await import("node:net");
	const socket = connect(port, "127.0.0.1");
	socket.write(text);
	let reply = "";
	for await (const bytes of socket) {
		reply += bytes.toString("latin1");
		if (reply.endsWith(replyEnd)) break;
	}
	socket.destroy();
	t.true(reply.endsWith(replyEnd));
	return reply;
}

test("every command answers gearmand's exact bytes, after LF and after CRLF", async (t) => {
	const incomplete = (word) =>
		`ERR INVALID_ARGUMENTS An+incomplete+set+of+arguments+was+sent+to+this+command+${word}\r\n`;
	const unknown = (word) => `ERR UNKNOWN_COMMAND Unknown+server+command${word}\r\n`;
	const { port } = await startServer(t, { version: "1.2.3" });
	for (const [line, reply] of [
		["status", ".\n"],
		["prioritystatus", ".\n"],
		["show jobs", ".\n"],
		["show unique jobs", ".\n"],
		["version", "OK 1.2.3\n"],
		["getpid", `OK ${process.pid}\n`],
		["verbose", "OK ERROR\n"],
		["create function abc", "OK\r\n"],
		["STATUS extra", "abc\t0\t0\t0\n.\n"],
		["prioritystatus", "abc\t0\t0\t0\t0\n.\n"],
		["create function", incomplete("create")],
		["create", incomplete("create")],
		["maxqueue", incomplete("maxqueue")],
		["maxqueue abc 1 2 3", "OK\r\n"],
		["maxqueue abc", "OK\r\n"],
		["drop function", incomplete("drop")],
		["drop thing abc", incomplete("drop")],
		["drop function nothing", "ERR function not found\r\n"],
		["drop function ABC", "OK\r\n"],
		["status", ".\n"],
		["cancel job H:x:1", "ERR UNKNOWN_JOB\r\n"],
		["cancel", unknown("cancel")],
		["cancel job", unknown("cancel")],
		["cancel x y", "ERR UNKNOWN_ERROR\r\n"],
		["show", unknown("show")],
		["show other", "ERR UNKNOWN_SHOW_ARGUMENTS\r\n"],
		["show unique", "ERR UNKNOWN_SHOW_ARGUMENTS\r\n"],
		["nonsense", unknown("nonsense")],
		["shutdown", unknown("shutdown")],
		["", unknown("")],
	]) {
		for (const end of line.startsWith("drop function A") ? ["\n"] : ["\n", "\r\n"]) {
			t.is(await exact(t, port, line + end, reply), reply, JSON.stringify(line + end));
		}
	}
});

test("queue info tells where background jobs are kept, how many, and of the last commit", async (t) => {
	const folder = temporaryFolder(t);
	const { port } = await startServer(t, { queueType: "sqlite", storeOptions: { "state-dir": folder } });
	const [client, worker, admin] = [await dial(t, port), await dial(t, port), await dial(t, port)];
	const info = async () => Object.fromEntries((await admin.list("queue info")).map((line) => line.split("\t")));
	const submit = async (workload) => {
		client.send("SUBMIT_JOB_BG", "f", "", workload);
		t.is((await client.next())[0], "JOB_CREATED");
	};
	await submit("one");
	await submit("three");
	const before = await info();
	t.like(before, { store: "sqlite", place: join(folder, "0.sqlite"), state: "ready", jobs: "2", failed_commits: "0" });
	t.like(before, { last_commit_changes: "1", last_commit_bytes: "5" });
	t.true(Number(before.bytes) > 0);
	t.true(Math.abs(Date.parse(before.last_commit) - Date.now()) < 60_000);
	t.regex(before.last_commit_ms, /^\d+\.\d{3}$/);
	worker.send("CAN_DO", "f");
	worker.send("GRAB_JOB");
	const [, handle] = await worker.next();
	worker.send("WORK_COMPLETE", handle, "");
	await worker.settle();
	await submit("last"); // its commit comes behind that of the job that is done
	const after = await info();
	t.is(after.jobs, "2");
	t.is(Number(after.changes) - Number(before.changes), 2);
	t.true(Number(after.commits) > Number(before.commits));
	const memory = await dial(t, (await startServer(t)).port);
	t.deepEqual(await memory.list("QUEUE info"), [
		...["store\tmemory", "state\tready", "jobs\t0", "commits\t0", "changes\t0", "failed_commits\t0"],
	]);
});

test("replies come in order, mixed with packets on one connection", async (t) => {
	const { port } = await startServer(t, { version: "1.2.3" });
	const peer = await dial(t, port);
	peer.raw("version\nverbose\r\n");
	peer.send("ECHO_REQ", "x");
	peer.raw("version\n");
	for (const item of ["OK 1.2.3", "OK ERROR", ["ECHO_RES", "x"], "OK 1.2.3"]) t.deepEqual(await peer.next(), item);
});

test("status and prioritystatus count queued, running and delayed jobs and registrations", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	peer.send("CAN_DO", "f");
	peer.send("CAN_DO", "f");
	peer.send("CAN_DO", "");
	for (const name of ["SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_BG", "SUBMIT_JOB_LOW_BG"]) peer.send(name, "f", "", "");
	peer.send("SUBMIT_JOB_EPOCH", "f", "", "99999999999", "");
	await peer.settle();
	peer.send("GRAB_JOB");
	await peer.next();
	t.deepEqual(await peer.list("status"), ["f\t4\t1\t2", "\t0\t0\t1"]);
	t.deepEqual(await peer.list("prioritystatus"), ["f\t0\t2\t1\t2", "\t0\t0\t0\t1"]);
	peer.send("CANT_DO", "f");
	t.deepEqual(await peer.list("status"), ["f\t4\t0\t0", "\t0\t0\t1"]);
});

test("workers lists every connection, its id and its functions, the last registered first", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	t.deepEqual(await peer.list("workers"), ["1 127.0.0.1 - :"]);
	peer.send("SET_CLIENT_ID", "my worker");
	for (const name of ["a", "b", "b", "c"]) peer.send("CAN_DO", name);
	peer.send("CANT_DO", "c");
	t.deepEqual(await peer.list("workers"), ["1 127.0.0.1 my worker : b b a"]);
	peer.send("SET_CLIENT_ID", "ended\0by NUL");
	t.deepEqual(await peer.list("workers"), ["1 127.0.0.1 ended : b b a"]);
	peer.send("SET_CLIENT_ID", "i".repeat(200));
	peer.send("RESET_ABILITIES");
	t.deepEqual(await peer.list("workers"), [`1 127.0.0.1 ${"i".repeat(127)} :`]);
});

test("names that would break a listing are shown with question marks", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	peer.send("CAN_DO", "a\n.\nb\tc");
	peer.send("SET_CLIENT_ID", "x\ny");
	t.deepEqual(await peer.list("workers"), ["1 127.0.0.1 x?y : a?.?b?c"]);
	t.deepEqual(await peer.list("status"), ["a?.?b?c\t0\t0\t1"]);
});

test("show jobs and cancel job: a waiting job is gone at once, its client told once", async (t) => {
	const { port } = await startServer(t);
	const [client, admin] = [await dial(t, port), await dial(t, port)];
	client.send("SUBMIT_JOB", "f", "u", "");
	client.send("SUBMIT_JOB_BG", "f", "", "");
	const [[, foreground], [, background]] = [await client.next(), await client.next()];
	t.deepEqual(await admin.list("show jobs"), [`${foreground}\t0\t0\t0`, `${background}\t0\t0\t1`]);
	t.deepEqual(await admin.list("show unique jobs"), ["u", ""]);
	for (const handle of [foreground, background]) {
		admin.raw(`cancel job ${handle}\n`);
		t.is(await admin.next(), "OK");
		admin.raw(`cancel job ${handle}\n`);
		t.is(await admin.next(), "ERR UNKNOWN_JOB");
	}
	t.deepEqual(await client.settle(), [["WORK_FAIL", foreground]]);
	t.deepEqual(await admin.list("show jobs"), []);
	t.deepEqual(await admin.list("status"), ["f\t0\t0\t0"]);
});

test("shutdown stops the server where it is allowed, graceful after the last job", async (t) => {
	const quick = await startServer(t, { allowShutdown: true });
	const peer = await dial(t, quick.port);
	peer.raw("shutdown\n");
	t.is(await peer.next(), "OK");
	t.is(await peer.next(), "closed");
	await quick.server.stopped;

	const graceful = await startServer(t, { allowShutdown: true });
	const both = await dial(t, graceful.port);
	both.send("CAN_DO", "f");
	both.send("SUBMIT_JOB", "f", "", "");
	await both.next();
	both.raw("shutdown graceful\n");
	t.is(await both.next(), "OK");
	await both.settle();
	both.send("SUBMIT_JOB", "f", "", "");
	t.deepEqual(await both.next(), ["ERROR", "SHUTDOWN_GRACEFUL", "Server is shutting down"]);
	both.send("GRAB_JOB");
	const [, handle] = await both.next();
	both.send("WORK_COMPLETE", handle, "");
	t.deepEqual(await both.next(), ["WORK_COMPLETE", handle, ""]);
	t.is(await both.next(), "closed");
	await graceful.server.stopped;
});

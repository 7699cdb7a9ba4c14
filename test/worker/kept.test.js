import { readFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { Client } from "../../dist/client/client.js";
import { KeptCommand } from "../../dist/worker/kept.js";
import { Worker } from "../../dist/worker/worker.js";
import { isAlive, temporaryFolder } from "../helpers/program.js";
import { startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A server, a worker whose function x is the kept command, and a client. */
async function serve(t, operands, options = {}) {
	const { port } = await startServer(t);
	const restarts = [];
	const { concurrency = 1 } = options;
	const kept = new KeptCommand(operands, {
		framing: "lines",
		processes: concurrency,
		onRestart: (reason) => restarts.push(reason),
		...options,
	});
	const worker = new Worker(`127.0.0.1:${port}`, { concurrency }).add("x", kept.run);
	const ran = worker.run();
	const client = new Client(`127.0.0.1:${port}`);
	t.teardown(async () => {
		client.close();
		worker.kill();
		await ran;
		await kept.close();
	});
	const submit = (workload = "") => client.submit("x", workload);
	return {
		kept,
		worker,
		restarts,
		submit,
		failure: async (workload) => String((await t.throwsAsync(submit(workload))).data),
	};
}

/** What a job of `echo $$` says: the process that did it. */
const PID = ["while read -r line; do echo $$; done"];

test("one process does job after job", async (t) => {
	const { submit } = await serve(t, PID);
	const pids = await Promise.all(Array.from({ length: 20 }, () => submit("?")));
	t.is(new Set(pids.map(String)).size, 1);
});

test("there are as many processes as jobs at once", async (t) => {
	const { submit } = await serve(t, ["while read -r line; do sleep 0.05; echo $$; done"], { concurrency: 3 });
	const pids = await Promise.all(Array.from({ length: 12 }, () => submit("?")));
	t.is(new Set(pids.map(String)).size, 3);
});

test("a line comes back with its newline, or stripped, or ended by NUL", async (t) => {
	for (const [framing, workload, answer] of [
		["lines", "a", "a\n"],
		["lines", "a\n", "a\n"],
		["lines", "", "\n"],
		["stripped", "a\r\n", "a\r"],
		["null", "a\nb\n", "a\nb\n"],
		["null", "", ""],
	]) {
		const { submit } = await serve(t, ["cat"], { framing });
		for (let i = 0; i < 3; i++) t.is(String(await submit(workload)), answer);
	}
});

test("frames carry any bytes of any length", async (t) => {
	const { submit } = await serve(t, ["cat"], { framing: "frames" });
	for (const length of [0, 1, 256, 65_536, 3_000_000]) {
		const workload = Buffer.alloc(length, "\0\n\xff", "latin1");
		t.true(workload.equals(await submit(workload)));
	}
});

test("a long answer comes whole", async (t) => {
	const { submit } = await serve(t, ["cat"]);
	const line = `${"x".repeat(5_000_000)}\n`;
	t.is(String(await submit(line)), line);
});

test("a workload that would be read as two fails alone, and the next one has its own answer", async (t) => {
	const lines = await serve(t, ["cat"]);
	const records = await serve(t, ["cat"], { framing: "null" });
	t.is(await lines.failure("a\nb"), "the workload holds a newline, and one line is one job here");
	t.is(await records.failure("a\0b"), "the workload holds a NUL, which ends a workload here");
	t.is(String(await lines.submit("c")), "c\n");
	t.is(String(await records.submit("c")), "c");
});

test("a command that dies fails the job in hand; another process does the next", async (t) => {
	const { submit, failure } = await serve(t, [
		'while read -r line; do [ "$line" = die ] && exit 3; [ "$line" = kill ] && kill -KILL $$; echo "$line"; done',
	]);
	t.is(String(await submit("one")), "one\n");
	t.is(await failure("die"), "command exited with code 3 before it had answered");
	t.is(String(await submit("two")), "two\n");
	t.is(await failure("kill"), "command was killed by SIGKILL before it had answered");
	t.is(String(await submit("three")), "three\n");
});

test("a command may leave after a number of jobs", async (t) => {
	const { submit, restarts } = await serve(t, ["read -r line; echo $$"]);
	const pids = [];
	for (let i = 0; i < 3; i++) {
		const pid = String(await submit("?"));
		await until(() => !isAlive(Number(pid)));
		pids.push(pid);
	}
	t.is(new Set(pids).size, 3);
	t.deepEqual(restarts, []);
});

test("a command that cannot start fails its jobs, with why", async (t) => {
	const { failure } = await serve(t, ["./does-not-exist"]);
	t.is(await failure("x"), "command could not be started: ./does-not-exist: no such file");
});

test("a command that greets is never asked: its greeting would be the first answer", async (t) => {
	const { failure, restarts } = await serve(t, ["echo welcome; cat"]);
	t.is(await failure("x"), "command wrote without being asked");
	t.is(await failure("x"), "command wrote without being asked");
	t.true(restarts.every((reason) => reason === "command wrote without being asked"));
});

test("a second answer to one job fails the job and ends the process", async (t) => {
	const { failure } = await serve(t, ["while read -r line; do printf 'a\\nb\\n'; done"]);
	t.is(await failure("x"), "command wrote more than one answer to one job");
});

test("an answer behind time is nobody's: the process ends and says so", async (t) => {
	const folder = temporaryFolder(t);
	const { submit, restarts } = await serve(t, [
		`n=0; while read -r line; do echo "$line"; [ -e '${folder}/late' ] || { : > '${folder}/late'; sleep 0.05; echo late; }; done`,
	]);
	t.is(String(await submit("one")), "one\n");
	await until(() => restarts.length > 0);
	t.deepEqual(restarts, ["command wrote without being asked"]);
	t.is(String(await submit("two")), "two\n");
});

test("a timeout kills the command and all it started, and the next job has a fresh one", async (t) => {
	const file = join(temporaryFolder(t), "pid");
	const { submit, failure } = await serve(
		t,
		[`while read -r line; do [ "$line" = slow ] && { sleep 1000 & echo $! > '${file}'; wait; }; echo "$line"; done`],
		{ timeoutMs: 400 },
	);
	t.is(await failure("slow"), "command was killed after 400 ms");
	const pid = Number(await until(() => readFile(file, "utf8")));
	await until(() => !isAlive(pid));
	t.is(String(await submit("quick")), "quick\n");
});

test("stderr of a job is the job's warning", async (t) => {
	const { submit } = await serve(t, ['while read -r line; do echo oops >&2; sleep 0.05; echo "$line"; done'], {
		stderr: "warning",
	});
	const warnings = [];
	for await (const event of submit("x")) warnings.push(`${event.type} ${event.data}`);
	t.deepEqual(warnings, ["warning oops\n"]);
});

test("killing the worker kills the command that runs, closing ends the others' input", async (t) => {
	const { kept, worker, submit } = await serve(t, PID, { concurrency: 2 });
	const pid = Number(await submit("?"));
	t.true(isAlive(pid));
	worker.kill();
	await kept.close();
	t.false(isAlive(pid));
});

// Perl's Gearman::Client and Gearman::Worker, which speak the protocol on their own, with our job server, client and
// worker. Not with C's gearmand: a Perl worker dies of its answer to the WORK_FAIL behind a WORK_EXCEPTION. And our client,
// worker and admin with Perl's Gearman::Server, which is as old as the protocol and knows GRAB_JOB alone.

import { fileURLToPath } from "node:url";
import { freePort } from "../helpers/free-port.js";
import { emptyPipe } from "../helpers/pipe.js";
import { ours, perl, perlGearmand, run, start, startGearmand, testWith, workersReady } from "../helpers/programs.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const testHere = testWith(perl);
const fixture = (name) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

async function startWorker(t, port, count = 1) {
	const worker = start(t, perl, [fixture("worker.pl"), `${port}`]);
	await workersReady(t, port, { reverse: count, slow: count });
	return worker;
}

/** The scene's lines. */
async function play(t, port, scene, ...more) {
	const { stdout, stderr, exitCode } = await run(t, perl, [fixture("client.pl"), `${port}`, scene, ...more]);
	t.deepEqual([stderr, exitCode], ["", 0]);
	return stdout.trimEnd().split("\n");
}

/** "task event" lines by task. */
function byTask(lines) {
	const events = {};
	for (const line of lines) {
		const [task, ...event] = line.split(" ");
		events[task] ??= [];
		events[task].push(event.join(" "));
	}
	return events;
}

const EVENTS = {
	reverse: ["complete lamron"],
	report: ["status 1 2", "data data 1", "warning warning", "status 2 2", "complete result"],
	fail: ["fail"],
};

testHere("Perl: do_task gets its result, byte for byte, or undef when it failed", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	await startWorker(t, port);
	t.deepEqual(await play(t, port, "do"), ["olleh", "hgih", "same", "undefined"]);
});

testHere("Perl: the tasks of a task set get every event, and a worker survives a die", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	const worker = await startWorker(t, port);
	const lines = await play(t, port, "tasks");
	t.is(lines.pop(), "retfa");
	t.deepEqual(byTask(lines), { ...EVENTS, die: ["fail"] });
	t.is(worker.child.exitCode, null);
	t.is(worker.errors(), "Job 'die' died: went wrong\n");
});

testHere("Perl: a client that asks for exceptions gets the text of a die, once", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	await startWorker(t, port);
	const lines = await play(t, port, "exceptions");
	t.is(lines.pop(), "retfa");
	t.deepEqual(byTask(lines), { ...EVENTS, die: ["exception went wrong"] });
});

testHere("Perl: tasks of one unique key are done once, for all that asked", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	const scene = play(t, port, "same");
	const admin = await dial(t, port);
	await until(async () => (await admin.list("show unique jobs")).length === 1, "the jobs to be one");
	await startWorker(t, port);
	t.deepEqual(await scene, ["result", "result", "result"]);
	const client = await dial(t, port);
	client.send("SUBMIT_JOB", "report", "", "");
	await client.next();
	await client.next();
	t.is((await client.next())[2], "data 2\n");
});

testHere("Perl: get_status follows a background job from queue to end", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	const { child, output, errors } = start(t, perl, [fixture("client.pl"), `${port}`, "background"], { stdin: "pipe" });
	await until(() => output() === "known 1 running 0\n", "the job's status");
	const worker = await dial(t, port);
	worker.send("CAN_DO", "later");
	worker.send("GRAB_JOB_UNIQ");
	const [, handle, , unique, workload] = await worker.next();
	t.deepEqual([unique, workload], ["key", "x"]);
	worker.send("WORK_STATUS", handle, "3", "4");
	t.deepEqual(await worker.settle(), []);
	child.stdin.write("\n");
	await until(() => output().endsWith("known 1 running 1 percent 0.75\n"), "the job's progress");
	worker.send("WORK_COMPLETE", handle, "");
	t.deepEqual(await worker.settle(), []);
	child.stdin.write("\n");
	await until(() => output().endsWith("known 0 running 0\n"), "the job's end");
	t.is(errors(), "");
});

testHere("Perl: get_job_server_status reads our status", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	await startWorker(t, port);
	const admin = await dial(t, port);
	t.true((await admin.list("workers")).some((line) => line.includes(" perl-worker : ")));
	t.deepEqual(await play(t, port, "admin"), ["queued=0 running=0 capable=1"]);
});

testHere("Perl: a job that outlasts its function's timeout goes to another worker", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	await startWorker(t, port);
	const scene = play(t, port, "slow", emptyPipe(t));
	const admin = await dial(t, port);
	await until(async () => (await admin.list("status")).includes("slow\t1\t1\t1"), "the job to run");
	await startWorker(t, port, 2);
	t.deepEqual(await scene, ["second attempt"]);
});

testHere("Perl: our gearman's jobs are done by a Perl worker", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	await startWorker(t, port);
	const gearman = (...args) => run(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, ...args]);
	t.deepEqual(await gearman("-f", "reverse", "abc"), { stdout: "cba", stderr: "", exitCode: 0 });
	t.deepEqual(await gearman("-f", "report", "abc"), {
		stdout: "50% Complete\ndata 1\n100% Complete\nresult",
		stderr: "warning\n",
		exitCode: 0,
	});
	t.deepEqual(await gearman("-f", "fail", "abc"), { stdout: "", stderr: "Job failed\n", exitCode: 1 });
	const { stdout, exitCode } = await gearman("-f", "die", "abc");
	t.deepEqual([stdout, exitCode], ["", 1]);
	t.deepEqual(await gearman("-f", "reverse", "again"), { stdout: "niaga", stderr: "", exitCode: 0 });
});

testHere("Perl: a Perl client's jobs are done by our gearman -w", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	for (const [name, ...command] of [
		["reverse", perl, "-0777", "-pe", "$_ = reverse"],
		["fail", "false"],
	]) {
		start(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, "-w", "-f", name, "--", ...command]);
	}
	await workersReady(t, port, { reverse: 1, fail: 1 });
	t.deepEqual(await play(t, port, "do"), ["olleh", "hgih", "same", "undefined"]);
});

testWith(perl, perlGearmand)(
	"Perl's Gearman::Server: our client, worker and admin do without what it lacks",
	async (t) => {
		const port = await freePort();
		start(t, perlGearmand, ["--listen=127.0.0.1", "--port", `${port}`]);
		const gearman = (...args) => run(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, ...args]);
		await until(async () => (await gearman("--server-version")).exitCode === 0, "the server");
		const worker = start(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, "-w", "-f", "sh", "--", "sh"]);
		await workersReady(t, port, { sh: 1 });
		t.deepEqual(await gearman("-f", "sh", "echo done"), { stdout: "done\n", stderr: "", exitCode: 0 });
		t.deepEqual(await gearman("-f", "sh", "head -c 300000 /dev/zero | tr '\\0' a"), {
			stdout: "a".repeat(300_000),
			stderr: "",
			exitCode: 0,
		});
		const failed = await gearman("-f", "sh", "exit 3");
		t.regex(failed.stderr, /^command exited with code 3\n/);
		t.is(failed.exitCode, 1);
		t.deepEqual(await gearman("-b", "-f", "sh", "exit 3"), { stdout: "", stderr: "", exitCode: 0 });
		// A failed job is over there too: else it is done again when its worker leaves.
		await until(async () => (await gearman("--status")).stdout === "sh\t0\t0\t1\n.\n", "the jobs' end");
		t.regex(worker.errors(), /^(gearman: \S+ sh: command exited with code 3\n){2}$/);
	},
);

// PHP's GearmanClient and GearmanWorker (pecl gearman on libgearman) with our job server, and with our client and worker.
// The same scenes run against C's gearmand where it is installed: what they expect is what it does.

import { fileURLToPath } from "node:url";
import { emptyPipe } from "../helpers/pipe.js";
import { C, ours, php, run, start, startGearmand, testWith, workersReady } from "../helpers/programs.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const fixture = (name) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

const DONE = [["result", "olleh"], ["result", "hgih"], ["result", "wol"], [true], [true]];
const REVERSE = "echo strrev(stream_get_contents(STDIN));";

async function startWorker(t, port, count = 1) {
	const worker = start(t, php, [fixture("worker.php"), `${port}`]);
	await workersReady(t, port, { reverse: count, slow: count });
	return worker;
}

/** The scene's lines, as what they were before json_encode(). */
async function play(t, port, scene, ...more) {
	const { stdout, stderr, exitCode } = await run(t, php, [fixture("client.php"), `${port}`, scene, ...more]);
	t.deepEqual([stderr, exitCode], ["", 0]);
	return stdout
		.trimEnd()
		.split("\n")
		.map((line) => JSON.parse(line));
}

for (const [whose, gearmand] of Object.entries({ C: C.gearmand, our: ours.gearmand })) {
	const testHere = testWith(php, gearmand);
	const title = `PHP, ${whose} gearmand`;

	testHere(`${title}: doNormal, doHigh and doLow get their results, byte for byte`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		await startWorker(t, port);
		t.deepEqual(await play(t, port, "do"), DONE);
	});

	testHere(`${title}: a job knows its function, handle, unique key and size`, async (t) => {
		const { port } = await startGearmand(t, gearmand, ["--job-handle-prefix=H:test"]);
		await startWorker(t, port);
		t.deepEqual(await play(t, port, "identity"), [["identity H:test:1 key 4"]]);
	});

	testHere(`${title}: every way a job can end reaches doNormal`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		const worker = await startWorker(t, port);
		t.deepEqual(await play(t, port, "ends"), [
			["fail"],
			["fail"],
			["exception"],
			["exception", ""],
			["throw"],
			["exception", ""],
			["complete"],
			["result", "sent by hand"],
			["setreturn"],
			["fail"],
		]);
		t.deepEqual(await play(t, port, "exceptions"), [[true], ["exception", ""], ["exception", ""], ["result", "retfa"]]);
		t.is(worker.errors(), "");
		t.is(worker.child.exitCode, null);
	});

	testHere(`${title}: tasks of all priorities get every event by callback, each task's in order`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		await startWorker(t, port);
		const lines = await play(t, port, "tasks");
		t.deepEqual(lines.pop(), [true]);
		const byTask = {};
		for (const [name, unique, ...event] of lines) {
			byTask[`${name} ${unique}`] ??= [];
			byTask[`${name} ${unique}`].push(event.join(" "));
		}
		t.deepEqual(byTask, {
			"reverse 1": ["Created", "Complete lamron"],
			"reverse 2": ["Created", "Complete hgih"],
			"reverse 3": ["Created", "Complete wol"],
			"report 4": ["Created", "Status 1 2", "Data data 1\n", "Warning warning\n", "Status 2 2", "Complete result"],
			"fail 5": ["Created", "Data before the end", "Fail"],
			"exception 6": ["Created", "Exception went wrong"],
			"reverse 7": ["Created"],
		});
	});

	testHere(`${title}: tasks of one unique key are done once, for all that asked`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		const scene = play(t, port, "same");
		const admin = await dial(t, port);
		await until(async () => (await admin.list("show unique jobs")).join() === "same", "the jobs to be one");
		await startWorker(t, port);
		t.deepEqual(await scene, [["result"], ["result"], ["result"], [true]]);
		// The function counts its calls.
		const client = await dial(t, port);
		client.send("SUBMIT_JOB", "report", "", "");
		await client.next();
		await client.next();
		t.is((await client.next())[2], "data 2\n");
	});

	testHere(`${title}: background jobs of all priorities have a status until they are done`, async (t) => {
		const { port } = await startGearmand(t, gearmand, ["--job-handle-prefix=H:test"]);
		const { child, output } = start(t, php, [fixture("client.php"), `${port}`, "background"], { stdin: "pipe" });
		const queued = [1, 2, 3].map((n) => `[true,[true,false,0,0]]\nhandle H:test:${n}\n`).join("");
		await until(() => output() === `${queued}[[false,false,0,0]]\n`, "the jobs' status");
		const worker = await dial(t, port);
		worker.send("CAN_DO", "later");
		const done = [];
		for (let i = 0; i < 3; i++) {
			worker.send("GRAB_JOB_UNIQ");
			const [type, handle, name, unique, workload] = await worker.next();
			t.deepEqual([type, name], ["JOB_ASSIGN_UNIQ", "later"]);
			t.is(unique, `unique-${workload}`);
			done.push(workload);
			if (i < 2) worker.send("WORK_COMPLETE", handle, "");
			else worker.send("WORK_STATUS", handle, "3", "4");
		}
		t.deepEqual(done, ["doHighBackground", "doBackground", "doLowBackground"]);
		t.deepEqual(await worker.settle(), []);
		child.stdin.end("\n");
		await until(() => output().endsWith("[[true,true,3,4]]\n"), "the last job's progress");
		t.deepEqual(await play(t, port, "unique"), [[[true, false, 0, 0]]]);
	});

	testHere(`${title}: a wait for which there is no worker times out`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		t.deepEqual(await play(t, port, "timeout"), [[true]]);
	});

	testHere(`${title}: a worker whose wait timed out goes on, and is listed by its id`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		const { output } = await startWorker(t, port);
		await until(() => output().startsWith("waited\nwaited\n"), "two waits without a job");
		t.deepEqual(await play(t, port, "report"), [["result", "data 1\nresult"]]);
		const admin = await dial(t, port);
		t.true((await admin.list("workers")).some((line) => line.includes(" php-worker : ")));
	});

	testHere(`${title}: our gearman's jobs are done by a PHP worker`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		await startWorker(t, port);
		const gearman = (...args) => run(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, ...args]);
		t.deepEqual(await gearman("-f", "reverse", "abc"), { stdout: "cba", stderr: "", exitCode: 0 });
		t.deepEqual(await gearman("-f", "report", "abc"), {
			stdout: "50% Complete\ndata 1\n100% Complete\nresult",
			stderr: "warning\n",
			exitCode: 0,
		});
		t.deepEqual(await gearman("-f", "fail", "abc"), { stdout: "before the end", stderr: "Job failed\n", exitCode: 1 });
		const { exitCode, stdout } = await gearman("-f", "exception", "abc");
		t.deepEqual([stdout, exitCode], ["", 1]);
		t.deepEqual(await gearman("-f", "reverse", "again"), { stdout: "niaga", stderr: "", exitCode: 0 });
	});

	testHere(`${title}: a PHP client's jobs are done by our gearman -w`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		start(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, "-w", "-f", "reverse", "--", php, "-r", REVERSE]);
		await workersReady(t, port, { reverse: 1 });
		t.deepEqual(await play(t, port, "do"), DONE);
	});
}

testWith(php)("PHP, our gearmand: a job that outlasts its function's timeout goes to another worker", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand, ["--verbose=WARNING"]);
	await startWorker(t, port);
	const scene = play(t, port, "slow", emptyPipe(t));
	const admin = await dial(t, port);
	await until(async () => (await admin.list("status")).includes("slow\t1\t1\t1"), "the job to run");
	await startWorker(t, port, 2);
	t.deepEqual(await scene, [["result", "second attempt"]]);
});

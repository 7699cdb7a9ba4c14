// The same commands with C's programs and with ours, in every mix of job server, client and worker: the same bytes on
// stdout, the same exit code. What C's own three say is the first of the mixes.

import { emptyPipe } from "../helpers/pipe.js";
import { C, ours, run, start, startGearmand, testWith, workersReady } from "../helpers/programs.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const ALL_BYTES = Buffer.from(Array.from({ length: 1024 }, (_, i) => i & 0xff));
const ALL_BYTES_TEXT = ALL_BYTES.toString("latin1");

const mixes = [];
for (const gearmand of ["C", "our"]) {
	for (const client of ["C", "our"]) {
		for (const worker of ["C", "our"]) mixes.push({ gearmand, client, worker });
	}
}
const programs = { C, our: ours };

/** The workers: function → the command behind `gearman -w -f function`. */
const COMMANDS = {
	cat: ["--", "cat"],
	rev: ["rev"],
	upper: ["--", "tr", "a-z", "A-Z"],
	count: ["--", "wc", "-c"],
	fail: ["--", "sh", "-c", "cat; exit 3"],
};

/** Our worker says more, and our client shows it. */
const FAILED = /^(fail: )?(Job failed|command exited with code 3)\n/;

/** Client's arguments, input → stdout, and exit code where it is not 0. */
const CALLS = [
	{ args: ["-f", "cat"], input: "hello\nworld", stdout: "hello\nworld" },
	{ args: ["-f", "cat"], input: ALL_BYTES, stdout: ALL_BYTES_TEXT },
	{ args: ["-f", "cat"], input: "", stdout: "" },
	{ args: ["-frev"], input: "one\ntwo\n", stdout: "eno\nowt\n" },
	{ args: ["-f", "upper", "one", "two words", "three"], stdout: "ONETWO WORDSTHREE" },
	{ args: ["one", "-f", "upper", "--", "-n"], stdout: "ONE-N" },
	{ args: ["-P", "-f", "upper", "one", "two"], stdout: "upper: ONEupper: TWO" },
	{ args: ["-s", "-f", "count"], input: "is not read", stdout: "0\n" },
	{ args: ["-n", "-f", "upper"], input: "a\n\nb\nlast", stdout: "A\n\nB\nLAST" },
	{ args: ["-nf", "count"], input: "a\nbcd\n", stdout: "2\n4\n" },
	{ args: ["-N", "-f", "upper"], input: "a\nbc\n", stdout: "ABC" },
	{ args: ["-n", "-P", "-f", "upper"], input: "a\nb\n", stdout: "upper: A\nupper: B\n" },
	{ args: ["-n", "-f", "upper"], input: "", stdout: "" },
	{ args: ["-I", "-f", "upper", "high"], stdout: "HIGH" },
	{ args: ["-L", "-f", "upper", "low"], stdout: "LOW" },
	{ args: ["-u", "key", "-f", "upper", "a"], stdout: "A" },
	{ args: ["-u", "-", "-f", "upper", "a"], stdout: "A" },
	{ args: ["-u", "#", "-f", "upper", "a"], stdout: "A" },
	{ args: ["-b", "-f", "upper", "a"], stdout: "" },
	{ args: ["-b", "-v", "-f", "upper", "a"], stdout: "Task created: HANDLE\n" },
	{ args: ["-t", "30000", "-f", "upper", "a"], stdout: "A" },
	{ args: ["-f", "fail"], input: "partial", stdout: "partial", exitCode: 1, stderr: FAILED },
	{ args: ["-P", "-f", "fail", "a"], stdout: "fail: a", exitCode: 1, stderr: FAILED },
	// Which of the two is done first is anybody's guess.
	{ args: ["-P", "-f", "cat", "-f", "upper", "a\n"], stdout: "cat: a\nupper: A\n", isSorted: true },
];

for (const mix of mixes) {
	const title = `${mix.client} gearman, ${mix.gearmand} gearmand, ${mix.worker} gearman -w`;
	const gearmand = programs[mix.gearmand].gearmand;
	const gearman = programs[mix.client].gearman;
	const worker = programs[mix.worker].gearman;
	const testHere = testWith(gearmand, gearman, worker);

	testHere(`${title}: every way to submit prints the same`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		const counts = {};
		for (const [name, command] of Object.entries(COMMANDS)) {
			start(t, worker, ["-h", "127.0.0.1", "-p", `${port}`, "-w", "-f", name, ...command]);
			counts[name] = 1;
		}
		await workersReady(t, port, counts);
		for (const { args, input, stdout, exitCode = 0, stderr = /^$/, isSorted = false } of CALLS) {
			const said = await run(t, gearman, ["-h", "127.0.0.1", "-p", ` ${port}`, ...args], { input });
			const printed = said.stdout.replace(/H:[\w.-]+:\d+/g, "HANDLE");
			const call = `gearman ${args.join(" ")}: ${said.stderr}`;
			t.is(isSorted ? `${printed.trimEnd().split("\n").sort().join("\n")}\n` : printed, stdout, call);
			t.is(said.exitCode, exitCode, call);
			t.regex(said.stderr, stderr, call);
		}
	});

	testHere(`${title}: queued jobs come by priority, then in order, and those of one unique key once`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		const server = ["-h", "127.0.0.1", "-p", `${port}`];
		await run(t, gearman, [...server, "-b", "-L", "-f", "q", "low\n"]);
		await run(t, gearman, [...server, "-b", "-n", "-f", "q"], { input: "one\ntwo\nthree\n" });
		for (const workload of ["first\n", "second\n"]) {
			await run(t, gearman, [...server, "-b", "-u", "key", "-f", "q", workload]);
		}
		await run(t, gearman, [...server, "-b", "-I", "-f", "q", "high\n"]);
		const { stdout, exitCode } = await run(t, worker, [...server, "-w", "-c", "6", "-f", "q"]);
		t.is(stdout, "high\none\ntwo\nthree\nfirst\nlow\n");
		t.is(exitCode, 0);
		const admin = await dial(t, port);
		// The last result is on its way when the worker ends.
		await until(async () => (await admin.list("status")).join() === "q\t0\t0\t0", "an empty queue");
	});

	testHere(`${title}: two functions of one worker, and a worker of each`, async (t) => {
		const { port } = await startGearmand(t, gearmand);
		const server = ["-h", "127.0.0.1", "-p", `${port}`];
		start(t, worker, [...server, "-w", "-f", "one", "-f", "two", "--", "cat"]);
		start(t, worker, [...server, "-w", "-f", "two", "--", "cat"]);
		await workersReady(t, port, { one: 1, two: 2 });
		const input = Array.from({ length: 20 }, (_, i) => `line ${i}\n`).join("");
		const both = await Promise.all(
			["one", "two"].map((name) => run(t, gearman, [...server, "-n", "-f", name], { input })),
		);
		t.deepEqual(
			both.map(({ stdout }) => stdout),
			[input, input],
		);
	});
}

for (const [whose, gearman] of Object.entries({ C: C.gearman, our: ours.gearman })) {
	testWith(gearman)(`${whose} gearman sends 2 MB through our gearmand and our worker, byte for byte`, async (t) => {
		const { port } = await startGearmand(t, ours.gearmand);
		start(t, ours.gearman, ["-p", `${port}`, "-h", "127.0.0.1", "-w", "-f", "cat", "--", "cat"]);
		await workersReady(t, port, { cat: 1 });
		const input = Buffer.alloc(2_000_000, ALL_BYTES);
		const { stdout } = await run(t, gearman, ["-h", "127.0.0.1", "-p", `${port}`, "-f", "cat"], { input });
		t.true(stdout === input.toString("latin1"));
	});
}

testWith(C.gearmand)("C gearmand: our gearman sends 2 MB to our worker through it, byte for byte", async (t) => {
	const { port } = await startGearmand(t, C.gearmand);
	start(t, ours.gearman, ["-p", `${port}`, "-h", "127.0.0.1", "-w", "-f", "cat", "--", "cat"]);
	await workersReady(t, port, { cat: 1 });
	const input = Buffer.alloc(2_000_000, ALL_BYTES);
	const { stdout } = await run(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, "-f", "cat"], { input });
	t.true(stdout === input.toString("latin1"));
});

/** A worker that sends what a test tells it to, for what no command can make C's gearman -w send. */
async function scriptedWorker(t, port, packets) {
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	worker.send("PRE_SLEEP");
	await worker.settle();
	const done = (async () => {
		let item = await worker.next();
		while (item[0] !== "JOB_ASSIGN") {
			if (item[0] === "NO_JOB") worker.send("PRE_SLEEP");
			else worker.send("GRAB_JOB");
			item = await worker.next();
		}
		for (const [name, ...fields] of packets) worker.send(name, item[1], ...fields);
		return worker.settle();
	})();
	return { worker, done };
}

const REPORTS = [
	{
		title: "data, status and warnings come before the result",
		packets: [
			["WORK_DATA", "part one\n"],
			["WORK_STATUS", "1", "4"],
			["WORK_WARNING", "careful\n"],
			["WORK_STATUS", "75", "100"],
			["WORK_DATA", "\0two"],
			["WORK_COMPLETE", "end\n"],
		],
		stdout: "part one\n25% Complete\n75% Complete\n\0twoend\n",
		// Its status goes through stdio, its data does not.
		stdoutOfC: "part one\n\0twoend\n25% Complete\n75% Complete\n",
		stderr: "careful\n",
		exitCode: 0,
	},
	{
		title: "with -P each has its function in front",
		options: ["-P"],
		packets: [
			["WORK_DATA", "a\n"],
			["WORK_STATUS", "1", "2"],
			["WORK_WARNING", "b\n"],
			["WORK_COMPLETE", "c\n"],
		],
		stdout: "f: a\nf: 50% Complete\nf: c\n",
		stderr: "f: b\n",
		exitCode: 0,
	},
	{
		title: "a failure is exit code 1",
		packets: [["WORK_DATA", "part"], ["WORK_FAIL"]],
		stdout: "part",
		stderr: "Job failed\n",
		exitCode: 1,
	},
];

for (const gearmand of ["C", "our"]) {
	for (const client of ["C", "our"]) {
		const parts = [programs[gearmand].gearmand, programs[client].gearman];
		for (const { title, packets, options = [], stdout, stdoutOfC = stdout, stderr, exitCode } of REPORTS) {
			testWith(...parts)(`${client} gearman, ${gearmand} gearmand: ${title}`, async (t) => {
				const { port } = await startGearmand(t, parts[0]);
				const { done } = await scriptedWorker(t, port, packets);
				const said = await run(t, parts[1], ["-h", "127.0.0.1", "-p", `${port}`, ...options, "-f", "f", "x"]);
				t.deepEqual(said, { stdout: client === "C" ? stdoutOfC : stdout, stderr, exitCode });
				t.deepEqual(await done, []);
			});
		}

		testWith(...parts)(
			`${client} gearman, ${gearmand} gearmand --exceptions: an exception's text is on stderr`,
			async (t) => {
				const { port } = await startGearmand(t, parts[0], ["--exceptions"]);
				const { done } = await scriptedWorker(t, port, [
					["WORK_DATA", "part"],
					["WORK_EXCEPTION", "went wrong\n"],
				]);
				const said = await run(t, parts[1], ["-h", "127.0.0.1", "-p", `${port}`, "-f", "f", "x"]);
				t.is(said.stdout, "part");
				t.true(said.stderr.startsWith("went wrong\n"), said.stderr);
				// C's client takes an exception for a success.
				t.is(said.exitCode, client === "C" ? 0 : 1);
				await done;
			},
		);
	}
}

testWith(C.gearman)("C gearman, our gearmand: an exception nobody asked for is a failure, not a hang", async (t) => {
	const { port } = await startGearmand(t, ours.gearmand);
	const { done } = await scriptedWorker(t, port, [["WORK_EXCEPTION", "went wrong"]]);
	const said = await run(t, C.gearman, ["-h", "127.0.0.1", "-p", `${port}`, "-f", "f", "x"]);
	t.deepEqual(said, { stdout: "", stderr: "Job failed\n", exitCode: 1 });
	await done;
});

testWith(C.gearmand)(
	"our gearman, C gearmand: an exception nobody asked for fails or is printed, and ends the client",
	async (t) => {
		const { port } = await startGearmand(t, C.gearmand);
		const { done } = await scriptedWorker(t, port, [["WORK_EXCEPTION", "went wrong"]]);
		const said = await run(t, ours.gearman, ["-h", "127.0.0.1", "-p", `${port}`, "-f", "f", "x"]);
		t.is(said.exitCode, 1);
		t.is(said.stdout, "");
		await done;
	},
);

for (const gearmand of ["C", "our"]) {
	for (const worker of ["C", "our"]) {
		const parts = [programs[gearmand].gearmand, programs[worker].gearman];
		testWith(...parts)(
			`${worker} gearman -w, ${gearmand} gearmand: a worker that is killed loses no job`,
			async (t) => {
				const { port } = await startGearmand(t, parts[0]);
				const server = ["-h", "127.0.0.1", "-p", `${port}`];
				const client = await dial(t, port);
				client.send("SUBMIT_JOB", "f", "", "again\n");
				const [, handle] = await client.next();
				const first = start(t, parts[1], [...server, "-w", "-f", "f", "--", "cat", emptyPipe(t)]);
				const admin = await dial(t, port);
				await until(async () => (await admin.list("status")).join() === "f\t1\t1\t1", "a running job");
				first.child.kill("SIGKILL");
				await until(async () => (await admin.list("status")).join() === "f\t1\t0\t0", "a job queued again");
				start(t, parts[1], [...server, "-w", "-f", "f", "--", "cat"]);
				t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, "again\n"]);
			},
		);
	}
}

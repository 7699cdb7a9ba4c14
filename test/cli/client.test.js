import { once } from "node:events";
import { closeSync, openSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ava from "ava";
import { freePort } from "../helpers/free-port.js";
import { program, said, start, temporaryFolder } from "../helpers/program.js";
import { startScripted } from "../helpers/scripted-server.js";
import { startWorker } from "../helpers/scripted-worker.js";
import { dial, startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

// One after the other: each starts programs, and some look at the time.
const test = ava.serial;

const complete = (text) => [["WORK_COMPLETE", text]];

/** What the scripted worker can do. */
const functions = {
	echo: (workload) => complete(workload),
	reverse: (workload) => complete([...workload].reverse().join("")),
	length: (workload) => complete(`${workload.length}\n`),
	parts: () => [
		["WORK_DATA", "one\n"],
		["WORK_DATA", "two"],
		["WORK_COMPLETE", "three\n"],
	],
	warn: () => [
		["WORK_WARNING", "careful\n"],
		["WORK_COMPLETE", "done\n"],
	],
	percent: () => [
		["WORK_STATUS", "1", "3"],
		["WORK_STATUS", "0", "0"],
		["WORK_COMPLETE", "done\n"],
	],
	fail: () => [["WORK_DATA", "partial\n"], ["WORK_FAIL"]],
	raise: () => [["WORK_EXCEPTION", "boom"]],
	zeros: (size) => complete("\0".repeat(Number(size))),
};

/** A server with a worker, and gearman(…args) run against it: { stdout, stderr, exitCode }. */
async function setUp(t, options) {
	const server = await startServer(t, options);
	await startWorker(t, server.port, functions);
	return { ...server, gearman: (args, more) => gearman(t, server.port, args, more) };
}

/** `stdin: "pipe"` leaves standard input open. */
function gearman(t, port, args, { input = "", stdin, ...more } = {}) {
	const servers = port === undefined ? [] : ["-h", "127.0.0.1", "-p", String(port)];
	return start(t, [...servers, ...args], {
		...(stdin === undefined ? { input } : { stdin }),
		encoding: "latin1",
		extendEnv: false,
		env: { PATH: process.env.PATH },
		...more,
	});
}

function is(t, result, expected) {
	const { stdout, stderr, exitCode } = result;
	t.deepEqual({ stdout, stderr, exitCode }, { stdout: "", stderr: "", exitCode: 0, ...expected });
}

const jsonOf = (stdout) =>
	stdout
		.trimEnd()
		.split("\n")
		.map((line) => JSON.parse(line));

test("the whole of standard input is one workload, byte for byte", async (t) => {
	const { gearman } = await setUp(t);
	const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 256));
	is(t, await gearman(["-f", "echo"], { input: bytes }), { stdout: bytes.toString("latin1") });
	is(t, await gearman(["-f", "length"]), { stdout: "0\n" });
});

test("each operand is a job of each function, in the order given", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "echo", "-f", "reverse", "ab\n", "cd\n"]), { stdout: "ab\n\nbacd\n\ndc" });
	is(t, await gearman(["-f", "length", "-n", "-N", "one\ntwo\n"], { input: "not read" }), { stdout: "8\n" });
	is(t, await gearman(["-f", "length", ""]), { stdout: "0\n" });
	is(t, await gearman(["-f", "length", "größe"]), { stdout: "7\n" });
});

test("with -s the workload is empty and standard input is not read", async (t) => {
	const { gearman } = await setUp(t);
	// A pipe that stays open.
	is(t, await gearman(["-s", "-f", "length"], { stdin: "pipe" }), { stdout: "0\n" });
});

const LONG = "x".repeat(1_000_000);
for (const [option, input, stdout] of [
	["-n", "one\ntwo\nlast", "4\n4\n4\n"],
	["-N", "one\ntwo\nlast", "3\n3\n4\n"],
	["-n", "\n\n", "1\n1\n"],
	["-N", "\n\n", "0\n0\n"],
	["-n", "a\0b\r\n", "5\n"],
	["-0", "one\0two\n\0last", "3\n4\n4\n"],
	["-n", `${LONG}\n${LONG}`, "1000001\n1000000\n"],
	["-n", "", ""],
]) {
	test(`${option} makes a job of each record of ${JSON.stringify(input.slice(0, 20))}`, async (t) => {
		const { gearman } = await setUp(t);
		is(t, await gearman([option, "-f", "length"], { input }), { stdout });
	});
}

test("records of several functions: all functions of a record, in the order of -f", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-n", "-f", "echo", "-f", "length"], { input: "a\nbc\n" }), { stdout: "a\n2\nbc\n3\n" });
});

test("thousands of lines come out in the order they went in", async (t) => {
	const { gearman } = await setUp(t);
	const input = Array.from({ length: 5000 }, (_, i) => `line ${i}\n`).join("");
	is(t, await gearman(["-nf", "echo"], { input }), { stdout: input });
});

test("lines done out of order are printed in order", async (t) => {
	const server = await startScripted(t);
	const child = gearman(t, server.port, ["-nf", "f"], { input: "a\nb\nc\n" });
	const peer = await server.accept();
	for (const handle of ["H:1", "H:2", "H:3"]) await peer.take(handle);
	peer.answer("WORK_COMPLETE", "H:3", "third\n");
	peer.answer("WORK_DATA", "H:2", "second ");
	peer.answer("WORK_WARNING", "H:2", "warning\n");
	peer.answer("WORK_COMPLETE", "H:2", "line\n");
	peer.answer("WORK_DATA", "H:1", "first ");
	// The first has its turn: what it sends is out before it is done.
	await said(child.stdout, /^first $/);
	peer.answer("WORK_COMPLETE", "H:1", "line\n");
	is(t, await child, { stdout: "first line\nsecond line\nthird\n", stderr: "warning\n" });
});

test("each line is sent as soon as it is there, and its result printed", async (t) => {
	const { port } = await setUp(t);
	const child = gearman(t, port, ["-nf", "echo"], { stdin: "pipe" });
	for (const line of ["one\n", "two\n"]) {
		child.stdin.write(line);
		await said(child.stdout, new RegExp(`^${line}$`));
	}
	child.stdin.end("three");
	is(t, await child, { stdout: "one\ntwo\nthree" });
});

test("-j 1 sends the next line when the last is done, and more with a larger number", async (t) => {
	for (const jobs of [1, 2]) {
		const server = await startScripted(t);
		const child = gearman(t, server.port, ["-nf", "f", "-j", `${jobs}`], { input: "a\nb\nc\n" });
		const peer = await server.accept();
		for (let i = 1; i <= jobs; i++) await peer.take(`H:${i}`);
		peer.answer("WORK_STATUS", "H:1", "1", "2");
		await said(child.stdout, /50%/);
		// The OPTION_REQ and the jobs.
		t.is(peer.received, 1 + jobs);
		peer.answer("WORK_COMPLETE", "H:1", "");
		t.is((await peer.next())[3], jobs === 1 ? "b\n" : "c\n");
		child.kill();
		await child;
	}
});

test("a stream goes on with another server when one is lost, and names what may have run", async (t) => {
	const [first, second] = [await startScripted(t), await startServer(t)];
	await startWorker(t, second.port, { f: complete });
	const servers = `127.0.0.1:${first.port},127.0.0.1:${second.port}`;
	const child = gearman(t, undefined, ["-h", servers, "-nf", "f", "-j", "1", "-u", "#"], { stdin: "pipe" });
	child.stdin.write(Array.from({ length: 30 }, (_, i) => `${i}\n`).join(""));
	const peer = await first.accept();
	await peer.take("H:1"); // some line's key belongs to this server
	await first.close();
	peer.destroy();
	child.stdin.end();
	const { stdout, stderr, exitCode } = await child;
	t.is(exitCode, 69);
	t.is(stdout.trim().split("\n").length, 29);
	t.regex(stderr, /lost the connection .*; the job may have run\n/);
});

test("a stream waits for its only server to come back", async (t) => {
	const server = await startServer(t);
	await startWorker(t, server.port, { f: complete });
	const child = gearman(t, server.port, ["-nf", "f"], { stdin: "pipe" });
	child.stdin.write("before\n");
	await said(child.stdout, /before\n/);
	await server.server.stop();
	const waits = said(child.stderr, /trying again/);
	// A line sent before the client has seen the end of the connection is lost with it, and reported so: the next waits.
	let line = 0;
	let isWaiting = false;
	void waits.then(() => {
		isWaiting = true;
	});
	await until(() => {
		if (!isWaiting) child.stdin.write(`${++line}\n`);
		return isWaiting;
	});
	const again = await startServer(t, { port: server.port });
	await startWorker(t, again.port, { f: complete });
	child.stdin.end("after\n");
	const { stdout, stderr, exitCode } = await child;
	t.true(stdout.startsWith("before\n"));
	t.true(stdout.endsWith(`${line}\nafter\n`));
	t.is(exitCode, /may have run/.test(stderr) ? 69 : 0);
});

test("an input without end is not read ahead of what is done", async (t) => {
	const server = await startScripted(t);
	const child = gearman(t, server.port, ["-nf", "f", "-j", "2"], { stdin: "pipe" });
	child.stdin.on("error", () => {});
	child.stdin.write(Buffer.alloc(8 * 1024 * 1024, `${"x".repeat(1023)}\n`));
	const peer = await server.accept();
	await peer.take("H:1");
	await peer.take("H:2");
	// Round trips enough to read all of it, for a program that would.
	for (let i = 1; i <= 100; i++) {
		peer.answer("WORK_STATUS", "H:1", `${i}`, "100");
		await said(child.stdout, new RegExp(`${i}% Complete`));
	}
	t.true(child.stdin.writableLength > 0);
	t.is(peer.received, 3);
});

test("data and result go to stdout as they are, warnings to stderr", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "parts", "-s"]), { stdout: "one\ntwothree\n" });
	is(t, await gearman(["-f", "warn", "-s"]), { stdout: "done\n", stderr: "careful\n" });
});

test("status is printed in percent; a denominator of 0 harms nobody", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "percent", "-s"]), { stdout: "33% Complete\n0% Complete\ndone\n" });
});

test("-P puts the function in front of each output", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-P", "-f", "parts", "-s"]), { stdout: "parts: one\nparts: twoparts: three\n" });
	is(t, await gearman(["-P", "-f", "warn", "-s"]), { stdout: "warn: done\n", stderr: "warn: careful\n" });
	is(t, await gearman(["-P", "-f", "percent", "-s"]), {
		stdout: "percent: 33% Complete\npercent: 0% Complete\npercent: done\n",
	});
	is(t, await gearman(["-P", "-f", "fail", "-s"]), {
		stdout: "fail: partial\n",
		stderr: "fail: Job failed\n",
		exitCode: 1,
	});
});

test("a failed job is exit code 1 and named, and those after it are done all the same", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "fail", "-f", "echo", "x\n", "y\n"]), {
		stdout: "partial\nx\npartial\ny\n",
		stderr: "fail: Job failed\nfail: Job failed\n",
		exitCode: 1,
	});
});

test("an exception is on stderr, with the job's name, and exit code 1", async (t) => {
	const { gearman } = await setUp(t);
	const { stdout, stderr, exitCode } = await gearman(["-f", "raise", "-s"]);
	t.is(stdout, "");
	t.is(stderr, "boom\ngearman: job H:test:1 of raise raised an exception\n");
	t.is(exitCode, 1);
});

test("a job the server refuses is exit code 1 with the server's reason", async (t) => {
	const { gearman, port } = await setUp(t);
	(await dial(t, port)).raw("create function full\nmaxqueue full 1\n");
	const { stderr, exitCode } = await gearman(["-b", "-f", "full", "one", "two"]);
	t.regex(stderr, /^gearman: full: .*Job queue is full.*\n$/);
	t.is(exitCode, 1);
});

test("no server is exit code 69 and a sentence", async (t) => {
	const port = await freePort();
	const stderr = `gearman: could not connect to 127.0.0.1:${port}: connection refused\n`;
	is(t, await gearman(t, port, ["-f", "f", "-s"]), { stderr, exitCode: 69 });
	is(t, await gearman(t, port, ["-nf", "f"], { input: "a\nb\nc\n" }), { stderr, exitCode: 69 });
	is(t, await gearman(t, port, ["-b", "-f", "f", "-s"]), { stderr, exitCode: 69 });
});

test("of several servers one that is down is passed over", async (t) => {
	const { port } = await setUp(t);
	const servers = `127.0.0.1:${await freePort()},127.0.0.1:${port}`;
	is(t, await gearman(t, undefined, ["-h", servers, "-f", "echo", "x"]), { stdout: "x" });
	is(t, await gearman(t, undefined, ["-h", servers, "-nf", "echo"], { input: "a\nb\n" }), { stdout: "a\nb\n" });
});

test("a server lost while waiting is exit code 69, and says what may have run", async (t) => {
	const server = await startScripted(t);
	const lost = `gearman: lost the connection to 127.0.0.1:${server.port}: it was closed by the server`;
	const one = gearman(t, server.port, ["-f", "f", "x"]);
	const first = await server.accept();
	await first.take("H:1");
	first.answer("WORK_DATA", "H:1", "partial\n");
	await said(one.stdout, /partial/);
	first.end();
	is(t, await one, { stdout: "partial\n", stderr: `${lost}; the job may have run\n`, exitCode: 69 });

	const many = gearman(t, server.port, ["-nf", "f"], { input: "a\nb\nc\n" });
	const second = await server.accept();
	await second.take("H:1");
	await second.take("H:2");
	second.answer("WORK_COMPLETE", "H:2", "done\n");
	await second.take("H:3");
	second.end();
	is(t, await many, { stdout: "done\n", stderr: `${lost}; 2 jobs may have run\n`, exitCode: 69 });
});

test("without a sign of life for the time of -t it is exit code 75", async (t) => {
	const { port } = await setUp(t);
	is(t, await gearman(t, port, ["-t", "50", "-f", "nobody", "x"]), {
		stderr: "gearman: timed out: no sign of life for 50 ms; the job may have run\n",
		exitCode: 75,
	});
	is(t, await gearman(t, port, ["-t", "50", "-nf", "nobody"], { input: "a\nb\n" }), {
		stderr: "gearman: timed out: no sign of life for 50 ms; 2 jobs may have run\n",
		exitCode: 75,
	});
});

test("data keeps a job from timing out", async (t) => {
	const server = await startScripted(t);
	const child = gearman(t, server.port, ["-t", "400", "-f", "f", "x"]);
	const peer = await server.accept();
	await peer.take("H:1");
	const began = Date.now();
	await new Promise((resolve) => {
		const timer = setInterval(() => {
			peer.answer("WORK_DATA", "H:1", ".");
			if (Date.now() - began < 700) return;
			clearInterval(timer);
			resolve();
		}, 20);
	});
	peer.answer("WORK_COMPLETE", "H:1", "\n");
	const { stdout, exitCode } = await child;
	t.regex(stdout, /^\.+\n$/);
	t.is(exitCode, 0);
});

test("no function is a usage error", async (t) => {
	const { stdout, stderr, exitCode } = await gearman(t, 1, []);
	t.is(stdout, "");
	t.regex(stderr, /No Functions were provided/);
	t.is(exitCode, 1);
});

test("-b ends once the job is queued; -v tells its handle", async (t) => {
	const { gearman, port } = await setUp(t);
	is(t, await gearman(["-b", "-f", "later", "x"]), {});
	is(t, await gearman(["-b", "-v", "-f", "later", "-f", "also", "x"]), {
		stdout: "Task created: H:test:2\nTask created: H:test:3\n",
	});
	is(t, await gearman(["-nbf", "later"], { input: "a\nb\n" }), {});
	const rows = await (await dial(t, port)).list("status");
	t.true(rows.includes("later\t4\t0\t0"), rows.join());
});

test("-v tells the handle of a job that is waited for, too", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-v", "-f", "echo", "x\n"]), { stdout: "Task created: H:test:1\nx\n" });
});

for (const [args, packet] of [
	[[], "SUBMIT_JOB"],
	[["-I"], "SUBMIT_JOB_HIGH"],
	[["-L"], "SUBMIT_JOB_LOW"],
	[["-b"], "SUBMIT_JOB_BG"],
	[["-b", "-I"], "SUBMIT_JOB_HIGH_BG"],
	[["-b", "-L"], "SUBMIT_JOB_LOW_BG"],
]) {
	test(`gearman ${args.join(" ")} submits by ${packet}, after asking for exceptions`, async (t) => {
		const server = await startScripted(t);
		const child = gearman(t, server.port, [...args, "-u", "key", "-f", "f", "x"]);
		const peer = await server.accept();
		t.deepEqual(await peer.next(), ["OPTION_REQ", "exceptions"]);
		peer.answer("OPTION_RES", "exceptions");
		t.deepEqual(await peer.next(), [packet, "f", "key", "x"]);
		peer.answer("JOB_CREATED", "H:1");
		peer.answer("WORK_COMPLETE", "H:1", "");
		t.is((await child).exitCode, 0);
	});
}

for (const [key, expected] of [
	["-", /^-$/],
	["#", /^634628250$/],
	["", /^[0-9a-f-]{36}$/],
	[undefined, /^[0-9a-f-]{36}$/],
	["schlüssel", /^schlÃ¼ssel$/],
]) {
	test(`-u ${key} is sent as ${expected}`, async (t) => {
		const server = await startScripted(t);
		const child = gearman(t, server.port, [...(key === undefined ? [] : ["-u", key]), "-b", "-f", "f", "abc"]);
		t.regex((await (await server.accept()).take("H:1"))[2], expected);
		t.is((await child).exitCode, 0);
	});
}

test("--epoch takes Unix seconds or a date, --delay a time from now", async (t) => {
	const server = await startScripted(t);
	const submit = async (...args) => {
		const child = gearman(t, server.port, [...args, "-f", "f", "x"]);
		const [packet, , , epoch, workload] = await (await server.accept()).take("H:1");
		t.is((await child).exitCode, 0);
		t.is(packet, "SUBMIT_JOB_EPOCH");
		t.is(workload, "x");
		return Number(epoch);
	};
	t.is(await submit("--epoch", "2000000000"), 2_000_000_000);
	t.is(await submit("--epoch", "2033-05-18T03:33:20Z"), 2_000_000_000);
	const before = Date.now() / 1000;
	const epoch = await submit("--delay", "90s");
	t.true(epoch >= before + 90 && epoch <= Date.now() / 1000 + 91);
	const wrong = await gearman(t, server.port, ["--epoch", "tomorrow-ish", "-f", "f", "x"]);
	t.regex(wrong.stderr, /"tomorrow-ish" is neither Unix seconds nor a date/);
	t.is(wrong.exitCode, 1);
});

test("--require-worker fails at once where nobody can do the function", async (t) => {
	const { gearman, port } = await setUp(t);
	is(t, await gearman(["--require-worker", "-f", "echo", "x"]), { stdout: "x" });
	const none = { stderr: "gearman: no worker can do nobody\n", exitCode: 69 };
	is(t, await gearman(["--require-worker", "-f", "echo", "-f", "nobody", "x"]), none);
	t.false((await (await dial(t, port)).list("status")).some((line) => line.startsWith("nobody")));
	const { stdout, exitCode } = await gearman(["--json", "--require-worker", "-f", "echo", "-f", "nobody", "x"]);
	t.like(jsonOf(stdout), [{ function: "nobody", state: "no-worker", error: "no worker can do nobody" }]);
	t.is(exitCode, 69);
});

test("a directory is no input", async (t) => {
	const { gearman } = await setUp(t);
	const folder = openSync(".", "r");
	t.teardown(() => closeSync(folder));
	const refused = { stderr: "gearman: could not read the input: it is a directory\n", exitCode: 1 };
	for (const args of [
		["-f", "echo"],
		["-n", "-f", "echo"],
		["-f", "echo", "--split", "2"],
	]) {
		is(t, await gearman(args, { stdin: folder }), refused);
	}
});

test("a file is the workload from where it was read up to, and /dev/null is an empty one", async (t) => {
	const { gearman } = await setUp(t);
	const path = join(temporaryFolder(t), "input");
	writeFileSync(path, "one\ntwo\n\xff", "latin1");
	const opened = (name, flags) => {
		const file = openSync(name, flags);
		t.teardown(() => closeSync(file));
		return file;
	};
	const file = opened(path, "r");
	readSync(file, Buffer.alloc(4));
	is(t, await gearman(["-f", "echo"], { stdin: file }), { stdout: "two\n\xff" });
	is(t, await gearman(["-f", "length"], { stdin: opened("/dev/null", "r") }), { stdout: "0\n" });
	// Its size is given as 0.
	t.regex((await gearman(["-f", "length"], { stdin: opened("/proc/self/status", "r") })).stdout, /^[1-9]\d*\n$/);
	is(t, await gearman(["-f", "echo"], { stdin: opened(path, "a") }), {
		stderr: "gearman: could not read the input: bad file descriptor\n",
		exitCode: 1,
	});
});

test("--status tells what the server knows of a job", async (t) => {
	const { gearman, port } = await setUp(t);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "slow");
	const client = await dial(t, port);
	client.send("SUBMIT_JOB_BG", "slow", "", "");
	const [, handle] = await client.next();
	is(t, await gearman(["--status", handle]), { stdout: `${handle}: queued\n` });
	worker.send("GRAB_JOB");
	worker.send("WORK_STATUS", handle, "1", "4");
	await worker.settle();
	is(t, await gearman(["--status", handle]), { stdout: `${handle}: running, 1 of 4\n` });
	const json = { handle, known: true, running: true, numerator: 1, denominator: 4 };
	is(t, await gearman(["--status", handle, "--json"]), { stdout: `${JSON.stringify(json)}\n` });
	is(t, await gearman(["--status", "H:none"]), { stdout: "H:none: unknown (done, or never there)\n", exitCode: 1 });
});

test("--json is a line a job, with its result as text or base64", async (t) => {
	const { gearman } = await setUp(t);
	const { stdout, stderr, exitCode } = await gearman(["--json", "-j", "1", "-0", "-u", "k", "-f", "echo"], {
		input: Buffer.from("text\0\xff\xfe", "latin1"),
	});
	t.is(stderr, "");
	t.is(exitCode, 0);
	const row = { function: "echo", unique: "k", state: "complete", numerator: 0, denominator: 0 };
	const [first, second] = jsonOf(stdout);
	t.deepEqual(first, { ...row, handle: "H:test:1", result: "text" });
	t.deepEqual(second, { ...row, handle: "H:test:2", resultBase64: "//4=" });
});

test("--json names how a job ended", async (t) => {
	const { gearman } = await setUp(t);
	const { stdout, stderr, exitCode } = await gearman(["--json", "-f", "percent", "-f", "fail", "-f", "raise", "-s"]);
	t.is(stderr, "");
	t.is(exitCode, 1);
	const [percent, fail, raise] = jsonOf(stdout);
	t.like(percent, { function: "percent", state: "complete", result: "done\n", numerator: 0, denominator: 0 });
	t.like(fail, { function: "fail", state: "failed", result: "partial\n" });
	t.like(raise, { function: "raise", state: "exception", exception: "boom" });
	const queued = jsonOf((await gearman(["--json", "-b", "-u", "same", "-f", "later", "a", "b"])).stdout);
	t.like(queued[0], { state: "queued", handle: queued[1].handle, unique: "same" });
	t.like(jsonOf((await gearman(["--json", "-t", "50", "-f", "nobody", "-s"])).stdout)[0], { state: "timeout" });
	const nowhere = await gearman(["-p", String(await freePort()), "--json", "-f", "f", "-s"]);
	t.like(jsonOf(nowhere.stdout)[0], { state: "unreachable" });
	t.is(nowhere.exitCode, 69);
});

test("--json says of a result that is too large for a line that it is, and goes on", async (t) => {
	// As JSON each byte takes six: more than the longest string there is.
	const { gearman } = await setUp(t);
	const { stdout, stderr, exitCode } = await gearman(["--json", "-f", "zeros", `${90 << 20}`, "2"]);
	t.deepEqual([stderr, exitCode], ["", 1]);
	const [large, small] = jsonOf(stdout);
	t.like(large, { state: "error", error: "what came of the job is too large for a line of JSON", result: undefined });
	t.like(small, { state: "complete", result: "\0\0" });
});

test("a reader that leaves ends the program quietly", async (t) => {
	const { port } = await setUp(t);
	const child = gearman(t, port, ["-nf", "echo"], { stdin: "pipe" });
	child.stdin.on("error", () => {});
	child.stdin.write("first\n");
	await said(child.stdout, /first\n/);
	child.stdout.destroy();
	await once(child.stdout, "close");
	child.stdin.write("second\n");
	const { stderr, exitCode } = await child;
	t.is(stderr, "");
	t.is(exitCode, 0);
});

test("a slow reader gets every byte", async (t) => {
	const { port } = await setUp(t);
	const input = Array.from({ length: 2000 }, (_, i) => `${i} ${"x".repeat(1000)}\n`).join("");
	const child = gearman(t, port, ["-nf", "echo"], { input, buffer: false });
	// Read no more than the stream takes by itself.
	await once(child.stdout, "readable");
	await until(() => child.stdout.readableLength >= child.stdout.readableHighWaterMark);
	let text = "";
	for await (const chunk of child.stdout) text += chunk.toString("latin1");
	t.true(text === input);
	t.is((await child).exitCode, 0);
});

test("bytes of an operand that are no UTF-8 arrive as they were typed", async (t) => {
	const { port } = await setUp(t);
	const script = `exec "$0" -h 127.0.0.1 -p ${port} -f length "$(printf 'a\\377\\376b')"`;
	const { stdout, exitCode } = await start(t, ["-c", script, program], { command: "/bin/sh", stdin: "ignore" });
	t.is(exitCode, 0);
	t.is(stdout, process.platform === "linux" ? "4\n" : "8\n");
});

// Map and reduce from the shell, with real sort, awk and wc behind the workers.

import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ava from "ava";
import fc from "fast-check";
import { program, said, start, temporaryFolder } from "../helpers/program.js";
import { startScripted } from "../helpers/scripted-server.js";
import { startWorker } from "../helpers/scripted-worker.js";
import { startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const test = ava.serial;

const complete = (text) => [["WORK_COMPLETE", text]];
const numbers = (text) =>
	text
		.split("\n")
		.filter((line) => line !== "")
		.map(Number);

/** A server, a worker, and gearman(args, { input }) run against them. */
async function setUp(t, more = {}) {
	const { port } = await startServer(t);
	const tries = new Map();
	const wire = await startWorker(t, port, {
		echo: complete,
		lines: (workload) => complete(`${workload.split("\n").length - 1}\n`),
		sum: (workload) => complete(`${numbers(workload).reduce((sum, number) => sum + number, 0)}\n`),
		join: (workload) => complete(`(${workload})`),
		sorted: (workload) => complete(run("sort", ["-k2,2n"], workload)),
		/** Fails where the workload says so. */
		picky: (workload) =>
			/bad/.test(workload)
				? [
						["WORK_DATA", "partial\n"],
						["WORK_EXCEPTION", "no good\n"],
					]
				: complete(workload),
		/** Fails the first two times. */
		third: (workload) => {
			tries.set(workload, (tries.get(workload) ?? 0) + 1);
			return tries.get(workload) < 3 ? [["WORK_DATA", "partial\n"], ["WORK_FAIL"]] : complete(workload);
		},
		...more,
	});
	return { port, wire, gearman: (args, options) => gearman(t, port, args, options) };
}

function gearman(t, port, args, { input = "", stdin, ...more } = {}) {
	return start(t, ["-h", "127.0.0.1", "-p", String(port), ...args], {
		...(stdin === undefined ? { input } : { stdin }),
		encoding: "latin1",
		extendEnv: false,
		env: { PATH: process.env.PATH, LC_ALL: "C" },
		...more,
	});
}

function run(program, args, input) {
	return execFileSync(program, args, { input, encoding: "latin1", env: { PATH: process.env.PATH, LC_ALL: "C" } });
}

function is(t, result, expected) {
	const { stdout, stderr, exitCode } = result;
	t.deepEqual({ stdout, stderr, exitCode }, { stdout: "", stderr: "", exitCode: 0, ...expected });
}

const seq = (count) => Array.from({ length: count }, (_, i) => `${i + 1}\n`).join("");

test("--split makes jobs of so many lines, and results come in the order of the input", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "lines", "--split", "10"], { input: `${seq(25)}last` }), { stdout: "10\n10\n5\n" });
	is(t, await gearman(["-f", "lines", "--split-bytes", "8"], { input: "1\n23\n456\n7890\n" }), { stdout: "2\n1\n1\n" });
	is(t, await gearman(["-f", "join", "--split-null"], { input: "a\0b\nc\0d" }), { stdout: "(a\0)(b\nc\0)(d)" });
	is(t, await gearman(["-f", "join", "--split", "2", "--split-null"], { input: "a\0b\0c" }), { stdout: "(a\0b\0)(c)" });
	is(t, await gearman(["-f", "join", "--split", "2"], { input: "a\r\n\r\nb" }), { stdout: "(a\r\n\r\n)(b)" });
});

test("split and echoed an input is itself again, whatever its bytes", async (t) => {
	const { gearman } = await setUp(t);
	const input = randomBytes(3_000_000);
	for (const how of [
		["--split", "50"],
		["--split-bytes", "10K"],
		["--split-null", "--split-bytes", "1M"],
	]) {
		const { stdout, exitCode } = await gearman(["-f", "echo", ...how], { input });
		t.is(exitCode, 0);
		t.true(stdout === input.toString("latin1"), how.join(" "));
	}
});

test("an empty input is no job, and exit code 0", async (t) => {
	const { port } = await startServer(t);
	for (const [args, stdout] of [
		[[], ""],
		[["--unordered"], ""],
		[["--merge"], ""],
		[["--merge", ""], ""],
		[["--reduce-function", "r"], ""],
		[["--reduce", "wc -c | tr -d ' '"], "0\n"],
	]) {
		is(t, await gearman(t, port, ["-f", "nobody", "--split", "5", ...args]), { stdout });
	}
});

test("--unordered gives results as they are ready, each whole", async (t) => {
	const server = await startScripted(t);
	const child = gearman(t, server.port, ["--unordered", "--split", "1", "-f", "f"], { input: "a\nb\n" });
	const peer = await server.accept();
	await peer.take("H:1");
	await peer.take("H:2");
	peer.answer("WORK_DATA", "H:1", "first ");
	peer.answer("WORK_DATA", "H:2", "second ");
	peer.answer("WORK_COMPLETE", "H:2", "piece\n");
	await said(child.stdout, /^second piece\n$/);
	peer.answer("WORK_COMPLETE", "H:1", "piece\n");
	is(t, await child, { stdout: "second piece\nfirst piece\n" });
});

test("no more is submitted than finished results may wait for a slow first piece", async (t) => {
	const server = await startScripted(t);
	const args = ["--split", "1", "-f", "f", "-j", "2"];
	const child = gearman(t, server.port, args, { stdin: "pipe", buffer: false });
	child.stdin.on("error", () => {});
	child.stdin.write("x\n".repeat(100_000));
	const peer = await server.accept();
	await peer.take("H:1");
	const result = "r".repeat(16 * 1024 * 1024);
	// The first is never done: the second place is for one after the other, until as many wait as may.
	let taken = 2;
	for (let round = 0; round < 12; round++) {
		if (peer.received > taken) await peer.take(`H:${++taken}`);
		if (taken > round + 1) peer.answer("WORK_COMPLETE", `H:${taken}`, result);
		// A round trip, which the first one's warnings make.
		for (let i = 0; i < 5; i++) {
			peer.answer("WORK_WARNING", "H:1", `${round}.${i}\n`);
			await said(child.stderr, new RegExp(`^${round}\\.${i}$`, "m"));
		}
	}
	t.true(taken >= 4 && taken <= 9, `${taken}`);
});

test("a piece that fails ends the reading, is named, and what runs is printed", async (t) => {
	const { gearman } = await setUp(t);
	const input = "a\nbad\nc\n".concat("more\n".repeat(1000));
	const { stdout, stderr, exitCode } = await gearman(["-f", "picky", "--split", "1", "-j", "1"], { input });
	t.is(exitCode, 1);
	t.is(stdout, "a\npartial\n");
	t.is(stderr, "gearman: piece 2 of picky (bytes 2-5) failed: no good\ngearman: the rest of the input was not sent\n");
});

test("--keep-going goes on behind a piece that failed; of that one nothing is printed", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "picky", "--split", "1", "--keep-going"], { input: "a\nbad\nc\n" }), {
		stdout: "a\nc\n",
		stderr: "gearman: piece 2 of picky (bytes 2-5) failed: no good\n",
		exitCode: 1,
	});
});

test("--retry tries a failed piece again, and prints it once", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "third", "--split", "1", "--retry", "2"], { input: "a\nb\n" }), { stdout: "a\nb\n" });
	is(t, await gearman(["-f", "picky", "--split", "1", "--retry", "1"], { input: "bad\n" }), {
		stderr: "gearman: piece 1 of picky (bytes 0-3) failed after 2 tries: no good\n",
		exitCode: 1,
	});
	is(t, await gearman(["-f", "third", "--retry", "2", "one", "two"]), { stdout: "onetwo" });
});

test("--reduce gives the results to a command, whose output and exit code count", async (t) => {
	const { gearman } = await setUp(t);
	const input = seq(1000);
	is(t, await gearman(["-f", "lines", "--split", "7", "--reduce", "awk '{s+=$1} END {print s}'"], { input }), {
		stdout: "1000\n",
	});
	is(t, await gearman(["-f", "echo", "--split", "7", "--reduce", "cat; exit 4"], { input }), {
		stdout: input,
		exitCode: 4,
	});
	is(t, await gearman(["-f", "echo", "-n", "--reduce", "tr -d '\\n'"], { input: "a\nb\n" }), { stdout: "ab" });
	is(t, await gearman(["-f", "echo", "--reduce", "sort -r", "a\n", "b\n"]), { stdout: "b\na\n" });
});

test("a --reduce command that leaves early ends the map with its exit code", async (t) => {
	const { gearman } = await setUp(t);
	const input = seq(100_000);
	is(t, await gearman(["-f", "echo", "--split", "10", "--reduce", "head -n 2"], { input }), { stdout: "1\n2\n" });
	const failed = await gearman(["-f", "echo", "--split", "10", "--reduce", "head -n 1; exit 7"], { input });
	is(t, failed, {
		stdout: "1\n",
		stderr: "gearman: the --reduce command ended before the input, with exit code 7\n",
		exitCode: 7,
	});
	const missing = await gearman(["-f", "echo", "--split", "10", "--reduce", "/nowhere/at/all"], { input });
	t.is(missing.exitCode, 127);
	t.regex(missing.stderr, /ended before the input, with exit code 127\n/);
	const killed = await gearman(["-f", "echo", "--split", "10", "--reduce", "kill -9 $$"], { input });
	t.is(killed.exitCode, 137);
});

test("a --reduce command that reads slowly gets every byte", async (t) => {
	const { gearman } = await setUp(t);
	const input = `${"x".repeat(99)}\n`.repeat(100_000);
	const { stdout, exitCode } = await gearman(["-f", "echo", "--split-bytes", "100K", "--reduce", "sleep 0.5; md5sum"], {
		input,
	});
	t.is(exitCode, 0);
	t.is(stdout.split(" ")[0], createHash("md5").update(input).digest("hex"));
});

test("--merge merges sorted results as sort would have sorted the whole", async (t) => {
	const { gearman } = await setUp(t);
	const random = fc.sample(fc.nat(5000), 20_000);
	const input = random.map((number, line) => `${line} ${number}\n`).join("");
	const expected = run("sort", ["-k2,2n"], input);
	for (const args of [
		["--split", "1000"],
		["--split", "30"],
		["--split", "100000"],
	]) {
		const { stdout, stderr, exitCode } = await gearman(["-f", "sorted", ...args, "--merge", "-k2,2n"], { input });
		t.is(stderr, "");
		t.is(exitCode, 0);
		t.true(stdout === expected, args.join(" "));
	}
	const stable = await gearman(["-f", "sorted", "--split", "1000", "--merge", "-s", "-k2,2n"], { input });
	t.is(stable.exitCode, 0);
	t.is(run("sort", ["-s", "-c", "-k2,2n"], stable.stdout), "");
});

test("--merge takes what sort takes: -u, -r, -t, words of its own, a last line without newline", async (t) => {
	const { gearman } = await setUp(t);
	const merged = async (...args) => (await gearman([...args, "-f", "echo", "1\n2\n", "2\n3"])).stdout;
	t.is(await merged("--merge"), "1\n2\n2\n3\n");
	t.is(await merged("--merge", "-u"), "1\n2\n3\n");
	t.is(await merged("--merge=-u"), "1\n2\n3\n");
	t.is((await gearman(["--merge", "-t,", "-k2,2nr", "-f", "echo", "a,9\na,1\n", "b,5\n"])).stdout, "a,9\nb,5\na,1\n");
	t.is((await gearman(["--merge=-n -r", "-f", "echo", "10\n9\n", "11\n"])).stdout, "11\n10\n9\n");
	t.is((await gearman(["--merge", "-f", "echo", "a\n"])).stdout, "a\n");
});

test("--merge keeps what memory should not hold in nameless files, and says so where there is no room", async (t) => {
	const RUNS = 8;
	const LINES = 160_000;
	/** Long lines that begin with a number: every `step`-th of them. */
	const lines = (first, step) =>
		Array.from({ length: Math.ceil((LINES - first) / step) }, (_, i) => `${1_000_000 + first + i * step}`.padEnd(999));
	const linesFrom = (first) => Buffer.from(`${lines(first, RUNS).join("\n")}\n`, "latin1");
	const { port } = await setUp(t, { run: (workload) => [["WORK_COMPLETE", linesFrom(Number(workload))]] });
	const folder = temporaryFolder(t);
	const merge = (TMPDIR) =>
		start(t, ["-c", `${program} -h 127.0.0.1 -p ${port} -f run --merge 0 1 2 3 4 5 6 7 | md5sum`], {
			command: "sh",
			extendEnv: false,
			env: { PATH: process.env.PATH, LC_ALL: "C", TMPDIR },
		});
	const { stdout, stderr } = await merge(folder);
	t.is(stderr, "");
	const expected = createHash("md5");
	for (const line of lines(0, 1)) expected.update(`${line}\n`);
	t.is(stdout.split(" ")[0], expected.digest("hex"));
	t.deepEqual(readdirSync(folder), []);

	const file = join(folder, "file");
	await writeFile(file, "");
	for (const [place, reason] of [
		[join(folder, "nowhere"), "no such directory"],
		[file, "not a directory"],
	]) {
		const nowhere = await merge(place);
		const [first] = nowhere.stderr.split("\n");
		t.is(first, `gearman: could not merge: no file can be made in ${place}: ${reason}`);
		t.is(nowhere.stdout.split(" ")[0], createHash("md5").update("").digest("hex"));
	}
});

test("--merge says at once what sort does not take", async (t) => {
	const { gearman } = await setUp(t);
	const wrong = await gearman(["-f", "echo", "--merge=-Q", "a"]);
	t.regex(wrong.stderr, /^gearman: --merge needs sort\(1\), which says: .*Q.*\n$/);
	t.is(wrong.exitCode, 1);
	const output = await gearman(["-f", "echo", "--merge=-no/tmp/x", "a"]);
	is(t, output, { stderr: "gearman: --merge cannot do what sort's -no/tmp/x says\n", exitCode: 1 });
});

test("--merge and --reduce-function give no result when a piece failed, but with --keep-going that of the others", async (t) => {
	const { gearman } = await setUp(t);
	const input = "a\nbad\nc\n";
	const failed = "gearman: piece 2 of picky (bytes 2-5) failed: no good\n";
	const none = "gearman: there is no result, for not all of it was done\n";
	for (const how of [["--merge"], ["--reduce-function", "echo"]]) {
		const args = ["-f", "picky", "--split", "1", ...how];
		is(t, await gearman(args, { input }), { stderr: failed + none, exitCode: 1 });
		is(t, await gearman([...args, "--keep-going"], { input }), { stdout: "a\nc\n", stderr: failed, exitCode: 1 });
	}
	const broken = await gearman(["-f", "echo", "--split", "1", "--reduce-function", "picky"], { input });
	is(t, broken, { stderr: `gearman: a job of picky failed: no good\n${none}`, exitCode: 1 });
});

test("--reduce-function reduces as a tree, in order, every result once at least", async (t) => {
	const { gearman } = await setUp(t);
	const tree = async (count, size) =>
		(
			await gearman(["-f", "echo", "--split", "1", "--reduce-function", "join", "--reduce-size", `${size}`], {
				input: Array.from({ length: count }, (_, i) => `${i}\0`).join(""),
			})
		).stdout;
	t.is(await tree(1, 3), "(0\0)");
	const split = async (count) =>
		(
			await gearman(["-f", "echo", "--split-null", "--reduce-function", "join", "--reduce-size", "3"], {
				input: Array.from({ length: count }, (_, i) => `${i}\0`).join(""),
			})
		).stdout.replaceAll("\0", "");
	t.is(await split(1), "(0)");
	t.is(await split(3), "(012)");
	t.is(await split(4), "((012)3)");
	t.is(await split(9), "((012)(345)(678))");
	t.is(await split(10), "(((012)(345)(678))9)");
	const sum = ["-f", "lines", "--split", "3", "--reduce-function", "sum"];
	is(t, await gearman(sum, { input: seq(1000) }), { stdout: "1000\n" });
	is(t, await gearman([...sum, "--unordered"], { input: seq(1000) }), { stdout: "1000\n" });
});

test("several functions get the same pieces; those that fail are named, the others' results come", async (t) => {
	const { gearman } = await setUp(t);
	is(t, await gearman(["-f", "echo", "-f", "picky", "-f", "lines", "a\nbad\nc\n"]), {
		stdout: "a\nbad\nc\npartial\n3\n",
		stderr: "picky: no good\ngearman: job H:test:2 of picky raised an exception\n",
		exitCode: 1,
	});
	is(t, await gearman(["-P", "-f", "echo", "-f", "lines", "-f", "echo", "a\nb\n\nc"]), {
		stdout: "echo: a\necho: b\necho: \necho: c\nlines: 3\necho: a\necho: b\necho: \necho: c",
	});
});

test("--joblog has a line for every job, and --resume runs what is not done", async (t) => {
	const { gearman } = await setUp(t);
	const joblog = join(temporaryFolder(t), "log");
	const input = "a\nbad\nc\n";
	const args = ["--split", "1", "--joblog", joblog];
	const first = await gearman(["-f", "picky", ...args, "--keep-going"], { input });
	t.is(first.stdout, "a\nc\n");
	const [header, ...rows] = (await readFile(joblog, "utf8"))
		.trimEnd()
		.split("\n")
		.map((line) => line.split("\t"));
	t.deepEqual(header, "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command Hash".split(" "));
	t.deepEqual(
		rows.map(([seq, handle, , , send, receive, exit, , name]) => [seq, handle, send, receive, exit, name]),
		[
			["1", "H:test:1", "2", "2", "0", "picky"],
			["2", "H:test:2", "4", "8", "1", "picky"],
			["3", "H:test:3", "2", "2", "0", "picky"],
		],
	);
	t.true(Math.abs(Number(rows[0][2]) - Date.now() / 1000) < 60);
	const again = await gearman(["-f", "picky", ...args, "--resume"], { input });
	t.is(again.stdout, "");
	t.regex(again.stderr, /^gearman: 2 jobs are done according to .*log\ngearman: piece 2 of picky/);
	t.is(again.exitCode, 1);
	// Done at last, by whoever can.
	await writeFile(joblog, (await readFile(joblog, "utf8")).replaceAll("\t1\t0\tpicky", "\t0\t0\tpicky"));
	t.is((await gearman(["-f", "picky", ...args, "--resume"], { input })).exitCode, 0);
});

test("--resume refuses another input, another function and a shorter input", async (t) => {
	const { gearman } = await setUp(t);
	const joblog = join(temporaryFolder(t), "log");
	const args = ["--split", "1", "--joblog", joblog];
	is(t, await gearman(["-f", "echo", ...args], { input: "a\nb\n" }), { stdout: "a\nb\n" });
	const other =
		/\ngearman: the input or its split is not what .*log was written for \((job 2|job 1|it ends after job 1)\)\n$/;
	for (const [name, input] of [
		["echo", "a\nB\n"],
		["lines", "a\nb\n"],
		["echo", "a\n"],
	]) {
		const { stdout, stderr, exitCode } = await gearman(["-f", name, ...args, "--resume"], { input });
		t.is(stdout, "");
		t.regex(stderr, other);
		t.is(exitCode, 1);
	}
	// A longer one goes on behind what is done; a line that was cut short does not count.
	const log = await readFile(joblog, "utf8");
	await writeFile(joblog, log.slice(0, -3));
	const longer = await gearman(["-f", "echo", ...args, "--resume"], { input: "a\nb\nc\n" });
	t.is(longer.stdout, "b\nc\n");
	t.is((await readFile(joblog, "utf8")).trimEnd().split("\n").length, 4);
	await writeFile(joblog, "something else\n");
	t.regex((await gearman(["-f", "echo", ...args, "--resume"])).stderr, /is not a job log/);
	t.regex(
		(await gearman(["-f", "echo", "--joblog", "/nowhere/log", "--split", "1"])).stderr,
		/could not use the job log/,
	);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"]) {
	test(`after ${signal} the job log has what was printed, and --resume gives the rest`, async (t) => {
		let isStuck = true;
		const { gearman } = await setUp(t, {
			stuck: (workload, wire) => (isStuck && workload === "3\n" ? wire.next().then(() => []) : complete(workload)),
		});
		const joblog = join(temporaryFolder(t), "log");
		const args = ["-f", "stuck", "--split", "1", "--joblog", joblog];
		const child = gearman(args, { stdin: "pipe" });
		child.stdin.write("1\n2\n3\n4\n");
		await until(async () => (await readFile(joblog, "utf8")).split("\n").length === 4, "two lines in the log");
		child.kill(signal);
		const { stdout } = await child;
		t.is(stdout, "1\n2\n");
		isStuck = false;
		const { port } = await setUp(t);
		const rest = await gearmanAt(t, port, ["-f", "echo", ...args.slice(2), "--resume"], joblog);
		t.is(rest.stdout, "3\n4\n");
	});
}

/** The function has another name here: in the log, too. */
async function gearmanAt(t, port, args, joblog) {
	await writeFile(joblog, (await readFile(joblog, "utf8")).replaceAll("stuck", "echo"));
	return await gearman(t, port, args, { input: "1\n2\n3\n4\n" });
}

test("a reader that leaves ends the map quietly", async (t) => {
	const { port } = await setUp(t);
	const script = `seq 1 100000 | "$0" -h 127.0.0.1 -p ${port} -f echo --split 10 | head -n 1`;
	const { program } = await import("../helpers/program.js");
	const { stdout, stderr } = await start(t, ["-c", script, program], { command: "/bin/sh" });
	t.deepEqual([stdout, stderr], ["1\n", ""]);
});

test("what does not go together is a usage error", async (t) => {
	for (const [args, message] of [
		[["--split", "2", "-n"], "--split and --lines exclude each other"],
		[["--split", "2", "operand"], "--split cuts standard input, so there can be no operand ('operand')"],
		[["--reduce", "cat", "--merge"], "--reduce and --merge exclude each other"],
		[["--reduce", "cat", "-b"], "--reduce and --background exclude each other"],
		[["--merge", "--json"], "--merge and --json exclude each other"],
		[["--merge", "--joblog", "x", "--resume"], "--merge and --resume exclude each other"],
		[["--resume"], "--resume needs --joblog FILE"],
		[["--reduce-size", "4"], "--reduce-size needs --reduce-function NAME"],
		[["--split", "0"], "the argument ('0') for option '--split' is invalid"],
		[["--split-bytes", "many"], "the argument ('many') for option '--split-bytes' is invalid"],
	]) {
		const { stdout, stderr, exitCode } = await gearman(t, 1, ["-f", "f", ...args]);
		t.is(stdout, "");
		t.true(stderr.includes(message), stderr.slice(0, 200));
		t.is(exitCode, 1);
	}
});

// Map/reduce from the command line, among our own and with libgearman's partition client and worker.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { isAlive } from "../helpers/program.js";
import { C, ours, run, start, startGearmand, testWith, workersReady } from "../helpers/programs.js";
import { until } from "../helpers/until.js";

/** test/fixtures/partition.c compiled; undefined without gcc or libgearman. */
const partition = (() => {
	const folder = mkdtempSync(join(tmpdir(), "gearman-partition-"));
	process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
	const path = join(folder, "partition");
	const source = fileURLToPath(new URL("../fixtures/partition.c", import.meta.url));
	try {
		execFileSync("gcc", ["-o", path, source, "-lgearman"], { stdio: "ignore" });
		return path;
	} catch {
		return undefined;
	}
})();

const WORDS = ["--split-command", "tr ' ' '\\n'"];
const SUM = ["--aggregate", "paste -s -d+ | bc"];

/** A server; a worker with -f split and these options; one with -f count, which counts bytes, unless told otherwise. */
async function serve(t, options, { gearmand = ours.gearmand, count = ["wc", "-c"] } = {}) {
	const { port } = await startGearmand(t, gearmand);
	const at = ["-h", "127.0.0.1", "-p", String(port)];
	const splitter = start(t, ours.gearman, ["-w", ...at, "-f", "split", ...options]);
	start(t, ours.gearman, ["-w", ...at, "-f", "count", "-j", "2", ...count]);
	await workersReady(t, port, { split: 1, count: 1 });
	const ask = (input, ...args) => run(t, ours.gearman, [...at, "-f", "split", ...args], { input });
	return { port, at, splitter, ask };
}

/** The answer alone, without the lines of progress. */
const answer = ({ stdout }) => stdout.replace(/^\d+% Complete\n/gm, "");

test.serial("records are split off, counted each by the reducer, and the counts added up", async (t) => {
	const { ask } = await serve(t, [...WORDS, ...SUM]);
	const reduced = await ask("one two three four\n", "--reducer", "count");
	t.is(answer(reduced), "19\n");
	t.is(reduced.exitCode, 0);
	t.regex(reduced.stdout, /^100% Complete$/m);
});

test.serial(
	"without a split command the lines are the records, without an aggregate the results in order the answer",
	async (t) => {
		const lines = await serve(t, ["--aggregate", "sort -n"]);
		t.is(answer(await lines.ask("a\nbbb\ncc", "--reducer", "count")), "2\n2\n4\n");
		const results = await serve(t, WORDS, { count: ["rev"] });
		t.is(answer(await results.ask("one two three\n", "--reducer", "count")), "eno\nowt\neerht\n");
		t.is(answer(await results.ask("", "--reducer", "count")), "");
	},
);

test.serial("records may end in NUL, and be stripped", async (t) => {
	const byNul = await serve(t, ["-0", "--split-command", "cat", "--aggregate", "cat"]);
	t.is(answer(await byNul.ask("a\nb\0cc\0", "--reducer", "count")), "3\n2\n");
	const stripped = await serve(t, ["-N", "--split-command", "cat"]);
	t.is(answer(await stripped.ask("a\n\nbb\n", "--reducer", "count")), "1\n0\n2\n");
});

test.serial("killing the worker kills the commands of its jobs", async (t) => {
	const { ask, splitter, port } = await serve(t, [
		"--split-command",
		"echo $$ >&2; trap '' TERM; while :; do sleep 0.1; done",
	]);
	void ask("", "--reducer", "count");
	const [pid] = await until(() => /^\d+$/m.exec(splitter.errors()));
	splitter.child.kill("SIGHUP");
	await workersReady(t, port, { split: 0 });
	await until(() => !isAlive(Number(pid)));
	t.pass();
});

test.serial("a job without a reducer gets its records back", async (t) => {
	const { ask } = await serve(t, [...WORDS, ...SUM]);
	t.is((await ask("one two\n")).stdout, "one\ntwo\n");
});

test.serial("a background job with a reducer runs too", async (t) => {
	const { ask, splitter } = await serve(t, ["--aggregate", "wc -l >&2"]);
	t.is((await ask("a\nb\n", "-b", "--reducer", "count")).exitCode, 0);
	await until(() => /^2$/m.test(splitter.errors()));
});

test.serial("ten thousand records pass through the two commands and come in order", async (t) => {
	const { ask } = await serve(t, ["--split-command", "seq 10000"], { count: ["--keep", "-n", "cat"] });
	const expected = `${Array.from({ length: 10_000 }, (_, at) => at + 1).join("\n")}\n`;
	t.is(answer(await ask("", "--reducer", "count")), expected);
});

for (const [what, options, count, reason] of [
	["a piece", WORDS, ["grep -v two"], /^piece 2 \(count\): command exited with code 1$/m],
	["the split command", ["--split-command", "echo a; exit 3"], ["cat"], /^split command exited with code 3$/m],
	["the aggregate", ["--aggregate", "cat; exit 4"], ["cat"], /^aggregate command exited with code 4$/m],
	[
		"a missing command",
		["--aggregate", "./nowhere"],
		["cat"],
		/^aggregate command could not be started: \.\/nowhere: no such file$/m,
	],
	[
		"a job that takes too long",
		["--aggregate", "sleep 1000", "--job-timeout", "300"],
		["cat"],
		/^the job was given up after 300 ms$/m,
	],
]) {
	test.serial(`${what} fails the job, with why, and the next job is done`, async (t) => {
		const { ask, port } = await serve(t, options, { count });
		const failed = await ask("one two three\n", "--reducer", "count");
		t.is(failed.exitCode, 1);
		t.regex(failed.stderr, reason);
		const again = await ask("one two three\n", "--reducer", "count");
		t.regex(again.stderr, reason);
		// Nothing is left behind.
		await until(async () =>
			/^count\t0\t0\t/m.test((await run(t, ours.gearadmin, ["-h", "127.0.0.1", "-p", `${port}`, "--status"])).stdout),
		);
	});
}

test.serial("a reducer that is the worker's own is refused, for it would wait for itself", async (t) => {
	const { ask } = await serve(t, WORDS);
	const { exitCode, stderr } = await ask("a b", "--reducer", "split");
	t.is(exitCode, 1);
	t.regex(stderr, /^the reducer split is this worker's own: it would wait for itself$/m);
});

test.serial("options that mean nothing together are refused", async (t) => {
	for (const [args, reason] of [
		[["--aggregate", "cat", "cat"], /there is no other command/],
		[["--aggregate", "cat", "--keep"], /--keep and --stream are not for/],
		[["-0", "cat"], /-0 is for --keep, --split-command and --aggregate/],
		[["--keep", "-n"], /--keep needs a command/],
		[["--keep", "cat"], /--keep needs exactly one of -n, -N, -0 and --frames/],
		[["--keep", "-n", "-0", "cat"], /--keep needs exactly one of/],
		[["--frames", "cat"], /--frames is for --keep/],
	]) {
		const { exitCode, stderr } = await run(t, ours.gearman, ["-w", "-f", "x", ...args]);
		t.is(exitCode, 1);
		t.regex(stderr, reason);
	}
});

testWith(partition)("gearman_execute_by_partition gets its answer from our worker", async (t) => {
	const { port } = await serve(t, [...WORDS, ...SUM]);
	const { stdout, exitCode } = await run(t, partition, ["client", "127.0.0.1", `${port}`, "split", "count"], {
		input: "one two three four\n",
	});
	t.is(stdout, "19\n");
	t.is(exitCode, 0);
});

testWith(partition)("gearman_execute_by_partition is told of a failed piece", async (t) => {
	const { port } = await serve(t, WORDS, { count: ["false"] });
	const { exitCode } = await run(t, partition, ["client", "127.0.0.1", `${port}`, "split", "count"], { input: "a b" });
	t.is(exitCode, 1);
});

testWith(partition)("a partition worker of libgearman does the jobs of our client", async (t) => {
	const { port, at } = await serve(t, WORDS, { count: ["tr -d '\\n' | wc -c | tr -d '\\n'"] });
	start(t, partition, ["worker", "127.0.0.1", `${port}`, "parts"]);
	await workersReady(t, port, { parts: 1 });
	const { stdout } = await run(t, ours.gearman, [...at, "-f", "parts", "--reducer", "count"], {
		input: "one two three four",
	});
	t.deepEqual(stdout.split("+").sort(), ["3", "3", "4", "5"]);
});

testWith(partition, C.gearmand)("our map/reduce worker does its jobs for C's server", async (t) => {
	const { port, ask } = await serve(t, [...WORDS, ...SUM], { gearmand: C.gearmand });
	t.is(answer(await ask("one two three four\n", "--reducer", "count")), "19\n");
	const { stdout } = await run(t, partition, ["client", "127.0.0.1", `${port}`, "split", "count"], {
		input: "one two three four\n",
	});
	t.is(stdout, "19\n");
});

// scripts/bench/run in its smallest case: what it prints, how it fails, and that it leaves nothing behind. Not how fast.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { temporaryFolder } from "./helpers/program.js";
import { C, run, start, testWith } from "./helpers/programs.js";
import { until } from "./helpers/until.js";

const bench = fileURLToPath(new URL("../scripts/bench/run", import.meta.url));
const smallest = ["--quick", "--only", "server", "--jobs", "200", "--rounds", "1"];

/** A signal for all it has started, which stays in its process group: true when somebody is left. */
function isAnybodyLeft(group) {
	try {
		process.kill(-group, 0);
		return true;
	} catch {
		return false;
	}
}

async function runs(t, args) {
	const { child, output, errors } = start(t, bench, args, { isGroup: true });
	const group = child.pid;
	const { exitCode } = await child;
	return { exitCode, stdout: output(), stderr: errors(), group };
}

test.serial("the bench prints a table, writes its figures as JSON, and leaves no process behind", async (t) => {
	const file = join(temporaryFolder(t), "figures.json");
	const { exitCode, stdout, stderr, group } = await runs(t, [...smallest, "--json", file]);
	t.is(exitCode, 0, stderr);
	t.false(isAnybodyLeft(group));
	t.regex(stdout, /^\d+ \w+ \d{4}; .* By `scripts\/bench\/run --quick --only server .*`\.\n/);
	t.regex(stdout, /\n\| Jobs through the server, 64 bytes \| ours \| /);
	t.regex(stdout, /\n\| --- \| --: /);
	t.regex(stdout, /\n\| 8 workers with a full queue, jobs\/s \| [\d,.]+ \| /);
	const { questions } = JSON.parse(readFileSync(file, "utf8"));
	const { rows } = questions.server;
	t.deepEqual(
		rows.map(({ key }) => key).filter((key) => key.endsWith(".rate")),
		["ping.rate", "eight.rate", "pipelined.rate", "many.rate", "submit.rate", "drain.rate"],
	);
	for (const { figures } of rows) t.is(figures.ours.values.length, 1);
});

testWith(C.gearmand)("the bench compares with C's gearmand, by one thread and by four", async (t) => {
	const { stdout } = await run(t, bench, [...smallest, "--json", "-"]);
	const { rows } = JSON.parse(stdout).questions.server;
	for (const { figures, best, ratio } of rows) {
		t.deepEqual(Object.keys(figures), ["ours", "C -t 1", "C -t 4"]);
		t.true(best.startsWith("C "));
		t.true(ratio.min <= ratio.median && ratio.median <= ratio.max);
	}
});

test.serial("Ctrl-C ends the bench with all it has started", async (t) => {
	const { child } = start(t, bench, ["--only", "server"], { isGroup: true });
	const children = () => readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "latin1").trim().split(" ");
	await until(() => children().length >= 2, "the servers");
	child.kill("SIGINT");
	t.is((await child).exitCode, 130);
	await until(() => !isAnybodyLeft(child.pid), "the end of all it has started");
});

test("every question of the bench is there, and another one is refused in a sentence", async (t) => {
	const { exitCode, stderr } = await run(t, bench, ["--only", "weather"]);
	t.is(exitCode, 1);
	const [, list] = /^scripts\/bench\/run: no such question: weather; there are (.*)\n$/.exec(stderr);
	for (const name of list.split(", ")) {
		const { title, rows, measure } = await import(`../scripts/bench/${name}.js`);
		t.truthy(title);
		t.truthy(Object.keys(rows).length);
		t.is(typeof measure, "function");
	}
});

test("a number that is none is refused in a sentence", async (t) => {
	const { exitCode, stderr } = await run(t, bench, ["--rounds", "0"]);
	t.is(exitCode, 1);
	t.is(stderr, "scripts/bench/run: --rounds wants a number from 1 on\n");
});

// Gearman's three best known command lines, as people type them: our gearman first in PATH, the server by environment.

import { chmod, open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { temporaryFolder } from "../helpers/program.js";
import { convert, identify, ours, run, start, startGearmand, testWith, workersReady } from "../helpers/programs.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A job server, a folder, and `shell(command)`, `daemon(command)` to type commands there. */
async function desk(t) {
	const { port } = await startGearmand(t, ours.gearmand);
	const cwd = temporaryFolder(t);
	const env = { GEARMAN_SERVER: "127.0.0.1", GEARMAND_PORT: `${port}` };
	const shell = (command, options) => run(t, "/bin/sh", ["-c", command], { cwd, env, ...options });
	return { port, cwd, env, shell, path: (name) => join(cwd, name) };
}

test.serial("tail -f access_log | gearman -n -f logger: every line arrives, in order, while tail runs", async (t) => {
	const { cwd, env, path } = await desk(t);
	const log = await open(path("access_log"), "a");
	await log.write("line 0\n");
	const worker = start(t, ours.gearman, ["-w", "-f", "logger", "--", "sh", "-c", "cat >> central_log"], { cwd, env });
	const shell = start(t, "/bin/sh", ["-c", "tail -f access_log | gearman -n -f logger"], { cwd, env, isGroup: true });

	const central = () => readFile(path("central_log"), "utf8");
	let written = "line 0\n";
	await until(async () => (await central()) === written, "the line written before tail was started");
	// One line, then many at once, then half a line and its end.
	for (const text of [
		"line 1\n",
		Array.from({ length: 150 }, (_, i) => `line ${i + 2} ${"x".repeat(i * 10)}\n`).join(""),
		"half a ",
		"line\n",
		"ünïcödé \u{1f980}\n",
	]) {
		await log.write(text);
		written += text;
		const whole = written.slice(0, written.lastIndexOf("\n") + 1);
		await until(async () => (await central()) === whole, text.slice(0, 20));
	}
	await log.close();
	t.is(await central(), written);
	t.deepEqual([worker.child.exitCode, shell.child.exitCode], [null, null]);
	t.deepEqual([shell.errors(), worker.errors()], ["", ""]);
});

test.serial("gearman -w -f logger1 ./dgrep.sh: gearman -f logger1 pattern gets the lines it asked for", async (t) => {
	const { port, cwd, env, shell, path } = await desk(t);
	for (const [name, lines] of [
		["one", "GET /a 200\nGET /b 404\n"],
		["two", "GET /c 404\nGET /d 500\n"],
	]) {
		await writeFile(path(`${name}_log`), lines);
		await writeFile(path(`dgrep_${name}.sh`), `#!/bin/sh\nread pattern\ngrep "$pattern" ${name}_log\n`);
		await chmod(path(`dgrep_${name}.sh`), 0o755);
	}
	start(t, ours.gearman, ["-w", "-f", "logger1", "./dgrep_one.sh"], { cwd, env });
	start(t, ours.gearman, ["-w", "-f", "logger2", "./dgrep_two.sh"], { cwd, env });
	await workersReady(t, port, { logger1: 1, logger2: 1 });

	t.deepEqual(await shell("gearman -f logger1 404"), { stdout: "GET /b 404\n", stderr: "", exitCode: 0 });
	t.is((await shell("echo GET | gearman -f logger1")).stdout, "GET /a 200\nGET /b 404\n");
	t.is((await shell("gearman -f logger1 -f logger2 404")).stdout, "GET /b 404\nGET /c 404\n");
	t.is((await shell("gearman -P -f logger1 -f logger2 404")).stdout, "logger1: GET /b 404\nlogger2: GET /c 404\n");
	t.is((await shell("gearman -f logger1 -f logger2 GET | sort | head -n 2")).stdout, "GET /a 200\nGET /b 404\n");
	// grep found nothing: its exit code is 1, so the job failed.
	const { stdout, stderr, exitCode } = await shell("gearman -f logger1 nowhere");
	t.deepEqual([stdout, exitCode], ["", 1]);
	t.regex(stderr, /^command exited with code 1\n/);
});

testWith(convert, identify)("ImageMagick: gearman -f resize < large.jpg > thumb.jpg makes a thumbnail", async (t) => {
	const { port, cwd, env, shell, path } = await desk(t);
	const { exitCode } = await shell(`${convert} -size 1600x1200 plasma:fractal -seed 1 -quality 95 large.jpg`);
	t.is(exitCode, 0);
	t.true((await stat(path("large.jpg"))).size > 300_000);
	start(t, ours.gearman, ["-w", "-f", "resize", "--", convert, "-", "-resize", "100x100", "jpg:-"], { cwd, env });
	await workersReady(t, port, { resize: 1 });

	t.deepEqual(await shell("gearman -f resize < large.jpg > thumb.jpg"), { stdout: "", stderr: "", exitCode: 0 });
	const { stdout } = await shell(`${identify} -format '%m %wx%h' thumb.jpg`);
	t.is(stdout, "JPEG 100x75");
	// The same without Gearman.
	await shell(`${convert} - -resize 100x100 jpg:- < large.jpg > expected.jpg`);
	t.true((await readFile(path("thumb.jpg"))).equals(await readFile(path("expected.jpg"))));
	// What is no image fails, and says so in the exit code.
	const broken = await shell("echo no image | gearman -f resize > broken.jpg");
	t.is(broken.exitCode, 1);
});

test.serial("the other commands of a day: gearmand's options, gearman -b, -c and gearadmin through PATH", async (t) => {
	const { port, shell } = await desk(t);
	await shell("for n in 1 2 3; do echo job $n | gearman -b -f later; done");
	t.is((await shell("gearadmin --status")).stdout, "later\t3\t0\t0\n.\n");
	t.is((await shell("gearadmin --show-jobs | wc -l")).stdout, "4\n");
	t.is((await shell("gearman -w -c 3 -f later")).stdout, "job 1\njob 2\njob 3\n");
	const admin = await dial(t, port);
	await until(async () => (await admin.list("status")).join() === "later\t0\t0\t0", "an empty queue");
	t.is((await shell("gearman -s -b -f later && gearman -w -c 1 -f later -- wc -c && gearadmin --getpid")).exitCode, 0);
});

test.serial("the README's map and reduce, line by line", async (t) => {
	const { port, cwd, env, shell, path } = await desk(t);
	const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
	const chapter = readme.slice(readme.indexOf("### Map and reduce"));
	const [workers, maps] = chapter.match(/```sh\n([\s\S]*?)```/)[1].split("\n\n");
	// Without their "&": they are to end with the test.
	for (const line of workers.trim().split("\n")) {
		start(t, "/bin/sh", ["-c", `exec ${line.replace(/&.*$/, "")}`], { cwd, env, isGroup: true });
	}
	await workersReady(t, port, { wc: 1, sort: 1, sum: 1, check: 1 });
	const lines = Array.from({ length: 120_000 }, (_, i) => `line${i} ${(i * 7919) % 120_000}\n`);
	await writeFile(path("access.log"), lines.slice(0, 25_000).join(""));
	await writeFile(path("table"), lines.join(""));
	const { stdout: sum } = await shell("sha256sum ./access.log");
	const results = [];
	for (const line of maps.trim().split("\n")) results.push(await shell(line));
	t.deepEqual(
		results.map(({ stdout, stderr, exitCode }) => [stdout.trim(), stderr, exitCode]),
		["10000\n10000\n5000", "25000", sum.trim(), "10000", "", "25000"].map((stdout) => [stdout, "", 0]),
	);
	t.is((await shell("sort -k2,2n table | cmp - sorted")).exitCode, 0);
});

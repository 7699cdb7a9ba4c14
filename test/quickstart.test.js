// scripts/quickstart without its installation: what it shows, how it fails, and that it leaves nothing behind.

import { once } from "node:events";
import { chmod, readdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { temporaryFolder } from "./helpers/program.js";
import { environment, run, start } from "./helpers/programs.js";
import { until } from "./helpers/until.js";

const script = fileURLToPath(new URL("../scripts/quickstart", import.meta.url));

/** A temporary folder for it alone, empty again at the end. */
function scratch(t) {
	const folder = temporaryFolder(t);
	return { folder, env: { TMPDIR: folder } };
}

const portIn = (text) => Number(/gearmand --listen 127\.0\.0\.1 --port (\d+)/.exec(text)?.[1]);

/** The server is gone, and with it whoever works for it. */
async function isStopped(t, text) {
	const [error] = await once(connect(portIn(text), "127.0.0.1"), "error");
	t.is(error.code, "ECONNREFUSED");
}

test.serial("quickstart shows lines, a file and a queued job go through, then stops all it has started", async (t) => {
	const { folder, env } = scratch(t);
	const { stdout, stderr, exitCode } = await run(t, script, ["--no-install"], { env });
	t.deepEqual([stderr, exitCode], ["", 0], stdout);
	for (const shown of [
		/^ {2}\$ gearman -w -f upper -- tr a-z A-Z &$/m,
		/^ {2}\$ head -n 3 README\.md \| gearman -n -f upper\n {4}# GEARMAN$/m,
		/^ {2}\$ gearman -f gzip < dist\/cli\/main\.js > /m,
		/^ {4}later\t1\t0\t0$/m,
		/^ {2}\$ gearman -w -c 1 -f later\n {4}water the plants$/m,
		/^All is well/m,
	]) {
		t.regex(stdout, shown);
	}
	await isStopped(t, stdout);
	t.deepEqual(await readdir(folder), []);
});

test.serial("quickstart says what is wrong, exits with 1 and leaves nothing behind", async (t) => {
	const { folder, env } = scratch(t);
	const tools = temporaryFolder(t);
	await writeFile(join(tools, "gzip"), "#!/bin/sh\nexit 3\n");
	await chmod(join(tools, "gzip"), 0o755);
	const { stdout, stderr, exitCode } = await run(t, script, ["--no-install"], {
		env: { ...env, PATH: `${tools}${delimiter}${environment.PATH}` },
	});
	t.is(exitCode, 1);
	t.regex(stderr, /^\nquickstart: "gearman -f gzip < .*" went wrong: /);
	t.regex(stderr, /command exited with code 3/);
	await isStopped(t, stdout);
	t.deepEqual(await readdir(folder), []);
});

test.serial("quickstart that is interrupted stops all it has started", async (t) => {
	const { folder, env } = scratch(t);
	// As Ctrl-C: the whole group gets it.
	const { child, output } = start(t, script, ["--no-install"], { env, isGroup: true });
	await until(() => output().includes("gearman -w -f upper"), "the first worker");
	process.kill(-child.pid, "SIGINT");
	await until(() => child.exitCode !== null || child.signalCode !== null, "its end");
	t.is(child.exitCode, 130);
	await isStopped(t, output());
	t.deepEqual(await readdir(folder), []);
});

test.serial("quickstart knows no other options", async (t) => {
	const { stderr, exitCode } = await run(t, script, ["--fast"]);
	t.deepEqual([stderr, exitCode], ["\nquickstart: unknown option --fast; there is only --no-install\n", 1]);
});

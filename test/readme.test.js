// The README's library examples, run as they stand but for the server's address.

import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { start, temporaryFolder } from "./helpers/program.js";
import { startServer } from "./helpers/server.js";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
const library = new URL("../dist/index.js", import.meta.url).href;

/** The first example that imports this class, and has this in it, as a running program. */
async function run(t, className, port, part = "") {
	const example = readme
		.match(/```js\n[\s\S]*?```/g)
		.find((block) => block.includes(`import { ${className} }`) && block.includes(part));
	const lines = example.split("\n").slice(1, -1);
	t.true(lines.filter((line) => line !== "").length < 10, `${className}'s example is short`);
	const code = lines
		.join("\n")
		.replace('from "gearman"', `from ${JSON.stringify(library)}`)
		.replace('"localhost"', `"127.0.0.1:${port}"`)
		.replace("port: 4730", "port: 0");
	const path = join(temporaryFolder(t), "example.mjs");
	await writeFile(path, code);
	// In an object: a child process is a promise of its end, which an async function would wait for.
	return { child: start(t, [path], { command: process.execPath }) };
}

test("the worker's and the client's examples work together", async (t) => {
	const { port } = await startServer(t);
	await run(t, "Worker", port);
	const client = await run(t, "Client", port);
	const { stdout, stderr, exitCode } = await client.child;
	t.is(stderr, "");
	t.is(exitCode, 0);
	const [reversed, ...rest] = stdout.split("\n");
	t.is(reversed, "olleh");
	t.deepEqual(rest.slice(0, 3), ["1/3", "2/3", "3/3"]);
	t.regex(stdout, /isKnown: (true|false)/);
});

test("the example of map and reduce folds its results", async (t) => {
	const { port } = await startServer(t);
	await run(t, "Worker", port);
	const { stdout, stderr } = await (await run(t, "Client", port, ".reduce(")).child;
	t.is(stderr, "");
	t.is(stdout, " tilps otni seceip pieces into split \n");
});

test("the admin's example lists and creates functions", async (t) => {
	const { server, port } = await startServer(t);
	server.jobs.functionOf("here before");
	const { stdout, exitCode } = await (await run(t, "Admin", port)).child;
	t.is(exitCode, 0);
	t.is(stdout, "here before 0 0\n");
	t.true(server.jobs.functions.has("resize"));
});

test("the server's example listens and stops", async (t) => {
	const { stdout, exitCode } = await (await run(t, "Server", 0)).child;
	t.is(exitCode, 0);
	t.regex(stdout, /^listening on port \d+\n$/);
});

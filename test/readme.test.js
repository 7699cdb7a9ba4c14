// The README's examples: those of the library run as they stand but for the server's address, those of the shell as they
// stand, by bash with gearman on its path.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { freePort } from "./helpers/free-port.js";
import { program, start, startProgramServer, temporaryFolder } from "./helpers/program.js";
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
		.replace('"localhost"', `"127.0.0.1:${port}"`);
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

/** `test`, or a skipped one where bash or one of the programs is not installed. */
function testWith(programs, title, run) {
	const isThere = spawnSync("bash", ["-c", `type ${programs.join(" ")}`], { stdio: "ignore" }).status === 0;
	if (isThere) test(title, run);
	else test.skip(`${title} (${programs.join(", ")} are not all here)`, run);
}

/** Runs the block of shell that has this in it, in the folder, and then ends what it has started there. */
function runShell(t, part, port, folder, { env = {}, edit = (text) => text } = {}) {
	const block = readme.match(/```sh\n[\s\S]*?```/g).find((text) => text.includes(part));
	const script = `${edit(block.split("\n").slice(1, -1).join("\n"))}\nkill $(jobs -p) 2>/dev/null; wait`;
	const bin = join(folder, "bin");
	mkdirSync(bin);
	for (const name of ["gearman", "gearmand", "gearadmin"]) symlinkSync(program, join(bin, name));
	return start(t, ["-c", script], {
		command: "bash",
		cwd: folder,
		env: { PATH: `${bin}:${process.env.PATH}`, GEARMAN_SERVER: "127.0.0.1", GEARMAN_PORT: `${port}`, ...env },
	});
}

testWith(
	["rev"],
	"the first example starts a server and a worker, gets its answer, and leaves nothing running",
	async (t) => {
		const port = await freePort();
		const folder = temporaryFolder(t);
		const env = { GEARMAN_LISTEN: "127.0.0.1", GEARMAN_STATE_DIR: folder, GEARMAN_LOG_FILE: join(folder, "log") };
		const { stdout, stderr } = await runShell(t, "gearman --server -d", port, folder, { env });
		t.is(stdout, "olleh\n");
		// The worker may see the server end before it has ended itself.
		t.regex(stderr, /^(gearman: lost the connection to [^\n]*; trying again\n)?$/);
		const gone = await start(t, ["--admin", "-h", `127.0.0.1:${port}`, "--getpid"]);
		t.is(gone.exitCode, 69);
	},
);

testWith(["sed", "seq"], "the example of a command that stays answers each line", async (t) => {
	const { port } = await startProgramServer(t);
	const edit = (text) => text.replace("seq 100000", "seq 1000");
	const { stdout, stderr } = await runShell(t, "--keep -n sed", port, temporaryFolder(t), { edit });
	t.is(stderr, "");
	t.is(stdout, Array.from({ length: 1000 }, (_, i) => `${i + 1}\n`).join(""));
});

testWith(["bc", "paste"], "the example of split and aggregate adds up", async (t) => {
	const { port } = await startProgramServer(t);
	const folder = temporaryFolder(t);
	await writeFile(join(folder, "README.md"), "one two\nthree\n\nfour five six\n");
	const { stdout } = await runShell(t, "--aggregate 'paste", port, folder);
	t.regex(stdout, /^(\d+% Complete\n)*6\n$/);
});

import { once } from "node:events";
import { cp, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import test from "ava";
import { LEVELS } from "../../dist/log.js";
import { program, said, start, startProgramServer, temporaryFolder } from "../helpers/program.js";
import { until } from "../helpers/until.js";

const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));

/** A folder with the program under its three names, and `run`, which runs one of them and never throws. */
async function setUp(t) {
	const folder = temporaryFolder(t);
	for (const name of ["gearman", "gearmand", "gearadmin"]) await symlink(program, join(folder, name));
	const run = (name, argv = [], { env, ...more } = {}) =>
		start(t, argv, {
			command: join(folder, name),
			stdin: "ignore",
			timeout: 30_000,
			extendEnv: false,
			env: { PATH: process.env.PATH, ...env },
			...more,
		});
	return { folder, run };
}

/** A job server, listening; its port as a word. */
async function startServer(t) {
	const { port, child } = await startProgramServer(t);
	return { port: String(port), server: child };
}

/** A port nothing listens on, for the moment. */
async function freePort() {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address();
	server.close();
	await once(server, "close");
	return String(port);
}

test("each name and each flag has its own help, on stdout, exit 0", async (t) => {
	const { run } = await setUp(t);
	const starts = async (name, argv, usage) => {
		const { stdout, stderr, exitCode } = await run(name, argv);
		t.true(stdout.startsWith(`Usage: ${usage}`), stdout);
		t.is(stderr, "");
		t.is(exitCode, 0);
	};
	await starts("gearman", ["-H"], "gearman [OPTIONS] -f FUNCTION");
	await starts("gearman", ["--help"], "gearman [OPTIONS] -f FUNCTION");
	await starts("gearman", ["-w", "-H"], "gearman -w [OPTIONS]");
	await starts("gearman", ["--server", "--help"], "gearmand [OPTIONS]");
	await starts("gearman", ["--admin", "-H"], "gearadmin [OPTIONS]");
	await starts("gearmand", ["-h"], "gearmand [OPTIONS]");
	await starts("gearmand", ["--help"], "gearmand [OPTIONS]");
	await starts("gearadmin", ["--help"], "gearadmin [OPTIONS]");
});

test("help fits into 80 columns and names every option", async (t) => {
	const { run } = await setUp(t);
	const { options } = await import("../../dist/options.js");
	const calls = {
		client: ["gearman", "-H"],
		worker: ["gearman", "-wH"],
		server: ["gearmand", "-h"],
		admin: ["gearadmin", "-H"],
	};
	for (const [mode, [name, ...argv]] of Object.entries(calls)) {
		const { stdout } = await run(name, argv);
		for (const line of stdout.split("\n")) t.true(line.length <= 80, line);
		for (const [option, { hidden }] of Object.entries(options[mode])) {
			if (!hidden && option.length > 1) t.regex(stdout, new RegExp(`--${option}\\b`));
		}
	}
});

test("versions", async (t) => {
	const { run } = await setUp(t);
	t.is((await run("gearman", ["--version"])).stdout, `gearman ${version}\n`);
	t.is((await run("gearman", ["-V"])).stdout, `gearman ${version}\n`);
	t.is((await run("gearadmin", ["--version"])).stdout, `gearadmin ${version}\n`);
	t.regex((await run("gearmand", ["-V"])).stdout, new RegExp(`^\\ngearmand ${version} - https://\\S+\\n$`));
});

test("gearman: an error in usage and the first lines of the help go to stderr, exit 1", async (t) => {
	const { run } = await setUp(t);
	const fails = async (argv, text) => {
		const { stdout, stderr, exitCode } = await run("gearman", argv);
		t.true(stderr.startsWith(`\ngearman\tError in usage(${text}).\n\nUsage: gearman`), stderr);
		t.regex(stderr, /\ngearman (-w )?--help lists the options\.\n$/);
		t.true(stderr.split("\n").length < 10, "it does not scroll away");
		t.is(stdout, "");
		t.is(exitCode, 1);
	};
	await fails([], "No Functions were provided");
	await fails(["-w"], "No Functions were provided");
	await fails(["-Z"], "unrecognised option '-Z'");
	await fails(["--fucntion", "x"], "unrecognised option '--fucntion'; did you mean '--function'?");
	await fails(["--keep", "-f", "x"], "unrecognised option '--keep'; it is the worker's, and needs -w");
	await fails(
		["-j", "0", "-f", "x"],
		"the argument ('0') for option '--jobs' is invalid: it is a whole number, 1 to 100000",
	);
});

test("gearman: -H wins over an error", async (t) => {
	const { run } = await setUp(t);
	const { stdout, exitCode } = await run("gearman", ["-Z", "-H"]);
	t.true(stdout.startsWith("Usage: gearman"));
	t.is(exitCode, 0);
});

test("gearmand: an error is one line, exit 1", async (t) => {
	const { run } = await setUp(t);
	const fails = async (argv, text) => {
		const { stdout, stderr, exitCode } = await run("gearmand", argv);
		t.is(stderr, `gearmand: ${text}\n`);
		t.is(stdout, "");
		t.is(exitCode, 1);
	};
	await fails(["--foo"], "unrecognised option '--foo'");
	await fails(["--foo", "--help"], "unrecognised option '--foo'");
	await fails(["foo"], "unrecognised option 'foo'");
	await fails(["--port"], "the required argument for option '--port' is missing");
	await fails(
		["--backlog", "x"],
		"the argument ('x') for option '--backlog' is invalid: it is a whole number, 1 to 65535",
	);
	await fails(["--port=1", "--port=2"], "option '--port' cannot be specified more than once");
	await fails(["--verbose", "FOO"], `Invalid value for --verbose supplied: it is one of ${LEVELS.join(", ")}`);
	await fails(["--config-file", "/nonexistent"], "Could not open configuration file. /nonexistent: no such file");
	await fails(
		["--check-args", "--verbose", "FOO"],
		`Invalid value for --verbose supplied: it is one of ${LEVELS.join(", ")}`,
	);
});

test("gearmand: --check-args checks, and starts nothing", async (t) => {
	const { run } = await setUp(t);
	const { stdout, stderr, exitCode } = await run("gearmand", ["--check-args", "--help", "-d", "-p", "1"]);
	t.is(stdout + stderr, "");
	t.is(exitCode, 0);
});

test("gearmand: words of a config file that are no options are named and passed over", async (t) => {
	const { run, folder } = await setUp(t);
	const file = join(folder, "conf");
	await writeFile(file, "port=1 --verbose=INFO\n");
	const { stderr, exitCode } = await run("gearmand", ["--check-args", `@${file}`]);
	t.is(stderr, `gearmand: ${file}: 'port=1' is not an option: ignored\n`);
	t.is(exitCode, 0);
});

test("gearadmin: an unknown option is named, the first lines of the help follow, exit 1", async (t) => {
	const { run } = await setUp(t);
	const { stderr, exitCode } = await run("gearadmin", ["--foo"]);
	t.true(stderr.startsWith("gearadmin : unrecognised option '--foo'\n\nUsage: gearadmin"), stderr);
	t.is(exitCode, 1);
});

test("no server reachable is one line, exit 69", async (t) => {
	const { run } = await setUp(t);
	const { stderr, exitCode } = await run("gearman", ["-h", "127.0.0.1", "-p", await freePort(), "-sf", "x"]);
	t.regex(stderr, /^gearman: [^\n]+\n$/);
	t.is(exitCode, 69);
});

test("all of it works with an empty environment, and with Kubernetes' one", async (t) => {
	const { run } = await setUp(t);
	const { port } = await startServer(t);
	const argv = [program, "--getpid", "-h", "127.0.0.1", "-p", port];
	t.regex((await start(t, argv, { command: process.execPath, extendEnv: false, env: {} })).stdout, /^\d+\n$/);
	const env = { GEARMAND_PORT: "tcp://10.0.0.1:4730", GEARMAN_PORT: port, GEARMAN_HOST: "127.0.0.1" };
	t.regex((await run("gearadmin", ["--getpid"], { env })).stdout, /^\d+\n$/);
});

test("client, worker, admin and server are one program", async (t) => {
	const { run } = await setUp(t);
	const { port } = await startServer(t);
	const there = ["-h", "127.0.0.1", "-p", port];
	const worker = run("gearman", ["-w", ...there, "-c", "2", "-f", "upper", "tr", "a-z", "A-Z"]);
	const viaLetters = await run("gearman", [...there, "-fupper", "letters"]);
	t.is(viaLetters.stdout, "LETTERS", viaLetters.stderr);
	const viaWords = await run("gearman", ["--host=127.0.0.1", "--port", port, "--function", "upper"], {
		stdin: "pipe",
		input: "words",
	});
	t.is(viaWords.stdout, "WORDS", viaWords.stderr);
	t.is((await worker).exitCode, 0);
	t.regex((await run("gearadmin", [...there, "--stat"])).stdout, /^upper\t0\t0\t0\n\.\n$/);
	t.regex((await run("gearman", [...there, "--status"])).stdout, /^upper\t0\t0\t0\n\.\n$/);
});

test("SIGUSR1 never opens Node's debugger", async (t) => {
	const { run } = await setUp(t);
	const { port, server } = await startServer(t);
	const worker = run("gearman", ["-w", "-v", "-h", "127.0.0.1", "-p", port, "-f", "x", "cat"]);
	await said(worker.stderr, /connected/);
	worker.kill("SIGUSR1");
	t.notRegex((await worker).stderr, /Debugger/);
	server.kill("SIGUSR1");
	t.notRegex((await server).stderr, /Debugger/);
});

test("a daemon is in the background once it listens, and has a pid file until it ends", async (t) => {
	const { run, folder } = await setUp(t);
	const port = await freePort();
	const file = join(folder, "pid");
	const argv = ["-d", "-p", port, "-L", "127.0.0.1", "-qbuiltin", "-P", file, "-l", join(folder, "log")];
	const { exitCode, stderr } = await run("gearmand", argv);
	t.is(stderr, "");
	t.is(exitCode, 0);
	const text = await readFile(file, "utf8");
	t.regex(text, /^\d+\n$/);
	t.is((await run("gearadmin", ["-h", "127.0.0.1", "-p", port, "--getpid"])).stdout, text);

	const pidFile = join(folder, "second", "pid");
	const second = await run("gearmand", ["-d", "-p", port, "-L", "127.0.0.1", "-qbuiltin", "-P", pidFile]);
	t.is(second.exitCode, 1);
	t.regex(second.stderr, /^gearmand: /);

	process.kill(Number(text), "SIGTERM");
	t.true(
		await until(() =>
			stat(file).then(
				() => false,
				() => true,
			),
		),
	);
});

test("a daemon that cannot start says why where it was started, with its own exit code", async (t) => {
	const { run, folder } = await setUp(t);
	const usage = await run("gearman", ["-d", "-w"]);
	t.regex(usage.stderr, /No Functions were provided/);
	t.is(usage.exitCode, 1);
	const file = join(folder, "none", "pid");
	const pid = await run("gearman", ["-d", "-w", "-f", "x", "-i", file]);
	t.regex(pid.stderr, /^gearman: Could not open pid file for writing: \S+ \(no such directory\)\n$/);
	t.is(pid.exitCode, 1);
});

test("a pid file is there while the worker runs, and replaces an old one", async (t) => {
	const { run, folder } = await setUp(t);
	const { port } = await startServer(t);
	const file = join(folder, "pid");
	await writeFile(file, "old\n");
	const worker = run("gearman", ["-w", "-v", "-h", "127.0.0.1", "-p", port, "-i", file, "-f", "x", "cat"]);
	await said(worker.stderr, /connected/);
	t.is(await readFile(file, "utf8"), `${worker.pid}\n`);
	worker.kill("SIGTERM");
	await worker;
	await t.throwsAsync(stat(file), { code: "ENOENT" });
});

test("a pid file that another process has taken over stays", async (t) => {
	const { run, folder } = await setUp(t);
	const { port } = await startServer(t);
	const file = join(folder, "pid");
	const worker = run("gearman", ["-w", "-v", "-h", "127.0.0.1", "-p", port, "-i", file, "-f", "x", "cat"]);
	await said(worker.stderr, /connected/);
	await writeFile(file, "1\n");
	worker.kill("SIGTERM");
	await worker;
	t.is(await readFile(file, "utf8"), "1\n");
});

test("the program starts from the bytecode that was built for this Node, and without it or with a damaged one as well", async (t) => {
	const root = temporaryFolder(t);
	await cp(new URL("../../dist/cli", import.meta.url), join(root, "dist/cli"), { recursive: true });
	await writeFile(join(root, "package.json"), JSON.stringify({ version }));
	const look = `const loaded = require(${JSON.stringify(join(root, "dist/cli/start.cjs"))});
		const { script, bytecodeFile } = loaded.get("./main.cjs");
		process.on("exit", () => console.log(script.cachedDataRejected, bytecodeFile));`;
	const run = async () => {
		const { stdout } = await start(t, ["-e", look, "gearman", "-V"], { command: process.execPath, stdin: "ignore" });
		return stdout.trimEnd().split(/[\n ]/);
	};
	const [name, own, isRejected, file] = await run();
	t.deepEqual([name, own, isRejected], ["gearman", version, "false"]);
	await writeFile(file, (await readFile(file)).subarray(0, 1000));
	t.deepEqual((await run()).slice(0, 3), ["gearman", version, "true"]);
	await rm(file);
	t.deepEqual((await run()).slice(0, 3), ["gearman", version, "undefined"]);
});

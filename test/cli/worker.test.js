import { readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import test from "ava";
import { execa } from "execa";
import { Client } from "../../dist/client/client.js";
import { Server } from "../../dist/server/server.js";
import { findProgram } from "../helpers/find-program.js";
import { isAlive, program, temporaryFolder } from "../helpers/program.js";
import { DEADLINE_MS, dial, startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** Starts gearman -w; `exit` resolves with what execa knows of its end, `lines()` is what it said on stderr so far. */
function start(t, ...args) {
	const process = execa(program, ["-w", ...args.map(String)], {
		reject: false,
		stdin: "ignore",
		stripFinalNewline: false,
		env: { GEARMAN_SERVER: undefined, GEARMAN_SERVERS: undefined },
	});
	let stderr = "";
	process.stderr.on("data", (text) => {
		stderr += text;
	});
	t.teardown(async () => {
		process.kill("SIGQUIT");
		await process;
	});
	return { exit: process, kill: (signal) => process.kill(signal), lines: () => stderr.split("\n").slice(0, -1) };
}

function connectClient(t, port) {
	const client = new Client(`127.0.0.1:${port}`);
	t.teardown(() => client.close());
	return client;
}

const lineCount = async (file) => (await readFile(file, "utf8")).split("\n").length - 1;
/** Shell: waits for a file. */
const waitFor = (file) => `until [ -e '${file}' ]; do sleep 0.01; done`;

test("gearman -w runs its command once a job, each with its workload", async (t) => {
	const { port } = await startServer(t);
	start(t, "-p", port, "-f", "x", "wc", "-c");
	const client = connectClient(t, port);
	const results = await Promise.all(["", "a", "abc"].map((workload) => client.submit("x", workload)));
	t.deepEqual(
		results.map((result) => Number(result)),
		[0, 1, 3],
	);
});

test("gearman -w without a command writes the workloads to stdout", async (t) => {
	const { port } = await startServer(t);
	const client = connectClient(t, port);
	await client.background("x", "one\n");
	await client.background("x", "two");
	const { stdout, exitCode } = await start(t, "-p", port, "-f", "x", "-c", 2).exit;
	t.is(stdout, "one\ntwo");
	t.is(exitCode, 0);
});

test("without mkfifo a command's output comes all the same", async (t) => {
	const { port } = await startServer(t);
	const work = "/bin/cat; echo 1/2 >&$GEARMAN_STATUS_FD";
	const running = execa(process.execPath, [program, "-w", "-p", port, "-f", "x", work].map(String), {
		reject: false,
		extendEnv: false,
		env: { PATH: "/nowhere" },
	});
	t.teardown(async () => {
		running.kill("SIGQUIT");
		await running;
	});
	const client = connectClient(t, port);
	for (const workload of ["one", "two"]) {
		const task = client.submit("x", workload);
		t.is((await task).toString(), workload);
		t.deepEqual(task.progress, { numerator: 1, denominator: 2 });
	}
});

test("--keep does job after job with one process, which ends with the worker", async (t) => {
	const { port } = await startServer(t);
	const worker = start(t, "-p", port, "-f", "x", "--keep", "-N", "while read -r line; do echo $$; done");
	const client = connectClient(t, port);
	const pids = await Promise.all(["a", "b", "c"].map((workload) => client.submit("x", workload)));
	t.is(new Set(pids.map(String)).size, 1);
	t.true(isAlive(Number(pids[0])));
	worker.kill("SIGTERM");
	t.is((await worker.exit).exitCode, 0);
	t.false(isAlive(Number(pids[0])));
});

test("a kept command that leaves without having answered is started again, and that is said", async (t) => {
	const { port } = await startServer(t);
	const worker = start(t, "-p", port, "-f", "x", "--keep", "-n", "exit 3");
	await until(() => worker.lines().length > 0);
	t.is(worker.lines()[0], "gearman: command exited with code 3; starting it again");
});

test("-c exits 0 after as many jobs, also when they fail, and takes no more", async (t) => {
	const { port, server } = await startServer(t);
	const client = connectClient(t, port);
	for (let i = 0; i < 4; i++) await client.background("x");
	const { exitCode, stderr } = await start(t, "-p", port, "-f", "x", "-c", 3, "-j", 2, "exit 7").exit;
	t.is(exitCode, 0);
	t.is(stderr.match(/command exited with code 7/g).length, 3);
	t.is(server.jobs.size, 1);
});

test("-f goes before the -f behind it", async (t) => {
	const { port } = await startServer(t);
	const client = connectClient(t, port);
	await client.background("second", "b");
	await client.background("first", "a");
	const { stdout } = await start(t, "-p", port, "-f", "first", "-f", "second", "-c", 2).exit;
	t.is(stdout, "ab");
});

test("-j 4 runs four jobs at once", async (t) => {
	const { port } = await startServer(t);
	const path = temporaryFolder(t);
	// Each waits for all the others: with fewer than four at once none would ever end.
	const script = `read n; : > '${path}'/$n; for i in 1 2 3 4; do ${waitFor(`${path}'/$i'`)}; done; echo $n`;
	start(t, "-p", port, "-f", "x", "-j", 4, script);
	const client = connectClient(t, port);
	const results = await Promise.all(["1", "2", "3", "4"].map((n) => client.submit("x", `${n}\n`)));
	t.is(results.join(""), "1\n2\n3\n4\n");
});

test("-t says so when no job came, and goes on", async (t) => {
	const { port } = await startServer(t);
	const worker = start(t, "-p", port, "-f", "x", "-t", 50, "cat");
	await until(() => worker.lines().length >= 2);
	t.deepEqual([...new Set(worker.lines())], ["gearman: no job for 50 ms"]);
	t.is((await connectClient(t, port).submit("x", "still here")).toString(), "still here");
});

test("-v names each job on a line", async (t) => {
	const { port } = await startServer(t);
	const worker = start(t, "-p", port, "-f", "x", "-v", "cat");
	await connectClient(t, port).submit("x");
	await until(() => worker.lines().some((line) => /^gearman: H:test:1 x: done in \d+ ms$/.test(line)));
	t.pass();
});

test("--id is the name among the workers", async (t) => {
	const { port } = await startServer(t);
	start(t, "-p", port, "-f", "x", "--id", "crawler", "cat");
	const wire = await dial(t, port);
	await until(async () => (await wire.list("workers")).some((line) => /\d 127\.0\.0\.1 crawler : x$/.test(line)));
	t.pass();
});

test("a failing command is a line on the worker's stderr and a failed job", async (t) => {
	const { port } = await startServer(t);
	const worker = start(t, "-p", port, "-f", "x", "./does-not-exist");
	const error = await t.throwsAsync(async () => connectClient(t, port).submit("x"), { code: "JOB_EXCEPTION" });
	t.is(error.data.toString(), "command could not be started: ./does-not-exist: no such file");
	const line = "gearman: H:test:1 x: command could not be started: ./does-not-exist: no such file";
	await until(() => worker.lines().includes(line));
	t.pass();
});

(findProgram("prlimit") ? test : test.skip)(
	"a command that cannot be started for want of descriptors is started when there are some (needs prlimit)",
	async (t) => {
		const { port } = await startServer(t);
		const worker = start(t, "-p", port, "-f", "x", "cat");
		const client = connectClient(t, port);
		t.is(String(await client.submit("x", "before")), "before");
		const limit = (count) => execa("prlimit", ["--pid", worker.exit.pid, `--nofile=${count}:`].map(String));
		await limit(4);
		const jobs = ["one", "two"].map((workload) => client.submit("x", workload));
		await until(() => worker.lines().length > 0);
		t.regex(worker.lines()[0], /^gearman: H:test:\d+ x: command could not be started: .*; trying again$/);
		await limit(1024);
		t.deepEqual((await Promise.all(jobs)).map(String), ["one", "two"]);
		t.is(worker.lines().filter((line) => line.includes("trying again")).length, worker.lines().length);
	},
);

test("a command that cannot be started is told at once, not with the first job", async (t) => {
	const { port } = await startServer(t);
	const plain = join(temporaryFolder(t), "plain");
	await writeFile(plain, "");
	for (const [command, reason] of [
		[["./does-not-exist"], "./does-not-exist: no such file"],
		[["does-not-exist", "-x"], "does-not-exist: no such file"],
		[[plain], `${plain}: permission denied`],
		[[dirname(plain)], `${dirname(plain)}: it is a directory`],
	]) {
		const worker = start(t, "-h", "127.0.0.1", "-p", port, "-f", "x", "--", ...command);
		await until(() => worker.lines().length > 0);
		t.deepEqual(worker.lines(), [`gearman: ${reason}: every job will fail until it can be started`]);
	}
});

test("--job-timeout fails the job", async (t) => {
	const { port } = await startServer(t);
	start(t, "-p", port, "-f", "x", "--job-timeout", "100ms", "sleep", "1000");
	const error = await t.throwsAsync(async () => connectClient(t, port).submit("x"), { code: "JOB_EXCEPTION" });
	t.is(error.data.toString(), "command was killed after 100 ms");
});

test("-n, -N and --stream send output as data", async (t) => {
	const { port } = await startServer(t);
	start(t, "-p", port, "-f", "n", "-n", "cat");
	start(t, "-p", port, "-f", "N", "-N", "cat");
	start(t, "-p", port, "-f", "s", "--stream", "cat");
	const client = connectClient(t, port);
	const parts = async (name) => {
		const seen = [];
		for await (const { data } of client.submit(name, "1\n2\n3")) seen.push(data.toString());
		return seen;
	};
	t.deepEqual(await parts("n"), ["1\n", "2\n", "3"]);
	t.deepEqual(await parts("N"), ["1", "2", "3"]);
	t.is((await parts("s")).join(""), "1\n2\n3");
});

test("--stderr warning sends stderr to the client", async (t) => {
	const { port } = await startServer(t);
	start(t, "-p", port, "-f", "x", "--stderr", "warning", "cat >&2");
	const warnings = [];
	for await (const { type, data } of connectClient(t, port).submit("x", "careful")) warnings.push(`${type} ${data}`);
	t.deepEqual(warnings, ["warning careful"]);
});

for (const signal of ["SIGTERM", "SIGINT", "SIGUSR1"]) {
	test(`${signal} lets the running job finish, once, and exits 0`, async (t) => {
		const { port, server } = await startServer(t);
		const path = temporaryFolder(t);
		const [runs, go] = [join(path, "runs"), join(path, "go")];
		const worker = start(t, "-p", port, "-f", "x", `echo run >> '${runs}'; ${waitFor(go)}; echo done`);
		const client = connectClient(t, port);
		const task = client.submit("x");
		await until(() => lineCount(runs));
		worker.kill(signal);
		await until(() => worker.lines().length === 1);
		await client.background("x");
		await writeFile(go, "");
		t.is((await task).toString(), "done\n");
		const { exitCode } = await worker.exit;
		t.is(exitCode, 0);
		t.is(await lineCount(runs), 1);
		t.is(server.jobs.size, 1);
		t.deepEqual(worker.lines(), [`gearman: ${signal}: finishing 1 running; once more gives up`]);
	});
}

test("a second signal kills the command and gives the job back", async (t) => {
	const { port } = await startServer(t);
	const pids = join(temporaryFolder(t), "pids");
	const script = `sleep 1000 & echo "$! $$" > '${pids}'; wait`;
	const worker = start(t, "-p", port, "-f", "x", script);
	const task = connectClient(t, port).submit("x");
	const alive = (await until(() => readFile(pids, "utf8"))).trim().split(" ").map(Number);
	worker.kill("SIGTERM");
	await until(() => worker.lines().length === 1);
	worker.kill("SIGINT");
	t.is((await worker.exit).exitCode, 130);
	for (const pid of alive) await until(() => !isAlive(pid));
	start(t, "-p", port, "-f", "x", "echo", "by another");
	t.is((await task).toString(), "by another\n");
});

test("SIGHUP gives the job back at once", async (t) => {
	const { port, server } = await startServer(t);
	const started = join(temporaryFolder(t), "started");
	const worker = start(t, "-p", port, "-f", "x", `: > '${started}'; sleep 1000`);
	connectClient(t, port).submit("x");
	await until(() => readFile(started).then(() => true));
	worker.kill("SIGHUP");
	t.is((await worker.exit).exitCode, 129);
	await until(() => server.jobs.size === 1);
});

test("a worker whose stdout nobody reads gives the job back", async (t) => {
	const { port, server } = await startServer(t);
	const client = connectClient(t, port);
	const { exitCode } = await execa("sh", ["-c", `{ '${program}' -w -p ${port} -f x; echo $? >&2; } | :`], {
		reject: false,
		timeout: DEADLINE_MS,
		input: "",
		env: { JOB: String(await client.background("x", "kept")) },
	}).then(({ stderr }) => ({ exitCode: Number(stderr) }));
	t.is(exitCode, 141);
	await until(() => server.jobs.size === 1);
});

test("a lost server is one line, its return another, and jobs go on", async (t) => {
	const before = new Server({ listen: ["127.0.0.1"], port: 0 });
	await before.start();
	const { port } = before;
	const worker = start(t, "-h", `127.0.0.1:${port}`, "-f", "x", "cat");
	const client = new Client(`127.0.0.1:${port}`);
	await client.submit("x");
	client.close();
	await before.stop();
	await until(() => worker.lines().length === 1);
	await startServer(t, { port });
	t.is((await connectClient(t, port).submit("x", "again")).toString(), "again");
	t.is(worker.lines().length, 2);
	t.regex(worker.lines()[0], /^gearman: lost the connection to 127\.0\.0\.1:\d+: .*; trying again$/);
	t.is(worker.lines()[1], `gearman: connected to 127.0.0.1:${port}`);
});

test("a server that comes late is waited for", async (t) => {
	const before = new Server({ listen: ["127.0.0.1"], port: 0 });
	await before.start();
	const { port } = before;
	await before.stop();
	const worker = start(t, "-h", "127.0.0.1", "-p", port, "-f", "x", "cat");
	await until(() => worker.lines().length === 1);
	t.is(worker.lines()[0], `gearman: could not connect to 127.0.0.1:${port}: connection refused; trying again`);
	await startServer(t, { port });
	t.is((await connectClient(t, port).submit("x", "late")).toString(), "late");
});

test("a worker serves all servers of -h", async (t) => {
	const ports = [(await startServer(t)).port, (await startServer(t)).port];
	start(t, "-h", ports.map((port) => `127.0.0.1:${port}`).join(), "-f", "x", "cat");
	for (const port of ports) t.is((await connectClient(t, port).submit("x", String(port))).toString(), String(port));
});

test("a worker without functions is a usage error", async (t) => {
	const { exitCode, stderr } = await start(t, "cat").exit;
	t.is(exitCode, 1);
	t.regex(stderr, /No Functions were provided/);
});

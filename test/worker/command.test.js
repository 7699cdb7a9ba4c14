import { randomBytes } from "node:crypto";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { Client } from "../../dist/client/client.js";
import { command } from "../../dist/worker/command.js";
import { Worker } from "../../dist/worker/worker.js";
import { isAlive, temporaryFolder } from "../helpers/program.js";
import { dial, startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A server, a worker whose function x runs the command, and a client; `submit(workload)` runs a job of it. */
async function serve(t, operands, options, workerOptions) {
	const { port } = await startServer(t);
	const worker = new Worker(`127.0.0.1:${port}`, workerOptions).add("x", command(operands, options));
	const ran = worker.run();
	const client = new Client(`127.0.0.1:${port}`);
	t.teardown(async () => {
		client.close();
		worker.kill();
		await ran;
	});
	return { port, worker, ran, submit: (workload = "", submitOptions) => client.submit("x", workload, submitOptions) };
}

/** What the client was sent: events as text, and the result or the error's code behind them. */
async function events(task) {
	const seen = [];
	try {
		for await (const { type, data, numerator, denominator } of task) {
			seen.push(type === "status" ? `${numerator}/${denominator}` : `${type} ${data}`);
		}
		seen.push(`result ${await task}`);
	} catch (error) {
		seen.push(error.code === "JOB_EXCEPTION" ? `exception ${error.data}` : error.code);
	}
	return seen;
}

test("a command gets the workload on stdin and its stdout is the result", async (t) => {
	const { submit } = await serve(t, ["rev"]);
	t.is((await submit("hello\n")).toString(), "olleh\n");
});

test("50 MB go through cat and come back byte for byte", async (t) => {
	const { submit } = await serve(t, ["cat"]);
	const workload = randomBytes(50_000_000);
	t.true(workload.equals(await submit(workload)));
});

test("a script may open /dev/stdin", async (t) => {
	const { submit } = await serve(t, ["cat /dev/stdin"]);
	t.is((await submit("by name\n")).toString(), "by name\n");
	t.is((await submit("")).toString(), "");
});

test("a command may open /dev/stdout", async (t) => {
	const { submit } = await serve(t, ["cat > /dev/stdout; echo more > /dev/stdout"]);
	t.is((await submit("by name\n")).toString(), "by name\nmore\n");
});

test("many commands at once each have their own output, quick or slow, small or large", async (t) => {
	const { submit } = await serve(t, ["cat; sleep 0.0$(($$ % 3))"], {}, { concurrency: 8 });
	const workloads = Array.from({ length: 60 }, (_, at) => Buffer.alloc(at % 7 === 0 ? 300_000 : 10, String(at)));
	const results = await Promise.all(workloads.map((workload) => submit(workload)));
	for (const [at, result] of results.entries()) t.true(workloads[at].equals(result));
});

test("what is left of a command that was killed writes into no other job's result", async (t) => {
	const left = "setsid sh -c 'while echo late; do sleep 0.02; done' 2>/dev/null &";
	const { submit } = await serve(t, [`[ "$(cat)" = slow ] && { ${left} sleep 1000; }; sleep 0.01; echo done`], {
		timeoutMs: 3000,
	});
	await t.throwsAsync(submit("slow"));
	for (let i = 0; i < 10; i++) t.is((await submit("quick")).toString(), "done\n");
});

test("a command that never reads its stdin is none the worse for it", async (t) => {
	const { submit } = await serve(t, ["echo", "done"]);
	t.is((await submit(Buffer.alloc(5_000_000))).toString(), "done\n");
});

test("one word with shell syntax is run by a shell, several words are not", async (t) => {
	const shell = await serve(t, ["cat; echo $((1 + 2))"]);
	t.is((await shell.submit("a")).toString(), "a3\n");
	const words = await serve(t, ["echo", "$HOME;*"]);
	t.is((await words.submit()).toString(), "$HOME;*\n");
});

test("a command knows its function, handle and unique key", async (t) => {
	const { submit } = await serve(t, ['echo "$GEARMAN_FUNCTION $GEARMAN_HANDLE $GEARMAN_UNIQUE"']);
	t.is((await submit("", { unique: "key" })).toString(), "x H:test:1 key\n");
});

test("an exit code fails the job, behind what the command had written", async (t) => {
	const { submit } = await serve(t, ["cat; exit 3"]);
	t.deepEqual(await events(submit("so far")), ["data so far", "exception command exited with code 3"]);
});

test("a signal fails the job", async (t) => {
	const { submit } = await serve(t, ["kill -KILL $$"]);
	t.deepEqual(await events(submit()), ["exception command was killed by SIGKILL"]);
});

test("a command that does not exist fails the job", async (t) => {
	const { submit } = await serve(t, ["./does-not-exist"]);
	t.deepEqual(await events(submit("x")), ["exception command could not be started: ./does-not-exist: no such file"]);
});

test("a command that may not be run fails the job", async (t) => {
	const file = join(temporaryFolder(t), "script");
	await writeFile(file, "#!/bin/sh\n");
	await chmod(file, 0o644);
	const { submit } = await serve(t, [file]);
	t.deepEqual(await events(submit()), [`exception command could not be started: ${file}: permission denied`]);
});

test("with lines each line is sent once, alone", async (t) => {
	const { submit } = await serve(t, ["cat"], { output: "lines" });
	t.deepEqual(await events(submit("a\n\nb\nc")), ["data a\n", "data \n", "data b\n", "data c", "result "]);
});

test("with stripped lines only newlines are taken away", async (t) => {
	const { submit } = await serve(t, ["cat"], { output: "stripped" });
	t.deepEqual(await events(submit("a\r\n\nb\nc")), ["data a\r", "data ", "data b", "data c", "result "]);
});

test("a line longer than any pipe holds stays one line", async (t) => {
	const { submit } = await serve(t, ["cat"], { output: "stripped" });
	const line = "x".repeat(1_000_000);
	t.deepEqual(await events(submit(`${line}\nb\n`)), [`data ${line}`, "data b", "result "]);
});

test("chunks are sent while the command still runs", async (t) => {
	const go = join(temporaryFolder(t), "go");
	const script = `printf first; until [ -e '${go}' ]; do sleep 0.01; done; printf second`;
	const { submit } = await serve(t, [script], { output: "chunks" });
	const task = submit();
	const seen = [];
	for await (const { data } of task) {
		seen.push(data.toString());
		if (seen.length === 1) await writeFile(go, "");
	}
	t.deepEqual(seen, ["first", "second"]);
	t.is((await task).length, 0);
});

test("50 MB streamed come whole", async (t) => {
	const { submit } = await serve(t, ["cat"], { output: "chunks" });
	const workload = randomBytes(50_000_000);
	t.true(workload.equals(await submit(workload)));
});

test("lines on GEARMAN_STATUS_FD are the job's status", async (t) => {
	const bad = [];
	const script = "echo 1/4 >&$GEARMAN_STATUS_FD; echo half >&3; echo 5000000000/1 >&3; printf 4/4 >&3; echo done";
	const { port } = await serve(t, [script], { onBadStatus: (_job, line) => bad.push(line) });
	const wire = await dial(t, port);
	wire.send("SUBMIT_JOB", "x", "", "");
	t.deepEqual(await wire.next(), ["JOB_CREATED", "H:test:1"]);
	t.deepEqual(await wire.next(), ["WORK_STATUS", "H:test:1", "1", "4"]);
	t.deepEqual(await wire.next(), ["WORK_STATUS", "H:test:1", "4", "4"]);
	t.deepEqual(await wire.next(), ["WORK_COMPLETE", "H:test:1", "done\n"]);
	t.deepEqual(bad, ["half"]);
});

test("stderr is sent as warnings when asked for", async (t) => {
	const { submit } = await serve(t, ["cat >&2; echo out"], { stderr: "warning" });
	t.deepEqual(await events(submit("careful")), ["warning careful", "result out\n"]);
});

test("a timeout kills the command and all it started", async (t) => {
	const pids = join(temporaryFolder(t), "pids");
	const script = `sleep 1000 & echo $! > '${pids}'; echo $$ >> '${pids}'; printf partly; wait`;
	const { submit } = await serve(t, [script], { timeoutMs: 500 });
	t.deepEqual(await events(submit()), ["data partly", "exception command was killed after 500 ms"]);
	const [grandchild, child] = (await readFile(pids, "utf8")).trim().split("\n").map(Number);
	t.true(grandchild > 1 && child > 1);
	await until(() => !isAlive(grandchild) && !isAlive(child));
});

test("a timeout kills a command that does not heed SIGTERM", async (t) => {
	const { submit } = await serve(t, ["trap '' TERM; while :; do sleep 0.1; done"], { timeoutMs: 100 });
	t.deepEqual(await events(submit()), ["exception command was killed after 100 ms"]);
});

test("a daemon left behind does not hold the job when it has closed stdout", async (t) => {
	const pids = join(temporaryFolder(t), "pids");
	const { submit } = await serve(t, [`sleep 1000 > /dev/null 2>&1 & echo $! > '${pids}'; echo started`]);
	t.is((await submit()).toString(), "started\n");
	process.kill(Number(await readFile(pids, "utf8")));
});

test("a timeout ends the wait for a grandchild that keeps stdout open", async (t) => {
	const pids = join(temporaryFolder(t), "pids");
	const { submit } = await serve(t, [`sleep 1000 & echo $! > '${pids}'; echo started`], { timeoutMs: 300 });
	t.deepEqual(await events(submit()), ["data started\n", "exception command was killed after 300 ms"]);
	const grandchild = Number(await readFile(pids, "utf8"));
	await until(() => !isAlive(grandchild));
});

test("killing the worker kills the running command", async (t) => {
	const pids = join(temporaryFolder(t), "pids");
	const { submit, worker, ran } = await serve(t, [`trap '' TERM; echo $$ > '${pids}'; while :; do sleep 0.1; done`]);
	submit();
	const pid = Number(await until(() => readFile(pids, "utf8")));
	worker.kill();
	await ran;
	await until(() => !isAlive(pid));
	t.pass();
});

// Stores as the program uses them: where it refuses to start, a disk that fills up, traffic beside a commit, gearmand's
// own database, and stores of other people's.

import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { said, start, startProgramServer, temporaryFolder } from "../helpers/program.js";
import { C, startGearmand, testWith } from "../helpers/programs.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const sqlite = (folder, ...more) => ["--queue-type=sqlite", `--state-dir=${folder}`, ...more];

async function submit(client, workload, functionName = "f") {
	client.send("SUBMIT_JOB_BG", functionName, "", workload);
	return (await client.next())[0];
}

/** The handles the server has, once the jobs of the last run are back. */
async function jobsOf(t, port, count) {
	const admin = await dial(t, port);
	return until(async () => {
		const jobs = (await admin.list("show jobs")).map((line) => line.split("\t")[0]);
		return jobs.length >= count && jobs;
	}, `${count} jobs`);
}

/** Runs all jobs of f: their workloads. */
async function workloadsOf(t, port) {
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	const workloads = [];
	for (;;) {
		worker.send("GRAB_JOB");
		const [name, handle, , workload] = await worker.next();
		if (name !== "JOB_ASSIGN") return workloads;
		workloads.push(workload);
		worker.send("WORK_COMPLETE", handle, "");
	}
}

test("sqlite is what the program uses by default, and jobs come back under their handles", async (t) => {
	const folder = temporaryFolder(t);
	const run = async () => {
		const child = start(t, ["--server", "--port=0", "--listen=127.0.0.1", "--verbose=INFO", `--state-dir=${folder}`]);
		const [, port] = await said(child.stderr, /Listening on 127\.0\.0\.1:(\d+)/);
		return { child, port: Number(port) };
	};
	const first = await run();
	const client = await dial(t, first.port);
	client.send("SUBMIT_JOB_BG", "f", "u", "x");
	const [, handle] = await client.next();
	first.child.kill();
	await first.child;
	const second = await run();
	t.deepEqual(await jobsOf(t, second.port, 1), [handle]);
	const again = await dial(t, second.port);
	again.send("SUBMIT_JOB_BG", "f", "", "y");
	t.not((await again.next())[1], handle);
	t.deepEqual(await workloadsOf(t, second.port), ["x", "y"]);
});

test("what keeps a store from opening is one sentence and exit 1", async (t) => {
	const folder = temporaryFolder(t);
	writeFileSync(join(folder, "plain"), "");
	mkdirSync(join(folder, "garbage"));
	writeFileSync(join(folder, "garbage", "0.sqlite"), "nonsense ".repeat(2000));
	writeFileSync(join(folder, "garbage", "0.journal"), "nonsense ".repeat(2000));
	const { child } = await startProgramServer(t, sqlite(folder));
	for (const [args, sentence] of [
		[
			sqlite(folder),
			/^\S+: \S+0\.sqlite is in use by another job server: stop that one, or give this one another --port or --state-dir\n$/,
		],
		[
			sqlite(join(folder, "plain", "x")),
			/the state directory .* cannot be made .*--state-dir, or --queue-type builtin\n$/,
		],
		[sqlite(join(folder, "garbage")), /0\.sqlite is damaged or no job store .*: move it away/],
		[["--queue-type=file", `--state-dir=${folder}/garbage`], /0\.journal is damaged or no journal .*: move it away/],
		[["--queue-type=./no/such.js"], /the store \.\/no\/such\.js cannot be loaded: /],
	]) {
		const { exitCode, stderr } = await start(t, [
			"--server",
			"--port=0",
			"--listen=127.0.0.1",
			"--log-file=none",
			...args,
		]);
		t.is(exitCode, 1, args.join(" "));
		t.regex(stderr, sentence);
		t.is(stderr.split("\n").length, 2, stderr);
	}
	child.kill();
	t.is((await child).exitCode, 0);
});

const hasPrlimit = process.platform === "linux" && spawnSync("prlimit", ["--version"]).status === 0;
for (const store of ["sqlite", "file"]) {
	(hasPrlimit ? test : test.skip)(
		`${store}: a disk that is full refuses jobs in two log lines, and forgets none that are done (needs prlimit)`,
		async (t) => {
			const folder = temporaryFolder(t);
			const args = [`--queue-type=${store}`, `--state-dir=${folder}`];
			const { child, port } = await startProgramServer(t, args);
			const limit = (bytes) => t.is(spawnSync("prlimit", [`--pid=${child.pid}`, `--fsize=${bytes}:`]).status, 0);
			const [client, worker] = [await dial(t, port), await dial(t, port)];
			for (const workload of ["done", "left"]) t.is(await submit(client, workload), "JOB_CREATED");
			worker.send("CAN_DO", "f");
			worker.send("GRAB_JOB");
			const [, handle, , workload] = await worker.next();
			t.is(workload, "done");
			limit(1);
			t.is(await submit(client, "refused"), "ERROR");
			worker.send("WORK_COMPLETE", handle, "");
			t.deepEqual(await worker.settle(), []);
			for (let i = 0; i < 5; i++) t.is(await submit(client, "refused"), "ERROR");
			limit("unlimited");
			await until(async () => (await submit(client, "later")) === "JOB_CREATED", "a job taken");
			child.kill("SIGKILL");
			const { stderr } = await child;
			t.is(stderr.split("\n").filter((line) => line.includes("The store fails")).length, 1, stderr);
			t.is(stderr.split("\n").filter((line) => line.includes("The store works again")).length, 1, stderr);
			t.is(stderr.split("\n").filter((line) => line.startsWith("  ERROR")).length, 2, stderr);

			const second = await startProgramServer(t, args);
			await jobsOf(t, second.port, 2);
			t.deepEqual(await workloadsOf(t, second.port), ["left", "later"]);
		},
	);

	test(`${store}: others are served while a large commit is on its way`, async (t) => {
		const { port } = await startProgramServer(t, [`--queue-type=${store}`, `--state-dir=${temporaryFolder(t)}`]);
		const [client, other, admin] = [await dial(t, port), await dial(t, port), await dial(t, port)];
		client.send("SUBMIT_JOB_BG", "f", "", "x".repeat(100 << 20));
		let isCommitted = false;
		const answer = client.next().finally(() => {
			isCommitted = true;
		});
		await until(async () => (await admin.list("show jobs")).length === 1, "the job in the table");
		let echoes = 0;
		while (!isCommitted) {
			t.deepEqual(await other.settle(), []);
			if (!isCommitted) echoes++;
		}
		t.is((await answer)[0], "JOB_CREATED");
		t.true(echoes > 0);
	});
}

testWith(C.gearmand)(
	"a database that C gearmand wrote is taken over, empty workloads too (needs gearmand)",
	async (t) => {
		const path = join(temporaryFolder(t), "gearman.db");
		const args = ["--queue-type=libsqlite3", `--libsqlite3-db=${path}`];
		const old = await startGearmand(t, C.gearmand, args);
		const client = await dial(t, old.port);
		const bytes = "\0\xff it's \n";
		const expected = [];
		for (const [i, name] of ["SUBMIT_JOB_LOW_BG", "SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH_BG"].entries()) {
			for (const workload of ["", bytes]) {
				client.send(name, "f", `u${i}${workload.length}`, workload);
				t.is((await client.next())[0], "JOB_CREATED");
				expected.unshift(workload);
			}
		}
		client.send("SUBMIT_JOB_EPOCH", "f", "epoch", "4102444800", "later");
		t.is((await client.next())[0], "JOB_CREATED");
		old.child.kill("SIGKILL");
		await until(() => old.child.signalCode !== null);

		for (const expectedNow of [["", bytes, "", bytes, "", bytes], []]) {
			const { child, port } = await startProgramServer(t, args);
			await jobsOf(t, port, expectedNow.length + 1);
			t.deepEqual(await workloadsOf(t, port), expectedNow);
			child.kill();
			await child;
		}
	},
);

test("--store-queue-on-shutdown keeps jobs at a clean end", async (t) => {
	const args = sqlite(temporaryFolder(t), "--store-queue-on-shutdown");
	const first = await startProgramServer(t, args);
	const client = await dial(t, first.port);
	for (const workload of ["1", "2", "3"]) t.is(await submit(client, workload), "JOB_CREATED");
	first.child.kill();
	await first.child;
	const second = await startProgramServer(t, args);
	await jobsOf(t, second.port, 3);
	t.deepEqual(await workloadsOf(t, second.port), ["1", "2", "3"]);
	t.is(await submit(await dial(t, second.port), "lost"), "JOB_CREATED");
	await (await dial(t, second.port)).settle();
	second.child.kill("SIGKILL");
	await second.child;
	const third = await startProgramServer(t, args);
	t.deepEqual(await workloadsOf(t, third.port), []);
});

test("jobs that cannot be kept at the end are said to be lost: exit 1", async (t) => {
	const module = join(temporaryFolder(t), "my-store.mjs");
	writeFileSync(
		module,
		`export default () => ({
			open: async () => 0,
			replay: async function* () {},
			write: async (changes) => { if (changes.some(({ kind }) => kind === "add")) throw new Error("disk full"); },
			close: async () => {},
		});`,
	);
	for (const stop of ["SIGTERM", "SIGUSR1"]) {
		const { child, port } = await startProgramServer(t, [`--queue-type=${module}`, "--store-queue-on-shutdown"]);
		const client = await dial(t, port);
		if (stop === "SIGTERM") t.is(await submit(client, "x"), "JOB_CREATED");
		child.kill(stop);
		const { exitCode, stderr } = await child;
		t.is(exitCode, stop === "SIGTERM" ? 1 : 0, stderr);
		t.is(/FATAL .*The store could not be closed: disk full/.test(stderr), stop === "SIGTERM", stderr);
		t.notRegex(stderr, /^\s+at /m);
	}
});

test("a store of one's own is a module with a function that makes it", async (t) => {
	const folder = temporaryFolder(t);
	const module = join(folder, "my-store.mjs");
	writeFileSync(
		module,
		`import { appendFile } from "node:fs/promises";
		export default ({ options }) => ({
			open: async () => 0,
			replay: async function* () {},
			write: (changes) => appendFile(options["state-dir"] + "/log", changes.map(({ kind }) => kind + "\\n").join("")),
			close: async () => {},
		});`,
	);
	for (const name of [module, "./my-store.mjs"]) {
		const { child, port } = await startProgramServer(t, [`--queue-type=${name}`, `--state-dir=${folder}`], {
			cwd: folder,
		});
		t.is(await submit(await dial(t, port), "x"), "JOB_CREATED");
		child.kill();
		t.is((await child).exitCode, 0);
	}
});

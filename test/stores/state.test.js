// Where the program keeps its files and whose they are, what it does while a large queue comes back, and when that fails.

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { loadStore } from "../../dist/server/stores/index.js";
import { start, startProgramServer, temporaryFolder } from "../helpers/program.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";
import { add, jobOf, replay } from "./suite.js";

const driver = new URL("../../dist/server/stores/sqlite-driver.js", import.meta.url).href;

/** Fills the file of port 0 with so many jobs. */
async function fill(kind, folder, count) {
	const store = await loadStore(kind, { port: 0, options: { "state-dir": folder } });
	await store.open();
	for (let i = 0; i < count; i += 10_000) {
		await store.write(Array.from({ length: Math.min(10_000, count - i) }, (_, n) => add(jobOf(i + n + 1))));
	}
	await store.close();
}

const isRoot = process.getuid?.() === 0;
const idOf = (flag) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));

for (const [kind, name] of [
	["sqlite", "0.sqlite"],
	["file", "0.journal"],
]) {
	(isRoot ? test : test.skip)(
		`${kind}: with --user the state directory and its files are that user's (needs root)`,
		async (t) => {
			const parent = temporaryFolder(t);
			chmodSync(parent, 0o755);
			const folder = join(parent, "state");
			const args = [`--queue-type=${kind}`, `--state-dir=${folder}`, "--user=nobody"];
			for (let run = 0; run < 2; run++) {
				const { child, port } = await startProgramServer(t, args);
				const client = await dial(t, port);
				client.send("SUBMIT_JOB_BG", "f", "", "x");
				t.is((await client.next())[0], "JOB_CREATED");
				const of = (path) => [statSync(path).uid, statSync(path).gid, statSync(path).mode & 0o077];
				t.deepEqual(of(folder), [idOf("-u"), idOf("-g"), 0]);
				t.deepEqual(of(join(folder, name)).slice(0, 2), [idOf("-u"), idOf("-g")]);
				child.kill();
				t.is((await child).exitCode, 0);
			}
		},
	);

	(isRoot ? test : test.skip)(
		`${kind}: files that --user may not write stop the start, with a sentence, and stay as they are (needs root)`,
		async (t) => {
			const parent = temporaryFolder(t);
			chmodSync(parent, 0o755);
			const folder = join(parent, "state");
			await fill(kind, folder, 1);
			chmodSync(folder, 0o755);
			const before = readFileSync(join(folder, name));
			const args = ["--server", "--port=0", "--listen=127.0.0.1", `--queue-type=${kind}`, `--state-dir=${folder}`];
			const { exitCode, stderr } = await start(t, [...args, "--user=nobody", "--log-file=none"]);
			t.is(exitCode, 1);
			t.regex(stderr, /^\S+: \S+state\/0\.\S+ cannot be (written|opened or created): [^\n]*--state-dir[^\n]*\n$/);
			t.deepEqual(readFileSync(join(folder, name)), before);
			t.is(statSync(join(folder, name)).uid, 0);
		},
	);

	test(`${kind}: while a large queue comes back, the port answers whatever it is asked`, async (t) => {
		const folder = temporaryFolder(t);
		const count = 150_000;
		await fill(kind, folder, count);
		const { port } = await startProgramServer(t, [`--queue-type=${kind}`, `--state-dir=${folder}`]);
		const [client, admin] = [await dial(t, port), await dial(t, port)];
		const seen = [];
		for (let i = 0; ; i++) {
			const isReplaying = (await admin.list("queue info")).includes("state\treplaying");
			const [line = ""] = await admin.list("status");
			seen.push({ isReplaying, total: Number(line.split("\t")[1] ?? 0) });
			client.send("GET_STATUS", "H:test:1");
			t.is((await client.next())[0], "STATUS_RES");
			client.send("SUBMIT_JOB_BG", "f", "", `new ${i}`);
			t.is((await client.next())[0], "JOB_CREATED");
			if (!isReplaying) break;
		}
		t.true(seen[0].isReplaying && seen[0].total < count, JSON.stringify(seen[0]));
		t.is(seen.at(-1).total, count + seen.length - 1);
		client.send("GET_STATUS", `H:test:${count}`);
		t.deepEqual(await client.next(), ["STATUS_RES", `H:test:${count}`, "1", "0", "0", "0"]);
	});
}

test("$STATE_DIRECTORY says where jobs are kept, its first folder where it has several; --state-dir comes first", async (t) => {
	const folder = temporaryFolder(t);
	const [one, two, three] = ["one", "two", "three"].map((name) => join(folder, name));
	const run = async (env, ...args) => {
		const all = ["--queue-type=sqlite", ...args];
		const { child, port } = await startProgramServer(t, all, { env });
		const client = await dial(t, port);
		client.send("SUBMIT_JOB_BG", "f", "", "x");
		t.is((await client.next())[0], "JOB_CREATED");
		child.kill();
		await child;
	};
	await run({ STATE_DIRECTORY: `${one}:${two}` });
	t.deepEqual([one, two].map(existsSync), [true, false]);
	t.true(existsSync(join(one, "0.sqlite")));
	await run({ STATE_DIRECTORY: two });
	t.true(existsSync(join(two, "0.sqlite")));
	await run({ STATE_DIRECTORY: one }, `--state-dir=${three}`);
	t.true(existsSync(join(three, "0.sqlite")));
});

test("sqlite: damage that only the replay finds ends the server with a sentence; nothing in the file is lost", async (t) => {
	const folder = temporaryFolder(t);
	await fill("sqlite", folder, 5000);
	const path = join(folder, "0.sqlite");
	const code = `const { openDatabase } = await import("${driver}");
		(await openDatabase(process.argv[1])).exec("UPDATE jobs SET handle = 'H:test:1' WHERE number = 4000");`;
	execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", code, path]);
	const { child } = await startProgramServer(t, ["--queue-type=sqlite", `--state-dir=${folder}`]);
	const { exitCode, stderr } = await child;
	t.is(exitCode, 1);
	t.regex(
		stderr,
		/FATAL .*The store could not be replayed: \S+0\.sqlite is damaged .* \(job 4000 has the handle H:test:1\): move it away/,
	);
	const count = `const { openDatabase } = await import("${driver}");
		console.log((await openDatabase(process.argv[1])).prepare("SELECT count(*) AS n FROM jobs").all()[0][0]);`;
	const args = ["--no-warnings", "--input-type=module", "-e", count, path];
	t.is(execFileSync(process.execPath, args, { encoding: "utf8" }), "5000\n");
});

test("file: what is damaged between the start and the replay is said, not passed over", async (t) => {
	const folder = temporaryFolder(t);
	const store = await loadStore("file", { port: 0, options: { "state-dir": folder } });
	t.teardown(() => store.close());
	await store.open();
	for (let i = 1; i <= 20; i++) await store.write([add(jobOf(i, { workload: Buffer.alloc(100_000, "x") }))]);
	await store.close();
	const again = await loadStore("file", { port: 0, options: { "state-dir": folder } });
	t.teardown(() => again.close());
	await again.open();
	const path = join(folder, "0.journal");
	const bytes = readFileSync(path);
	bytes.fill(0, 1_000_000, 1_000_100);
	writeFileSync(path, bytes);
	await t.throwsAsync(replay(again), { code: "STORE_FAILED", message: /0\.journal is damaged .*: move it away/ });
});

test("a state directory that is there is taken as it is", async (t) => {
	const folder = join(temporaryFolder(t), "state");
	mkdirSync(folder, { mode: 0o750 });
	chmodSync(folder, 0o750);
	const { child } = await startProgramServer(t, ["--queue-type=sqlite", `--state-dir=${folder}`]);
	await until(() => existsSync(join(folder, "0.sqlite")));
	t.is(statSync(folder).mode & 0o777, 0o750);
	child.kill();
	t.is((await child).exitCode, 0);
});

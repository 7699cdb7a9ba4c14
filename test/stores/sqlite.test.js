// The SQLite store: whose file it is, what it is locked by, what it takes over, and what a power cut leaves.

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { loadStore } from "../../dist/server/stores/index.js";
import { temporaryFolder } from "../helpers/program.js";
import { random } from "../helpers/random.js";
import { add, jobOf, remove, replay, testStore } from "./suite.js";

const open = (options) => loadStore("sqlite", { port: 4730, options });
const inFolder = (folder) => open({ "state-dir": folder });

testStore(test, "sqlite", (t) => {
	const folder = temporaryFolder(t);
	return { open: () => inFolder(folder) };
});

const driver = new URL("../../dist/server/stores/sqlite-driver.js", import.meta.url).href;
const jobsFile = new URL("../../dist/server/stores/sqlite-jobs.js", import.meta.url).href;

/** The JSON of what the body of a function returns, in a process of its own: its end takes all locks with it. */
function apart(body, values) {
	const code = `const run = async (values) => { ${body} }; console.log(JSON.stringify(await run(${JSON.stringify(values)})));`;
	const options = { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] };
	return JSON.parse(execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", code], options));
}

/** Runs statements, and gives the rows of a query. */
function sql(path, statements, query = "SELECT 1") {
	const body = `
		const { openDatabase } = await import("${driver}");
		const database = await openDatabase(values.path);
		database.exec(values.statements);
		return database.prepare(values.query).all();`;
	return apart(body, { path, statements, query });
}

/** Jobs of a fresh store on the file. */
async function keptIn(t, options) {
	const store = await open(options);
	t.teardown(() => store.close());
	await store.open();
	const jobs = await replay(store);
	await store.close();
	return jobs;
}

test("sqlite: one file a port in the state directory, which only its owner may enter", async (t) => {
	const folder = join(temporaryFolder(t), "deep", "state");
	const store = await inFolder(folder);
	await store.open();
	await store.close();
	t.true(statSync(join(folder, "4730.sqlite")).isFile());
	t.is(statSync(folder).mode & 0o777, 0o700);
});

test("sqlite: a second server on the file refuses to start, and the first goes on", async (t) => {
	const folder = temporaryFolder(t);
	const [first, second] = [await inFolder(folder), await inFolder(folder)];
	t.teardown(() => first.close());
	await first.open();
	await t.throwsAsync(second.open(), {
		code: "STORE_FAILED",
		message: /4730\.sqlite is in use by another job server: stop that one, /,
	});
	await first.write([add(jobOf(1))]);
	await first.close();
	t.is((await keptIn(t, { "state-dir": folder })).length, 1);
});

test("sqlite: a file that is damaged, of something else or newer is refused and left as it is", async (t) => {
	const folder = temporaryFolder(t);
	const make = (name, statements) => sql(join(folder, name), statements);
	writeFileSync(join(folder, "text"), "This is not a database at all. ".repeat(500));
	make("other", "CREATE TABLE things (name TEXT); INSERT INTO things VALUES ('x')");
	make("other-id", "PRAGMA application_id = 7; CREATE TABLE jobs (number INTEGER)");
	make("half", "CREATE TABLE gearman_queue (unique_key TEXT)");
	const store = await open({ "libsqlite3-db": join(folder, "newer") });
	await store.open();
	await store.write(Array.from({ length: 500 }, (_, i) => add(jobOf(i + 1))));
	await store.close();
	copyFileSync(join(folder, "newer"), join(folder, "torn"));
	make("newer", "PRAGMA user_version = 2");
	const torn = readFileSync(join(folder, "torn"));
	torn.fill(0x5a, torn.length / 2, torn.length / 2 + 9000);
	writeFileSync(join(folder, "torn"), torn);
	for (const [name, sentence] of [
		["text", /text is damaged or no job store \(file is not a database\): move it away/],
		["other", /other is a database of something else/],
		["other-id", /other-id is a database of something else/],
		["half", /the table gearman_queue in .*half has no column function_name/],
		["newer", /newer was written by a newer version/],
		["torn", /torn is damaged or no job store/],
	]) {
		const path = join(folder, name);
		const before = readFileSync(path);
		const refused = await open({ "libsqlite3-db": path });
		const error = await t.throwsAsync(refused.open(), { code: "STORE_FAILED" }, name);
		t.regex(error.message, sentence);
		t.false(error.message.includes("\n"));
		t.deepEqual(readFileSync(path), before, name);
	}
});

test("sqlite: a place where nothing can be kept is named, with what to do", async (t) => {
	const folder = temporaryFolder(t);
	writeFileSync(join(folder, "file"), "");
	for (const options of [
		{ "state-dir": join(folder, "file", "x") },
		{ "libsqlite3-db": join(folder, "no", "such.db") },
	]) {
		const store = await open(options);
		await t.throwsAsync(store.open(), { code: "STORE_FAILED", message: /--state-dir, or --queue-type builtin$/ });
	}
});

test("sqlite: every open is synchronous=FULL, or NORMAL when asked", async (t) => {
	const path = join(temporaryFolder(t), "db");
	for (const [isSynced, level] of [
		[true, 2],
		[true, 2],
		[false, 1],
		[true, 2],
	]) {
		const body = `
			const { openJobs } = await import("${jobsFile}");
			return (await openJobs(values)).synchronous();`;
		t.is(apart(body, { path, isSynced, table: "gearman_queue" }), level);
	}
});

test("sqlite: what is over its limit of a row is refused before it is tried", async (t) => {
	const store = await inFolder(temporaryFolder(t));
	t.regex(store.refusal(jobOf(1, { workload: { length: 1_000_000_000 } })), /over SQLite's limit of 1000000000/);
	t.is(store.refusal(jobOf(1, { workload: { length: 999_990_000 } })), undefined);
});

const C_TABLE = `CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,
	when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))`;

test("sqlite: jobs in a database of gearmand's are taken over once, empty workloads too", async (t) => {
	const path = join(temporaryFolder(t), "gearman.db");
	const rows = "('u1', 'f', 0, x'00ff00', 0), ('u2', 'f', 2, NULL, 1800000000)";
	sql(path, `${C_TABLE}; INSERT INTO gearman_queue VALUES ${rows}`);
	const store = await open({ "libsqlite3-db": path });
	t.true((await store.open()) >= 2);
	const jobs = await replay(store);
	t.deepEqual(
		jobs.map(({ functionName, unique, priority, workload, dueMs }) => [
			functionName,
			unique,
			priority,
			workload.toString("hex"),
			dueMs,
		]),
		[
			["f", "u1", 0, "00ff00", 0],
			["f", "u2", 2, "", 1_800_000_000_000],
		],
	);
	t.is(new Set(jobs.map(({ handle }) => handle)).size, 2);
	await store.write([remove(jobs[0])]);
	await store.close();
	t.deepEqual(
		(await keptIn(t, { "libsqlite3-db": path })).map(({ unique }) => unique),
		["u2"],
	);
	// gearmand finds its table, empty.
	t.deepEqual(sql(path, "", "SELECT count(*) AS n FROM gearman_queue"), [[0]]);
	sql(path, "INSERT INTO gearman_queue VALUES ('u3', 'f', 1, 'x', 0)");
	t.deepEqual(
		(await keptIn(t, { "libsqlite3-db": path })).map(({ unique }) => unique),
		["u2", "u3"],
	);
});

test("sqlite: after a power cut in the last commit everything acknowledged before it is there", async (t) => {
	const folder = temporaryFolder(t);
	const store = await inFolder(folder);
	t.teardown(() => store.close());
	await store.open();
	const { next } = random(t, 1);
	const file = join(folder, "4730.sqlite");
	const wal = `${file}-wal`;
	let count = 0;
	let rounds = 0;
	for (let round = 0; round < 25; round++) {
		await store.write([add(jobOf(++count)), add(jobOf(++count))]);
		const before = readFileSync(wal);
		const acknowledged = count;
		await store.write(Array.from({ length: 1 + next(20) }, () => add(jobOf(++count))));
		const bytes = readFileSync(wal);
		// The WAL is written over from its start now and then; then it says nothing of the commit before.
		if (!bytes.subarray(0, 32).equals(before.subarray(0, 32))) continue;
		let start = 0;
		while (bytes[start] === before[start]) start++;
		let end = Math.max(bytes.length, before.length);
		while (bytes[end - 1] === before[end - 1]) end--;
		rounds++;
		const copy = join(folder, `${round}`);
		mkdirSync(copy);
		copyFileSync(file, join(copy, "4730.sqlite"));
		const cut = start + next(end - start);
		if (round % 2 === 0) writeFileSync(join(copy, "4730.sqlite-wal"), bytes.subarray(0, cut));
		else {
			// What was not written yet is as it was before.
			const torn = Buffer.concat([bytes.subarray(0, cut), before.subarray(cut, cut + 512), bytes.subarray(cut + 512)]);
			writeFileSync(join(copy, "4730.sqlite-wal"), torn);
		}
		const jobs = await keptIn(t, { "state-dir": copy });
		t.true(jobs.length === acknowledged || jobs.length === count, `${jobs.length} of ${acknowledged} to ${count}`);
		t.is(jobs.at(-1).handle, `H:test:${jobs.length}`);
	}
	t.true(rounds > 15);
});

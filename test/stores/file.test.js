// The file store: its lock, its garbage, and what crashes and damage leave of it.

import { copyFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { loadStore } from "../../dist/server/stores/index.js";
import { temporaryFolder } from "../helpers/program.js";
import { random } from "../helpers/random.js";
import { until } from "../helpers/until.js";
import { add, jobOf, remove, replay, testStore } from "./suite.js";

const inFolder = (folder) => loadStore("file", { port: 4730, options: { "state-dir": folder } });

testStore(test, "file", (t) => {
	const folder = temporaryFolder(t);
	return { open: () => inFolder(folder) };
});

async function keptIn(t, folder) {
	const store = await inFolder(folder);
	t.teardown(() => store.close());
	await store.open();
	const jobs = await replay(store);
	await store.close();
	return jobs;
}

test("file: a second server on the file refuses to start, and the first goes on", async (t) => {
	const folder = temporaryFolder(t);
	const [first, second] = [await inFolder(folder), await inFolder(folder)];
	t.teardown(() => first.close());
	await first.open();
	await t.throwsAsync(second.open(), {
		code: "STORE_FAILED",
		message: /4730\.journal is in use by another job server: stop that one, /,
	});
	await first.write([add(jobOf(1))]);
	await first.close();
	t.is((await keptIn(t, folder)).length, 1);
});

test("file: a power cut anywhere in the last batch costs that batch at most", async (t) => {
	const folder = temporaryFolder(t);
	const store = await inFolder(folder);
	t.teardown(() => store.close());
	await store.open();
	const { next } = random(t, 2);
	const file = join(folder, "4730.journal");
	let count = 0;
	for (let round = 0; round < 40; round++) {
		await store.write([add(jobOf(++count)), add(jobOf(++count))]);
		const before = statSync(file).size;
		const acknowledged = count;
		await store.write(Array.from({ length: 1 + next(20) }, () => add(jobOf(++count))));
		const size = statSync(file).size;
		const copy = join(folder, `${round}`);
		mkdirSync(copy);
		copyFileSync(file, join(copy, "4730.journal"));
		const cut = before + next(size - before);
		if (round % 2 === 0) truncateSync(join(copy, "4730.journal"), cut);
		else {
			const bytes = readFileSync(file);
			bytes.fill(0, cut, Math.min(size, cut + 100));
			writeFileSync(join(copy, "4730.journal"), bytes);
		}
		const jobs = await keptIn(t, copy);
		t.true(jobs.length === acknowledged || jobs.length === count, `${jobs.length} of ${acknowledged} to ${count}`);
		// What is appended now is behind whole frames only.
		const again = await inFolder(copy);
		await again.open();
		await again.write([add(jobOf(100_000))]);
		await again.close();
		t.is((await keptIn(t, copy)).length, jobs.length + 1);
	}
});

test("file: damage before the last batch is refused, and the file left as it is", async (t) => {
	const folder = temporaryFolder(t);
	const store = await inFolder(folder);
	await store.open();
	for (let i = 1; i <= 20; i++) await store.write([add(jobOf(i))]);
	await store.close();
	const file = join(folder, "4730.journal");
	const whole = readFileSync(file);
	for (const at of [0, 20, 25, 30, 500, whole.length >> 1]) {
		const bytes = Buffer.from(whole);
		bytes[at] ^= 0x55;
		writeFileSync(file, bytes);
		const refused = await inFolder(folder);
		const error = await t.throwsAsync(refused.open(), { code: "STORE_FAILED" }, `byte ${at}`);
		t.regex(error.message, /4730\.journal is damaged or no journal \(.*\): move it away or restore a copy/);
		t.deepEqual(readFileSync(file), bytes);
	}
});

test("file: one that is mostly jobs long done is written anew, while batches go on", async (t) => {
	const folder = temporaryFolder(t);
	const store = await inFolder(folder);
	t.teardown(() => store.close());
	await store.open();
	const file = join(folder, "4730.journal");
	const { ino } = statSync(file);
	const workload = Buffer.alloc(100_000, "x");
	let number = 0;
	const stay = [];
	await until(async () => {
		for (let i = 0; i < 5; i++) {
			const short = Array.from({ length: 10 }, () => jobOf(++number, { workload }));
			const long = jobOf(++number);
			await store.write([...short, long].map(add));
			await store.write(short.map(remove));
			stay.push(long.handle);
		}
		return statSync(file).ino !== ino;
	}, "the new file");
	t.true(statSync(file).size < 16 << 20);
	await store.write([add(jobOf(++number))]);
	stay.push(`H:test:${number}`);
	await store.close();
	const jobs = await keptIn(t, folder);
	t.deepEqual(
		jobs.map(({ handle }) => handle),
		stay,
	);
});

test("file: a large batch that was cut off is no damage; a whole one far behind a broken one shows that there is some", async (t) => {
	const folder = temporaryFolder(t);
	const store = await inFolder(folder);
	await store.open();
	const file = join(folder, "4730.journal");
	const ends = [];
	for (let i = 1; i <= 3; i++) {
		await store.write([add(jobOf(i, { workload: Buffer.alloc(5 << 20, "GJ1 ") }))]);
		ends.push(statSync(file).size);
	}
	await store.close();
	const whole = readFileSync(file);
	truncateSync(file, ends[2] - 1);
	t.is((await keptIn(t, folder)).length, 2);
	whole[ends[0] + 100] ^= 0x55;
	writeFileSync(file, whole);
	const refused = await inFolder(folder);
	await t.throwsAsync(refused.open(), { code: "STORE_FAILED", message: /is damaged or no journal \(at byte \d+\)/ });
	t.is(statSync(file).size, whole.length);
});

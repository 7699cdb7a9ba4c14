// What the stores on other servers share, where a real server cannot be made to do it.

import test from "ava";
import { loadDriver, Remote } from "../../dist/server/stores/remote.js";
import { until } from "../helpers/until.js";
import { add, jobOf, remove, reserve, retry } from "./suite.js";

/** A backend that keeps handles; `fails()` is asked before and after each commit. */
class Memory {
	name = "Memory at home";
	handles = new Set();
	batches = [];
	connections = 0;
	fails = () => undefined;

	async connect(lost) {
		this.lose = lost;
		return ++this.connections;
	}

	async takeOver() {}

	async commit(_connection, batch) {
		this.batches.push(batch);
		const before = this.fails("before");
		if (before !== undefined) throw before;
		for (const handle of batch.removes) this.handles.delete(handle);
		for (const { handle } of batch.adds) this.handles.add(handle);
		const after = this.fails("after");
		if (after !== undefined) throw after;
	}

	async disconnect() {}
	destroy() {}
}

async function setUp(t) {
	const backend = new Memory();
	const remote = new Remote(backend);
	t.teardown(() => remote.close());
	await remote.open();
	return { backend, remote };
}

test("a batch whose answer was lost is refused, and taken back before the next one", async (t) => {
	const { backend, remote } = await setUp(t);
	backend.fails = (when) => (when === "after" ? new Error("read ECONNRESET") : undefined);
	await t.throwsAsync(remote.write([add(jobOf(1))]), {
		code: "STORE_FAILED",
		message: "Memory at home: read ECONNRESET",
	});
	t.deepEqual([...backend.handles], ["H:test:1"]);
	backend.fails = () => undefined;
	// The same job may come again: it was refused, then wanted in the background once more.
	await remote.write([add(jobOf(1)), add(jobOf(2))]);
	t.deepEqual([...backend.handles], ["H:test:1", "H:test:2"]);
	t.deepEqual(backend.batches.at(-2).removes, ["H:test:1"]);
});

test("it is taken back as soon as the connection is there again, and numbers reserved are told again", async (t) => {
	const { backend, remote } = await setUp(t);
	await remote.write([reserve(7)]);
	backend.fails = (when) => (when === "after" ? new Error("read ECONNRESET") : undefined);
	await t.throwsAsync(remote.write([add(jobOf(1))]));
	backend.fails = () => undefined;
	backend.lose(new Error("gone"));
	await t.throwsAsync(remote.write([add(jobOf(2))]), { message: "Memory at home: gone" });
	await until(() => backend.handles.size === 0);
	await until(() => backend.batches.at(-1).reserved === 7);
	t.is(backend.connections, 2);
});

test("what the server itself has refused is not taken back: nothing of it can be there", async (t) => {
	const { backend, remote } = await setUp(t);
	backend.fails = () => Object.assign(new Error("disk full"), { severity: "ERROR" });
	await t.throwsAsync(remote.write([add(jobOf(1))]), { message: "Memory at home: disk full" });
	backend.fails = () => undefined;
	await remote.write([add(jobOf(2))]);
	t.deepEqual(
		backend.batches.map(({ removes }) => removes),
		[[], []],
	);
});

test("several changes of one job in a batch become the last one", async (t) => {
	const { backend, remote } = await setUp(t);
	const [one, two, three] = [jobOf(1), jobOf(2), jobOf(3)];
	await remote.write([
		add(one),
		add(two),
		retry(two),
		remove(one),
		retry(three),
		reserve(5),
		reserve(3),
		remove(three),
	]);
	const [{ adds, retries, removes, reserved }] = backend.batches;
	t.deepEqual([adds, retries, removes, reserved], [[two], [], ["H:test:1", "H:test:3"], 5]);
});

test("a package that is not installed is named", async (t) => {
	const name = "no-such-driver";
	await t.throwsAsync(
		loadDriver(name, () => import(name)),
		{ code: "STORE_FAILED", message: "This store needs the npm package no-such-driver: npm install no-such-driver" },
	);
});

// The program killed with SIGKILL in the middle of everything: what was acknowledged runs after the restart, once.

import test from "ava";
import { startProgramServer, temporaryFolder } from "../helpers/program.js";
import { random } from "../helpers/random.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const SUBMITS = 10_000;
const ROUNDS = 4;

const args = (store, folder) => [`--queue-type=${store}`, "--state-dir", folder, "--job-handle-prefix=H:crash"];

/** Submits jobs `prefix 0` and so on, all at once; handle → workload of those acknowledged, until `stopAfter` of them. */
async function submit(client, prefix, count, stopAfter, stop) {
	for (let i = 0; i < count; i++) client.send("SUBMIT_JOB_BG", "f", "", `${prefix} ${i}`);
	const acknowledged = new Map();
	for (let i = 0; i < count; i++) {
		const [name, handle] = await client.next();
		// The connection ends with the server; what had come before the end counts.
		if (name !== "JOB_CREATED") break;
		acknowledged.set(handle, `${prefix} ${i}`);
		if (acknowledged.size === stopAfter) stop();
	}
	return acknowledged;
}

/** Runs the jobs there are, up to `limit`: handle → workload. */
async function work(wire, limit = Number.POSITIVE_INFINITY) {
	const done = new Map();
	while (done.size < limit) {
		wire.send("GRAB_JOB");
		const [name, handle, , workload] = await wire.next();
		if (name !== "JOB_ASSIGN") break;
		wire.send("WORK_COMPLETE", handle, "");
		done.set(handle, workload);
	}
	return done;
}

const isKnown = async (wire, handle) => {
	wire.send("GET_STATUS", handle);
	return (await wire.next())[2] === "1";
};

for (const store of ["sqlite", "file"]) {
	test.serial(`${store}: killed while 10,000 jobs stream in, it has all it acknowledged when it is back`, async (t) => {
		const folder = temporaryFolder(t);
		const { next } = random(t, store.length);
		/** Acknowledged and not done; all handles there ever were. */
		let owed = new Map();
		const used = new Set();
		for (let round = 0; round <= ROUNDS; round++) {
			const { child, port } = await startProgramServer(t, args(store, folder));
			const [client, worker] = [await dial(t, port), await dial(t, port)];
			worker.send("CAN_DO", "f");
			await until(
				async () =>
					(await Promise.all([...owed.keys()].slice(-1).map((handle) => isKnown(client, handle)))).every(Boolean),
				"the replay",
			);
			const all = await work(worker, owed.size);
			// Jobs that were stored and not acknowledged any more may be among them.
			const left = await work(worker);
			const done = new Map([...all, ...left]);
			for (const [handle, workload] of owed) t.is(done.get(handle), workload, `round ${round}, ${handle}`);
			for (const handle of done.keys()) t.true(owed.has(handle) || !used.has(handle), `${handle} ran again`);
			await worker.settle();
			const at = 1 + next(SUBMITS - 1);
			owed = await submit(client, `round ${round}`, round < ROUNDS ? SUBMITS : 10, at, () => child.kill("SIGKILL"));
			for (const handle of owed.keys()) t.false(used.has(handle), `${handle} was given twice`);
			for (const handle of [...done.keys(), ...owed.keys()]) used.add(handle);
			if (round < ROUNDS) t.true(owed.size >= at && owed.size <= SUBMITS);
			child.kill("SIGKILL");
			await child;
		}
	});
}

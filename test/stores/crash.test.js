// The program killed with SIGKILL in the middle of everything: what was acknowledged runs after the restart, once.

import test from "ava";
import { startProgramServer, temporaryFolder } from "../helpers/program.js";
import { random } from "../helpers/random.js";
import { dial } from "../helpers/server.js";
import { services, startService } from "../helpers/services.js";
import { until } from "../helpers/until.js";

const SUBMITS = 10_000;
/** Fewer where each start waits some seconds for the lock of the server that was killed. */
const ROUNDS = { redis: 2, memcached: 2 };
const MOST_ROUNDS = 3;

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

/** Runs the jobs there are: handle → workload. With `stays` it waits for more, until the connection ends. */
async function work(wire, stays = false) {
	const done = new Map();
	for (;;) {
		wire.send("GRAB_JOB");
		const [name, handle, , workload] = await wire.next();
		if (name === "JOB_ASSIGN") {
			wire.send("WORK_COMPLETE", handle, "");
			done.set(handle, workload);
		} else if (stays && name === "NO_JOB") {
			wire.send("PRE_SLEEP");
			if ((await wire.next())[0] !== "NOOP") return done;
		} else return done;
	}
}

/** Where the jobs are that the last server had: they are back when the queue says it is ready. */
async function replayed(wire) {
	await until(async () => (await wire.list("queue info")).includes("state\tready"), "the replay");
}

/** Arguments of the server, the same each time. */
const places = {
	sqlite: (t) => [`--state-dir=${temporaryFolder(t)}`],
	file: (t) => [`--state-dir=${temporaryFolder(t)}`],
};
for (const [kind, { program }] of Object.entries(services)) {
	places[kind] =
		program &&
		(async (t) => Object.entries((await startService(kind, t)).options).map(([name, value]) => `--${name}=${value}`));
}

for (const [store, place] of Object.entries(places)) {
	(place === undefined ? test.serial.skip : test.serial)(
		`${store}: killed while 10,000 jobs stream in, the server has all it acknowledged when it is back`,
		async (t) => {
			const args = [`--queue-type=${store}`, "--job-handle-prefix=H:crash", ...(await place(t))];
			const { next } = random(t, store.length);
			/** Acknowledged and not done; done so late that the store may not know; all handles there ever were. */
			let owed = new Map();
			let late = new Map();
			const used = new Set();
			const rounds = ROUNDS[store] ?? MOST_ROUNDS;
			for (let round = 0; round <= rounds; round++) {
				const { child, port } = await startProgramServer(t, args);
				const [client, worker] = [await dial(t, port), await dial(t, port)];
				await replayed(client);
				worker.send("CAN_DO", "f");
				// Jobs that were stored and not acknowledged any more may be among them.
				const done = await work(worker);
				for (const [handle, workload] of owed) t.is(done.get(handle), workload, `round ${round}, ${handle}`);
				for (const handle of done.keys()) {
					t.true(owed.has(handle) || late.has(handle) || !used.has(handle), `${handle} ran again`);
				}
				await worker.settle();
				const isLast = round === rounds;
				const at = isLast ? 10 : 1 + next(SUBMITS - 1);
				// Jobs are done while others come in, every other time.
				const working = round % 2 === 1 ? work(worker, true) : undefined;
				const acknowledged = await submit(client, `round ${round}`, isLast ? 10 : SUBMITS, at, () =>
					child.kill("SIGKILL"),
				);
				await child;
				late = (await working) ?? new Map();
				t.true(acknowledged.size >= at);
				for (const handle of acknowledged.keys()) t.false(used.has(handle), `${handle} was given twice`);
				owed = new Map([...acknowledged].filter(([handle]) => !late.has(handle)));
				for (const handle of [...done.keys(), ...acknowledged.keys(), ...late.keys()]) used.add(handle);
			}
		},
	);
}

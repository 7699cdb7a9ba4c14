// What a durable queue costs and gives, beside C's gearmand with libsqlite3: SQLite, workloads of 100 bytes. `--jobs` is
// how many come back after a restart.
import { setTimeout as sleep } from "node:timers/promises";
import { Admin } from "../../dist/index.js";
import { loadStore } from "../../dist/server/stores/index.js";
import { freePort } from "../../test/helpers/free-port.js";
import { cpuUs, memory } from "./proc.js";
import { C, ours, startLoad, startServer, temporaryFolder, withLoad } from "./processes.js";

export const title = "Jobs on disk, 100 bytes";
export const rounds = (isQuick) => (isQuick ? 1 : 5);

export const rows = {
	submit: { title: "submits, 4 connections with 1000 in flight", unit: "jobs/s", better: "more" },
	sync: { title: "submits, one client that waits for each", unit: "jobs/s", better: "more" },
	drain: { title: "jobs done by 4 workers with 16 at once", unit: "jobs/s", better: "more" },
	idle: { title: "one foreground job at a time", unit: "p99, ms", better: "less" },
	busy: { title: "one foreground job at a time beside a flood of submits", unit: "p99, ms", better: "less" },
	ready: { title: "after a restart until all jobs are back", unit: "s", better: "less" },
	cpu: { title: "after a restart until all jobs are back", unit: "CPU, s", better: "less" },
	peak: { title: "after a restart until all jobs are back", unit: "most memory, MB", better: "less" },
};

const SIZE = 100;
const REPLAYED = 1_000_000;

/** `jobs` a round, and how many one client submits that waits for each: for ours enough to be warm after the first ones. */
const kinds = [
	{
		...{ name: "ours", jobs: 200_000, waits: 5000 },
		commandIn: (folder) => [ours, "--server", "--queue-type=sqlite", `--state-dir=${folder}`],
	},
	{
		...{ name: "C", jobs: 600, waits: 300 },
		commandIn: (folder) => C.gearmand && [C.gearmand, "--queue-type=libsqlite3", `--libsqlite3-db=${folder}/db`],
	},
].filter(({ commandIn }) => commandIn("") !== undefined);

export async function* measure({ rounds, isQuick, jobs = isQuick ? REPLAYED / 10 : REPLAYED }) {
	yield* withLoad(async function* (load) {
		for (let round = 0; round < rounds; round++) {
			for (const kind of kinds) {
				for (const figures of [queue, pings]) yield* withDisk(kind, (server) => figures(load, server, kind));
			}
		}
	});
	yield* withDisk(undefined, (folder) => replay(folder, jobs));
}

/** Runs `use` with a server of that kind on a folder of its own, or with the folder alone. */
async function* withDisk(kind, use) {
	const { folder, remove } = temporaryFolder();
	const server = kind && (await startServer({ name: kind.name, command: kind.commandIn(folder) }));
	try {
		yield* use(server ?? folder);
	} finally {
		await server?.stop();
		remove();
	}
}

async function* queue(load, { name, port }, { jobs, waits }) {
	const bare = { kind: "jobs", port, size: SIZE, isBackground: true, withUniques: true };
	const submit = (how) => load.ask({ ...bare, ...how });
	yield [name, "sync", (await submit({ clients: 1, jobs: waits, functionName: "waits" })).rate];
	yield [name, "submit", (await submit({ clients: 4, depth: 1000, jobs })).rate];
	const drained = await load.ask({ kind: "jobs", port, size: SIZE, workers: 4, grabs: 16, jobs });
	// The answer to a submit comes behind the commits of what was done before.
	const last = await submit({ clients: 1, jobs: 1, functionName: "last" });
	yield [name, "drain", drained.jobs / (drained.seconds + last.seconds)];
}

/** With nothing else to do, and beside a flood of durable submits, 4 connections with 100 in flight each. */
async function* pings(load, { name, port }) {
	const ping = async (seconds) => {
		const one = { kind: "jobs", port, functionName: "ping", clients: 1, workers: 1, latencies: true };
		return (await load.ask({ ...one, seconds })).p99 / 1000;
	};
	await ping(1);
	yield [name, "idle", await ping(2)];
	const flood = startLoad();
	try {
		const how = { kind: "jobs", port, size: SIZE, isBackground: true, withUniques: true, functionName: "flood" };
		const over = flood.ask({ ...how, clients: 4, depth: 100, seconds: 3 });
		await sleep(500);
		yield [name, "busy", await ping(2)];
		await over;
	} finally {
		await flood.stop();
	}
}

/** A queue of so many jobs on disk, then a server on it. */
async function* replay(folder, count) {
	const port = await freePort();
	const kept = await loadStore("sqlite", { port, options: { "state-dir": folder, "queue-sync": "normal" } });
	await kept.open();
	const workload = Buffer.alloc(SIZE, "x");
	for (let from = 0; from < count; from += 10_000) {
		const jobOf = (number) => ({
			...{ handle: `H:bench:${number}`, functionName: "f", unique: `u-${number}`, workload, priority: 1 },
			...{ dueMs: 0, reducer: undefined, retries: 0, submittedMs: Date.now() },
		});
		const some = Array.from({ length: Math.min(10_000, count - from) }, (_, n) => jobOf(from + n + 1));
		await kept.write(some.map((job) => ({ kind: "add", job })));
	}
	await kept.close();
	const startedMs = performance.now();
	const server = await startServer({ name: "ours", command: kinds[0].commandIn(folder) }, port);
	const admin = new Admin(`127.0.0.1:${port}`);
	try {
		for (let info; info?.state !== "ready"; await sleep(50)) {
			info = await admin.queueInfo();
			if (info.state === "ready" && info.jobs !== count) throw new Error(`${info.jobs} of ${count} jobs are back`);
		}
		yield ["ours", "ready", (performance.now() - startedMs) / 1000];
		yield ["ours", "cpu", cpuUs(server.pid) / 1e6];
		yield ["ours", "peak", memory(server.pid).peak / 1_048_576];
	} finally {
		admin.close();
		await server.stop();
	}
}

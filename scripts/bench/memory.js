// What waiting costs: memory for each queued job and each sleeping worker, over the empty server, and the longest pause
// while a long queue grows and once it is there; as long as it gets in 10 seconds (3 with --quick). A server of its own for
// each. Needs Linux.
import { maxOpenFiles, memory } from "./proc.js";
import { servers, startServer, withLoad } from "./processes.js";

export const title = "Waiting jobs and workers";
export const rounds = (isQuick) => (isQuick ? 1 : 3);

const QUEUED = "up to 1,000,000 background jobs of 64 bytes with unique keys";
export const rows = {
	queued: { title: QUEUED, unit: "bytes a job", better: "less" },
	rate: { title: `${QUEUED}, submitted by 4 clients with 64 each`, unit: "jobs/s", better: "more" },
	submits: { title: `${QUEUED}, submitted by 4 clients with 64 each`, unit: "longest wait, ms", better: "less" },
	ping: { title: `${QUEUED} waiting, one other job at a time`, unit: "longest wait, ms", better: "less" },
	idle: { title: "up to 10,000 sleeping workers", unit: "KB a worker", better: "less" },
};

const JOBS = 1_000_000;
const WORKERS = 10_000;
/** Threads make no difference to memory. */
const kinds = servers.filter(({ name }) => name !== "C -t 4");

async function* queued(load, server, seconds) {
	const before = memory(server.pid).now;
	const how = { kind: "jobs", port: server.port, functionName: "waiting" };
	const submits = await load.ask({
		...{ ...how, clients: 4, depth: 64, isBackground: true, withUniques: true },
		...{ jobs: JOBS, seconds, latencies: true },
	});
	yield [server.name, "queued", (memory(server.pid).now - before) / submits.all];
	yield [server.name, "rate", submits.rate];
	yield [server.name, "submits", submits.worst / 1000];
	const one = { kind: "jobs", port: server.port, functionName: "other", clients: 1, workers: 1 };
	const ping = await load.ask({ ...one, seconds: seconds / 4, latencies: true });
	yield [server.name, "ping", ping.worst / 1000];
}

async function* idle(load, server, workers) {
	const before = memory(server.pid).now;
	await load.ask({ kind: "sleepers", port: server.port, workers });
	yield [server.name, "idle", (memory(server.pid).now - before) / 1024 / workers];
	await load.ask({ kind: "release" });
}

export async function* measure({ rounds, isQuick }) {
	const seconds = isQuick ? 3 : 10;
	const workers = Math.min(isQuick ? WORKERS / 4 : WORKERS, maxOpenFiles() - 100);
	for (let round = 0; round < rounds; round++) {
		for (const kind of kinds) {
			for (const [figures, size] of [
				[queued, seconds],
				[idle, workers],
			]) {
				const server = await startServer(kind);
				try {
					yield* withLoad((load) => figures(load, server, size));
				} finally {
					await server.stop();
				}
			}
		}
	}
}

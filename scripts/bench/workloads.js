// Large workloads: megabytes a second there and back (each counted once), what CPU time of the server they take, the most
// memory it has for one of 100 MB, and what that does to a small job on its way beside it.

import { memory } from "./proc.js";
import { servers, startLoad, startServer, withLoad, withServers } from "./processes.js";

export const title = "Workloads, there and back";
export const rounds = (isQuick) => (isQuick ? 1 : 5);

const KB = 1024;
const MB = KB * KB;
const HUGE = 100 * MB;
const loads = {
	"1 KB": { size: KB, clients: 8, depth: 4, workers: 8 },
	"64 KB": { size: 64 * KB, clients: 4, depth: 2, workers: 4 },
	"1 MB": { size: MB, clients: 2, depth: 2, workers: 2 },
	"100 MB": { size: HUGE, clients: 1, depth: 1, workers: 1 },
};

export const rows = {};
for (const name of Object.keys(loads)) {
	rows[name] = { title: name, unit: "MB/s", better: "more" };
	rows[`${name}.cpu`] = { title: name, unit: "CPU of the server, µs a MB", better: "less" };
}
rows.memory = { title: "100 MB", unit: "most memory over the empty server, MB", better: "less" };
rows.beside = { title: "64 bytes, one at a time beside 100 MB", unit: "p99, ms", better: "less" };

export async function* measure({ rounds, isQuick }) {
	yield* withServers(servers, (started) =>
		withLoad(async function* (load) {
			for (let round = 0; round <= rounds; round++) {
				for (const [key, how] of Object.entries(loads)) {
					if (round === 0 && how.size === HUGE) continue;
					for (const { name, port, pid } of started) {
						const time = how.size === HUGE ? { jobs: isQuick ? 2 : 5, seconds: 10 } : { seconds: isQuick ? 0.3 : 2 };
						const asked = { kind: "jobs", port, pid, functionName: `size${how.size}`, ...how, ...time };
						const { rate, cpuUs } = await load.ask(asked);
						if (round === 0) continue;
						yield [name, key, (rate * how.size) / MB];
						yield [name, `${key}.cpu`, (cpuUs * MB) / how.size];
					}
				}
				if (round > 0) for (const kind of servers) yield* beside(load, kind);
			}
		}),
	);
}

/** A few of 100 MB with small ones beside them, on a server that has had nothing else. */
async function* beside(load, kind) {
	const server = await startServer(kind);
	const small = startLoad();
	try {
		const { port } = server;
		const empty = memory(server.pid).now;
		const one = { kind: "jobs", port, functionName: "small", clients: 1, workers: 1, latencies: true };
		const [figures] = await Promise.all([
			small.ask({ ...one, seconds: 1.5 }),
			load.ask({ kind: "jobs", port, ...loads["100 MB"], seconds: 1.5 }),
		]);
		yield [server.name, "memory", (memory(server.pid).peak - empty) / MB];
		yield [server.name, "beside", figures.p99 / 1000];
	} finally {
		await small.stop();
		await server.stop();
	}
}

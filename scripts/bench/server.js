// How many jobs a second the server passes on, what CPU time of its own a job takes, and how long one job alone is on its
// way. Each load is put on all servers in turns; they stay up, and have had one round that does not count.
import { servers, withLoad, withServers } from "./processes.js";

export const title = "Jobs through the server, 64 bytes";
export const rounds = (isQuick) => (isQuick ? 3 : 5);

/** Enough for the time there is. */
const QUEUED = 200_000;

const loads = {
	ping: { name: "one client, one worker, one job at a time", clients: 1, workers: 1, latencies: true },
	eight: { name: "8 clients with one job each, 8 workers", clients: 8, workers: 8 },
	pipelined: { name: "8 clients with 32 jobs each, 8 workers", clients: 8, depth: 32, workers: 8 },
	many: { name: "50 clients with 4 jobs each, 50 workers", clients: 50, depth: 4, workers: 50 },
	// What the one queues the other does.
	submit: {
		name: "4 clients with 64 background submits each",
		clients: 4,
		depth: 64,
		isBackground: true,
		isQueue: true,
	},
	drain: { name: "8 workers with a full queue", workers: 8, isQueue: true },
};

export const rows = {};
for (const [key, { name, latencies }] of Object.entries(loads)) {
	rows[`${key}.rate`] = { title: name, unit: "jobs/s", better: "more" };
	rows[`${key}.cpu`] = { title: name, unit: "CPU of the server, µs a job", better: "less" };
	if (latencies) rows[`${key}.p99`] = { title: name, unit: "p99, µs", better: "less" };
}

export async function* measure({ rounds, isQuick, jobs }) {
	yield* withServers(servers, (started) =>
		withLoad(async function* (load) {
			const seconds = isQuick ? 0.2 : 2;
			const queued = jobs ?? (isQuick ? QUEUED / 10 : QUEUED);
			for (let round = 0; round <= rounds; round++) {
				for (const [key, { name, isQueue, ...how }] of Object.entries(loads)) {
					for (const { name: subject, port, pid } of started) {
						// What a slow server leaves behind is nobody else's.
						const functionName = isQueue ? `queue-${round}` : "now";
						const time = isQueue ? { jobs: queued, seconds: 20 } : { jobs, seconds };
						const figures = await load.ask({ kind: "jobs", port, pid, functionName, ...time, ...how });
						if (round === 0) continue;
						yield [subject, `${key}.rate`, figures.rate];
						yield [subject, `${key}.cpu`, figures.cpuUs];
						if (how.latencies) yield [subject, `${key}.p99`, figures.p99];
					}
				}
			}
		}),
	);
}

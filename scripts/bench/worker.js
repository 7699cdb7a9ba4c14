// Jobs a second of `gearman -w -f x cat`, a process a job, and with --keep, one process for all: ours and C's, which has
// neither -j nor --keep. The same server, ours. Also the CPU time a job takes in the worker and its commands, which depends
// less on what else the machine does.
import { setTimeout as sleep } from "node:timers/promises";
import { Admin, Client } from "../../dist/index.js";
import { familyCpuUs } from "./proc.js";
import { C, ours, servers, startProgram, withServers } from "./processes.js";

export const title = "The worker, `-w -f x cat`, 100 bytes";
export const rounds = (isQuick) => (isQuick ? 1 : 5);

const WORKLOAD = Buffer.alloc(100, "x");
const KEPT_TIMES = 20;

const ways = {
	alone: { name: "one at a time", flags: [], isAlone: true },
	queue: { name: "a queue of jobs", flags: [] },
	four: { name: "a queue of jobs, `-j 4`", flags: ["-j", "4"] },
	kept: { name: "a queue of jobs, `--keep -n`", flags: ["--keep", "-n"], times: KEPT_TIMES },
	keptFour: { name: "a queue of jobs, `--keep -n -j 4`", flags: ["--keep", "-n", "-j", "4"], times: KEPT_TIMES },
};

export const rows = {};
for (const [key, { name }] of Object.entries(ways)) {
	rows[key] = { title: name, unit: "jobs/s", better: "more" };
	rows[`${key}.cpu`] = { title: name, unit: "CPU of worker and commands, ms a job", better: "less" };
}

export async function* measure({ rounds, isQuick }) {
	const jobs = isQuick ? 60 : 400;
	yield* withServers(servers.slice(0, 1), async function* ([{ port }]) {
		for (let round = 0; round < rounds; round++) {
			if (C.gearman !== undefined) {
				const alone = await work(port, C.gearman, ["--", "cat"], jobs, true);
				const queue = await work(port, C.gearman, ["--", "cat"], jobs, false);
				yield ["C", "alone", alone.rate];
				yield ["C", "alone.cpu", alone.cpuMs];
				for (const key of Object.keys(ways).filter((key) => key !== "alone")) {
					yield ["C", key, queue.rate];
					yield ["C", `${key}.cpu`, queue.cpuMs];
				}
			}
			for (const [key, { flags, isAlone, times = 1 }] of Object.entries(ways)) {
				const { rate, cpuMs } = await work(port, ours, [...flags, "cat"], jobs * times, isAlone);
				yield ["ours", key, rate];
				yield ["ours", `${key}.cpu`, cpuMs];
			}
		}
	});
}

/** What one worker makes of so many jobs, each submitted when the one before is done, or all of them queued before. */
async function work(port, program, command, jobs, isAlone) {
	const client = new Client(`127.0.0.1:${port}`);
	const admin = new Admin(`127.0.0.1:${port}`);
	const x = async () => (await admin.status()).find(({ functionName }) => functionName === "x");
	const worker = startProgram(program, ["-w", "-h", "127.0.0.1", "-p", `${port}`, "-f", "x", ...command]);
	try {
		for (let i = 0; i < 20; i++) await client.submit("x", WORKLOAD);
		const before = familyCpuUs(worker.pid);
		if (!isAlone) await Promise.all(Array.from({ length: jobs }, () => client.background("x", WORKLOAD)));
		const startedMs = performance.now();
		const first = isAlone ? jobs : (await x()).total;
		if (isAlone) for (let i = 0; i < jobs; i++) await client.submit("x", WORKLOAD);
		else while ((await x()).total > 0) await sleep(2);
		const seconds = (performance.now() - startedMs) / 1000;
		return { rate: first / seconds, cpuMs: (familyCpuUs(worker.pid) - before) / 1000 / jobs };
	} finally {
		client.close();
		admin.close();
		await worker.stop();
	}
}

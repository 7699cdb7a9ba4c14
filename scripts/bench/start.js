// How long the program takes to start: in turns, and the difference to Node doing nothing, each round's own. The worker
// answers at once: one that starts a process for each job would add the time that takes.

import { Admin, Worker } from "../../dist/index.js";
import { C, ours, servers, timeProgram, withServers } from "./processes.js";

export const title = "Start";
export const rounds = (isQuick) => (isQuick ? 3 : 20);

export const rows = {
	node: { title: "`node -e 0`", unit: "ms", better: "less" },
	help: { title: "`gearman -H`", unit: "ms", better: "less" },
	job: { title: "`gearman -s -f x`, one job", unit: "ms", better: "less" },
	long: { title: "`gearman --no-input --function x`, one job", unit: "ms", better: "less" },
	jobOverNode: { title: "`gearman -s -f x`, one job", unit: "ms over Node alone", better: "less" },
	admin: { title: "`gearadmin --getpid`", unit: "ms", better: "less" },
};

export async function* measure({ rounds }) {
	yield* withServers(servers.slice(0, 1), async function* ([{ port }]) {
		const there = ["-h", "127.0.0.1", "-p", `${port}`];
		const worker = new Worker(`127.0.0.1:${port}`).add("x", () => "");
		const ended = worker.run();
		await registered(port);
		const runs = [
			["ours", "node", process.execPath, "-e", "0"],
			["ours", "help", ours, "-H"],
			["ours", "job", ours, ...there, "-s", "-f", "x"],
			["C", "job", C.gearman, ...there, "-s", "-f", "x"],
			["ours", "long", ours, ...there, "--no-input", "--function", "x"],
			["ours", "admin", ours, ...there, "--getpid"],
		].filter(([, , program]) => program !== undefined);
		for (let round = 0; round <= rounds; round++) {
			let nodeMs = 0;
			for (const [subject, key, program, ...args] of runs) {
				const ms = 1000 * (await timeProgram(program, args));
				if (round === 0) continue;
				yield [subject, key, ms];
				if (key === "node") nodeMs = ms;
				if (key === "job" && subject === "ours") yield [subject, "jobOverNode", ms - nodeMs];
			}
		}
		await worker.stop();
		await ended;
	});
}

/** Resolves when the worker is there. */
async function registered(port) {
	const admin = new Admin(`127.0.0.1:${port}`);
	while (!(await admin.status()).some(({ workers }) => workers === 1))
		await new Promise((done) => setTimeout(done, 20));
	admin.close();
}

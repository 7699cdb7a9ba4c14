#!/usr/bin/env node
// Jobs a second of `gearman -w -f x cat`, ours and C's, against the same server of ours: interleaved rounds, so that a slow
// spell of the machine falls on all alike. Also the CPU time a job takes in the worker and its commands, which depends less
// on what else the machine does. --rounds=N (5), --jobs=N a round (400; 20 times that with --keep), --json.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Admin, Client, Server } from "../../dist/index.js";

const { values } = parseArgs({
	options: {
		rounds: { type: "string", default: "5" },
		jobs: { type: "string", default: "400" },
		json: { type: "boolean", default: false },
	},
});
const ours = fileURLToPath(new URL("../../bin/gearman", import.meta.url));
const c = "/usr/bin/gearman";
const jobs = Number(values.jobs);
const KEPT_TIMES = 20;
/** Clock ticks of /proc/PID/stat a second. */
const TICKS = 100;
const WORKLOAD = Buffer.alloc(100, "x");

/** [name, worker's command line, jobs a round] */
const workers = [
	["C, cat", [c, "--", "cat"], jobs],
	["ours, cat", [ours, "cat"], jobs],
	["ours, -j 4 cat", [ours, "-j", "4", "cat"], jobs],
	["ours, --keep -n cat", [ours, "--keep", "-n", "cat"], jobs * KEPT_TIMES],
	["ours, --keep -n -j 4 cat", [ours, "--keep", "-n", "-j", "4", "cat"], jobs * KEPT_TIMES],
].filter(([, [program]]) => existsSync(program));

const server = new Server({ listen: ["127.0.0.1"], port: 0 });
await server.start();
const client = new Client(`127.0.0.1:${server.port}`);
const admin = new Admin(`127.0.0.1:${server.port}`);
const figures = workers.map(() => ({ alone: [], queued: [], cpu: [] }));
for (let round = 0; round < Number(values.rounds); round++) {
	for (const [at, [, [program, ...command], count]] of workers.entries()) {
		const own = ["-w", "-h", "127.0.0.1", "-p", `${server.port}`, "-f", "x"];
		const worker = spawn(program, [...own, ...command], { stdio: ["ignore", "inherit", "inherit"] });
		await registered(1);
		await run(20, 1);
		const before = cpuMs(worker.pid);
		figures[at].alone.push(await run(count / 2, 1));
		figures[at].queued.push(await drain(count));
		figures[at].cpu.push((cpuMs(worker.pid) - before) / (count * 1.5));
		worker.kill();
		await once(worker, "exit");
		await registered(0);
	}
}
client.close();
admin.close();
await server.stop();

const median = (list) => list.toSorted((one, other) => one - other)[Math.floor(list.length / 2)];
const rows = workers.map(([name], at) => ({
	name,
	alone: Math.round(median(figures[at].alone)),
	queued: Math.round(median(figures[at].queued)),
	cpuMs: Number(median(figures[at].cpu).toFixed(3)),
}));
if (values.json) console.log(JSON.stringify({ node: process.version, cores: availableParallelism(), rows }));
else {
	console.log(`Node ${process.version}, ${availableParallelism()} cores, median of ${values.rounds} rounds\n`);
	console.log("| worker | jobs/s, one at a time | jobs/s of a queue | CPU ms a job |\n| --- | ---: | ---: | ---: |");
	for (const row of rows) console.log(`| ${row.name} | ${row.alone} | ${row.queued} | ${row.cpuMs} |`);
}

/** Runs jobs, so many at a time; how many a second. */
async function run(count, atOnce) {
	let left = count;
	const start = performance.now();
	const loop = async () => {
		while (left-- > 0) await client.submit("x", WORKLOAD);
	};
	await Promise.all(Array.from({ length: atOnce }, loop));
	return (count / (performance.now() - start)) * 1000;
}

/** Lets it do a queue of background jobs, with no client in its way; how many a second. */
async function drain(count) {
	const submitted = Array.from({ length: count }, () => client.background("x", WORKLOAD));
	await Promise.all(submitted);
	const start = performance.now();
	const first = server.jobs.size;
	while (server.jobs.size > 0) await new Promise((resolve) => setTimeout(resolve, 2));
	return (first / (performance.now() - start)) * 1000;
}

async function registered(wanted) {
	for (;;) {
		const row = (await admin.status()).find(({ functionName }) => functionName === "x");
		if ((row?.workers ?? 0) === wanted) return;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

/** Of the process and its children: those it has waited for, and those that live. */
function cpuMs(pid) {
	const ticks = (id) => {
		try {
			const fields = readFileSync(`/proc/${id}/stat`, "latin1").split(") ")[1].split(" ");
			return fields.slice(11, 15).reduce((sum, text) => sum + Number(text), 0);
		} catch {
			return 0;
		}
	};
	let children = [];
	try {
		children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean);
	} catch {
		// Not Linux.
	}
	return ([pid, ...children].reduce((sum, id) => sum + ticks(id), 0) * 1000) / TICKS;
}

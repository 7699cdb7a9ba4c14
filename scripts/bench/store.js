#!/usr/bin/env node
// What a durable queue costs and gives, beside C's gearmand with libsqlite3 where it is installed: interleaved runs, so
// that a slow spell of the machine falls on all alike; medians. A Markdown table, or --json.
//
//   node scripts/bench/store.js [submit] [sync] [drain] [ping] [replay] [huge] [--rounds=5] [--store=sqlite] [--json]
//
// Without names all but `huge` are measured: that one keeps 5,000,000 jobs and takes minutes.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { Admin } from "../../dist/index.js";
import { loadStore } from "../../dist/server/stores/index.js";

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		rounds: { type: "string", default: "5" },
		store: { type: "string", default: "sqlite" },
		json: { type: "boolean", default: false },
	},
});
const rounds = Number(values.rounds);
const { store } = values;
const gearman = fileURLToPath(new URL("../../bin/gearman", import.meta.url));
const C = ["/usr/sbin/gearmand", "gearmand"].find((program) => spawnSync(program, ["--version"]).status === 0);
const SIZE = 100;
/** A second in /proc. */
const CLOCK_TICKS = 100;

const servers = { ours: (folder) => [gearman, ["--server", `--queue-type=${store}`, `--state-dir=${folder}`]] };
if (C !== undefined) servers.C = (folder) => [C, ["--queue-type=libsqlite3", `--libsqlite3-db=${folder}/db`]];

async function freePort() {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address();
	server.close();
	await once(server, "close");
	return port;
}

/** Runs `use` with a server of that name. */
async function withServer(name, use, folder = mkdtempSync(join(tmpdir(), "gearman-bench-")), port = undefined) {
	const at = port ?? (await freePort());
	const [program, args] = servers[name](folder);
	const child = spawn(program, [...args, "--listen=127.0.0.1", `--port=${at}`, "--log-file=none"], {
		stdio: "inherit",
	});
	try {
		return await use(at, child.pid);
	} finally {
		child.kill("SIGKILL");
		if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
		rmSync(folder, { recursive: true, force: true });
	}
}

/** What load.js does, in a thread of its own. */
async function load(workerData) {
	const thread = new Worker(new URL("./load.js", import.meta.url), { workerData });
	const [answer] = await once(thread, "message");
	await thread.terminate();
	return answer;
}

const rate = ({ count, seconds }) => count / seconds;
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
/** Jobs a round: about as long for both. */
const COUNT = { ours: 100_000, C: 600 };

async function submits(name, connections, inFlight, share = 1) {
	return withServer(name, async (port) =>
		rate(await load({ kind: "submit", port, connections, inFlight, count: COUNT[name] * share, size: SIZE })),
	);
}

async function drains(name) {
	return withServer(name, async (port) => {
		const load4 = { port, connections: 4, count: COUNT[name], size: SIZE };
		await load({ ...load4, kind: "submit", inFlight: 1000 });
		return rate(await load({ ...load4, kind: "drain", inFlight: 16 }));
	});
}

/** p99 with nothing else to do, and beside a flood of durable submits, 4 connections with 100 in flight each. */
async function pings(name) {
	return withServer(name, async (port) => {
		const p99 = async (count) => {
			const { latencies } = await load({ kind: "pingPong", port, count });
			return latencies[Math.floor(latencies.length * 0.99)];
		};
		await p99(2000);
		const idle = await p99(5000);
		let isOver = false;
		const flood = (async () => {
			for (let part = 0; !isOver; part++) {
				const work = { kind: "submit", port, connections: 4, inFlight: 100, size: SIZE };
				await load({ ...work, count: name === "C" ? 1000 : 50_000, functionName: `flood${part}` });
			}
		})();
		await sleep(300);
		const busy = await p99(name === "C" ? 500 : 3000);
		isOver = true;
		await flood;
		return { idle, busy };
	});
}

/** A queue of so many jobs on disk, then a server on it: seconds until all are back, and the most memory it had. (Linux) */
async function replay(count) {
	const folder = mkdtempSync(join(tmpdir(), "gearman-bench-"));
	const port = await freePort();
	const kept = await loadStore(store, { port, options: { "state-dir": folder, "queue-sync": "normal" } });
	await kept.open();
	const workload = Buffer.alloc(SIZE, "x");
	for (let i = 0; i < count; i += 10_000) {
		const jobOf = (number) => ({
			...{ handle: `H:bench:${number}`, functionName: "f", unique: `u-${number}`, workload, priority: 1 },
			...{ dueMs: 0, reducer: undefined, retries: 0, submittedMs: Date.now() },
		});
		await kept.write(Array.from({ length: 10_000 }, (_, n) => ({ kind: "add", job: jobOf(i + n + 1) })));
	}
	await kept.close();
	const startedMs = performance.now();
	const run = async (_, pid) => {
		const admin = new Admin(`127.0.0.1:${port}`);
		let portMs;
		for (;;) {
			const info = await admin.queueInfo().catch(() => undefined);
			if (info !== undefined) portMs ??= performance.now() - startedMs;
			if (info?.state === "ready") {
				if (info.jobs !== count) throw new Error(`${info.jobs} of ${count} jobs are back`);
				break;
			}
			await sleep(50);
		}
		admin.close();
		const megabytes = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
		const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ").slice(11, 13);
		const cpuSeconds = (Number(user) + Number(system)) / CLOCK_TICKS;
		return { seconds: (performance.now() - startedMs) / 1000, portSeconds: portMs / 1000, cpuSeconds, megabytes };
	};
	return withServer("ours", run, folder, port);
}

/** One figure of each server, in turns: name → median; and the median of the ratios, a pair a turn. */
async function compare(measure) {
	const all = Object.fromEntries(Object.keys(servers).map((name) => [name, []]));
	for (let round = 0; round < rounds; round++) {
		for (const name of Object.keys(servers)) all[name].push(await measure(name));
	}
	const medians = Object.fromEntries(Object.entries(all).map(([name, numbers]) => [name, median(numbers)]));
	const ratio = all.C && median(all.ours.map((ours, round) => ours / all.C[round]));
	return { ...medians, ratio };
}

const whole = (number) => Math.round(number).toLocaleString("en");
const perSecond = ({ ours, C: other, ratio }) => ({
	ours: `${whole(ours)}/s`,
	C: other && `${whole(other)}/s`,
	ratio: ratio && `${ratio.toFixed(1)} ×`,
});
const back = ({ seconds, portSeconds, cpuSeconds, megabytes }) => ({
	ours: `${seconds.toFixed(1)} s (${cpuSeconds.toFixed(1)} s of CPU), the port after ${portSeconds.toFixed(1)} s; ${whole(megabytes)} MB at most`,
});

/** Name → what it is, and how it is measured: { ours, C, ratio } as texts. */
const measures = {
	submit: [
		"Submits, 4 connections with 1000 in flight",
		async () => perSecond(await compare((name) => submits(name, 4, 1000))),
	],
	sync: [
		"Submits, one client that waits for each",
		async () => perSecond(await compare((name) => submits(name, 1, 1, name === "C" ? 0.5 : 0.01))),
	],
	drain: ["Jobs done by 4 workers with 16 at once", async () => perSecond(await compare(drains))],
	ping: [
		"Foreground ping-pong p99, idle → beside a flood of submits",
		async () => {
			const pairs = [];
			for (let round = 0; round < rounds; round++) pairs.push(await pings("ours"));
			const of = (key) => median(pairs.map((pair) => pair[key]));
			const ratio = median(pairs.map(({ idle, busy }) => busy / idle));
			return { ours: `${whole(of("idle"))} µs → ${whole(of("busy"))} µs`, ratio: `${ratio.toFixed(1)} × idle` };
		},
	],
	replay: ["1,000,000 jobs back after a restart", async () => back(await replay(1_000_000))],
	huge: ["5,000,000 jobs back after a restart", async () => back(await replay(5_000_000))],
};

const names = positionals.length > 0 ? positionals : Object.keys(measures).filter((name) => name !== "huge");
const unknown = names.find((name) => !Object.hasOwn(measures, name));
if (unknown !== undefined) {
	console.error(`no such measure: ${unknown}; there are ${Object.keys(measures).join(", ")}`);
	process.exit(1);
}
const results = {};
if (!values.json) {
	console.log(
		`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${store}, workloads of ${SIZE} bytes\n`,
	);
	console.log("| | ours | C gearmand, libsqlite3 | |\n|---|--:|--:|--:|");
}
for (const name of names) {
	const [title, measure] = measures[name];
	const { ours, C: other = "", ratio = "" } = await measure();
	results[name] = { title, ours, C: other, ratio };
	if (!values.json) console.log(`| ${title} | ${ours} | ${other} | ${ratio} |`);
}
if (values.json) console.log(JSON.stringify(results));

#!/usr/bin/env node
// How long the program takes to start: interleaved runs, so that a slow spell of the machine falls on all of them alike,
// and the difference to Node doing nothing. --rounds=N (20), --json.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
	options: { rounds: { type: "string", default: "20" }, json: { type: "boolean", default: false } },
});
const gearman = fileURLToPath(new URL("../../bin/gearman", import.meta.url));
const there = ["-h", "127.0.0.1", "-p"];
// Nothing listens there: the client gets as far as it can without waiting for anybody.
const NOBODY = "1";

const server = spawn(
	gearman,
	["--server", "-p", "0", "-L", "127.0.0.1", "-q", "builtin", "--verbose", "INFO", "-l", "stderr"],
	{
		stdio: ["ignore", "ignore", "pipe"],
	},
);
const port = await said(server, /Listening on 127\.0\.0\.1:(\d+)/);
const worker = spawn(gearman, ["-w", "-v", ...there, port, "-f", "x"], { stdio: ["ignore", "ignore", "pipe"] });
await said(worker, /connected/);

const runs = [
	["node -e 0", [process.execPath, "-e", "0"]],
	["gearman -H", [gearman, "-H"]],
	["gearman -sf x (no server)", [gearman, ...there, NOBODY, "-sf", "x"]],
	["gearman -sf x (one job)", [gearman, ...there, port, "-sf", "x"]],
	["gearman --function x (one job)", [gearman, ...there, port, "--no-input", "--function", "x"]],
	["gearadmin --getpid", [gearman, ...there, port, "--getpid"]],
];
const times = runs.map(() => []);
for (let round = 0; round < Number(values.rounds); round++) {
	for (const [at, [, [command, ...argv]]] of runs.entries()) {
		const start = performance.now();
		await once(spawn(command, argv, { stdio: "ignore" }), "exit");
		times[at].push(performance.now() - start);
	}
}
worker.kill();
server.kill();

const median = (list) => list.toSorted((one, other) => one - other)[Math.floor(list.length / 2)];
const round = (ms) => Math.round(ms * 10) / 10;
const rows = runs.map(([name], at) => ({
	name,
	median: round(median(times[at])),
	min: round(Math.min(...times[at])),
	// Of each round's own difference: neighbours in time meet the same machine.
	overNode: round(median(times[at].map((ms, turn) => ms - times[0][turn]))),
	minOverNode: round(Math.min(...times[at]) - Math.min(...times[0])),
}));
if (values.json) console.log(JSON.stringify(rows));
else {
	const line = (cells) => cells.map((cell, at) => (at === 0 ? cell.padEnd(32) : String(cell).padStart(16))).join("");
	console.log(line(["ms", "median", "min", "median over node", "min over node"]));
	for (const row of rows) console.log(line(Object.values(row)));
}

/** The first group of the pattern once the process has said it on stderr, which goes on flowing. */
function said(child, pattern) {
	let text = "";
	return new Promise((resolve, reject) => {
		child.stderr.on("data", (chunk) => {
			text += chunk;
			const match = pattern.exec(text);
			if (match !== null) resolve(match[1]);
		});
		child.once("exit", () => reject(new Error(`ended without ${pattern}: ${text}`)));
	});
}

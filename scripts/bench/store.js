#!/usr/bin/env node
// Background submits per second by store, over real connections: SUBMIT_JOB_BG answered with JOB_CREATED, so many in
// flight at once. Prints a Markdown table. node scripts/bench/store.js [--quick]
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeRequest } from "../../dist/protocol/packet.js";

const isQuick = process.argv.includes("--quick");
const SECONDS = isQuick ? 1 : 5;
const CONNECTIONS = 4;
const WORKLOAD = Buffer.alloc(100, "x");
const IN_FLIGHT = [1, 100, 1000];
const gearman = fileURLToPath(new URL("../../bin/gearman", import.meta.url));
const cServer = "/usr/sbin/gearmand";

const ours = (...args) => [process.execPath, [gearman, "--server", ...args]];
const servers = {
	builtin: () => ours("--queue-type=builtin"),
	sqlite: (folder) => ours("--queue-type=sqlite", `--state-dir=${folder}`),
	"sqlite, --queue-sync=normal": (folder) =>
		ours("--queue-type=sqlite", `--state-dir=${folder}`, "--queue-sync=normal"),
	file: (folder) => ours("--queue-type=file", `--state-dir=${folder}`),
};
if (spawnSync(cServer, ["--version"]).status === 0) {
	servers["C gearmand, builtin"] = () => [cServer, ["--queue-type=builtin"]];
	servers["C gearmand, libsqlite3"] = (folder) => [
		cServer,
		["--queue-type=libsqlite3", `--libsqlite3-db=${folder}/db`],
	];
}

async function freePort() {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const { port } = server.address();
	server.close();
	await once(server, "close");
	return port;
}

async function dial(port) {
	for (let attempt = 0; ; attempt++) {
		const socket = connect(port, "127.0.0.1");
		try {
			await once(socket, "connect");
			return socket;
		} catch (error) {
			if (attempt === 100) throw error;
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}
}

/** Keeps `inFlight` submits on their way until the time is over; resolves to the number answered. */
function load(socket, inFlight, endMs) {
	return new Promise((resolve, reject) => {
		let sent = 0;
		let answered = 0;
		let kept = Buffer.alloc(0);
		const submit = (count) => {
			const packets = [];
			// Uniques of their own: C's table has one row for each.
			for (let i = 0; i < count; i++) {
				packets.push(encodeRequest("SUBMIT_JOB_BG", ["f", `${socket.localPort}-${sent++}`, WORKLOAD]));
			}
			socket.write(Buffer.concat(packets));
		};
		socket.on("error", reject);
		socket.on("data", (bytes) => {
			let buffer = kept.length === 0 ? bytes : Buffer.concat([kept, bytes]);
			let count = 0;
			while (buffer.length >= 12 && buffer.length >= 12 + buffer.readUInt32BE(8)) {
				if (buffer.readUInt32BE(4) !== 8) return reject(new Error(`refused: ${buffer.toString("latin1")}`));
				buffer = buffer.subarray(12 + buffer.readUInt32BE(8));
				count++;
			}
			kept = buffer;
			answered += count;
			if (Date.now() < endMs) submit(count);
			else if (answered === sent) resolve(answered);
		});
		submit(inFlight);
	});
}

async function measure(command, inFlight) {
	const folder = mkdtempSync(join(tmpdir(), "gearman-bench-"));
	const port = await freePort();
	const [program, args] = command(folder);
	const child = spawn(program, [...args, "--listen=127.0.0.1", `--port=${port}`, "--log-file=none"], {
		stdio: "inherit",
	});
	try {
		const count = inFlight === 1 ? 1 : CONNECTIONS;
		const sockets = await Promise.all(Array.from({ length: count }, () => dial(port)));
		const start = Date.now();
		const loads = sockets.map((socket) => load(socket, inFlight / count, start + SECONDS * 1000));
		const answered = (await Promise.all(loads)).reduce((sum, n) => sum + n, 0);
		const seconds = (Date.now() - start) / 1000;
		for (const socket of sockets) socket.destroy();
		return Math.round(answered / seconds);
	} finally {
		child.kill("SIGKILL");
		await once(child, "exit");
		rmSync(folder, { recursive: true, force: true });
	}
}

console.log(`| Store | ${IN_FLIGHT.map((n) => `${n} in flight`).join(" | ")} |`);
console.log(`|---|${"--:|".repeat(IN_FLIGHT.length)}`);
for (const [name, command] of Object.entries(servers)) {
	const rates = [];
	for (const inFlight of IN_FLIGHT) rates.push((await measure(command, inFlight)).toLocaleString("en"));
	console.log(`| ${name} | ${rates.join(" | ")} |`);
}

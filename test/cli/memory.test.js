// What the client needs for an input that does not end: as much as for its first few megabytes.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import ava from "ava";
import { Worker } from "../../dist/index.js";
import { start } from "../helpers/program.js";
import { startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const test = process.platform === "linux" ? ava.serial : ava.serial.skip;

const MIB = 1024 * 1024;
const INPUT_BYTES = 300 * MIB;
const LINE_BYTES = MIB / 4;
const JOB_MS = 4;
/** Bare node takes 45 MiB of it; the client was seen to take 84 to 90 in all. */
const MOST_BYTES = 160 * MIB;
/** Waits for the rest of its piece. */
const OPEN_BYTES = MIB;

for (const [what, args] of [
	["--split-bytes 1M -j 2", ["--split-bytes", "1M", "-j", "2"]],
	["-n", ["-n"]],
]) {
	test(`gearman ${what}: 300 MB have passed and its memory has stayed small (needs Linux)`, async (t) => {
		const { port } = await startServer(t);
		// Slower than the input comes, which has to wait for it.
		const worker = new Worker(`127.0.0.1:${port}`, { concurrency: 2 }).add("echo", async (job) => {
			await setTimeout(JOB_MS);
			return job.workload;
		});
		const running = worker.run();
		t.teardown(async () => {
			await worker.stop();
			await running;
		});
		const child = start(t, ["-h", "127.0.0.1", "-p", `${port}`, "-f", "echo", ...args], { buffer: false });
		let received = 0;
		child.stdout.on("data", (chunk) => {
			received += chunk.length;
		});

		const lines = Buffer.from(`${"x".repeat(LINE_BYTES - 1)}\n`.repeat(MIB / LINE_BYTES));
		for (let sent = 0; sent < INPUT_BYTES; sent += lines.length) {
			if (!child.stdin.write(lines)) await once(child.stdin, "drain");
		}
		await until(() => received >= INPUT_BYTES - OPEN_BYTES, "the results");
		const status = readFileSync(`/proc/${child.pid}/status`, "latin1");
		const peakBytes = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
		t.true(peakBytes < MOST_BYTES, `${Math.round(peakBytes / MIB)} MiB`);

		child.stdin.end();
		const { exitCode } = await child;
		t.deepEqual([exitCode, received], [0, INPUT_BYTES]);
	});
}

// What people at a terminal see. util-linux' script(1) lends the programs one.

import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ava from "ava";
import { linkAs, program, said, start, temporaryFolder } from "../helpers/program.js";
import { startWorker } from "../helpers/scripted-worker.js";
import { dial, startServer } from "../helpers/server.js";

const test = hasScript() ? ava.serial : ava.serial.skip;

function hasScript() {
	try {
		return execFileSync("script", ["--version"], { encoding: "utf8" }).includes("util-linux");
	} catch {
		return false;
	}
}

/** All that the command writes to its terminal, and its exit code. */
async function onTerminal(t, command) {
	const { stdout, exitCode } = await start(t, ["-qec", command, "/dev/null"], { command: "script", stdin: "ignore" });
	return { screen: stdout.replaceAll("\r\n", "\n"), exitCode };
}

test("a job's progress is a bar, and gone when the result is there", async (t) => {
	const { port } = await startServer(t);
	const reports = [
		["WORK_STATUS", "1", "2"],
		["WORK_STATUS", "-5", "3"],
		["WORK_COMPLETE", "done\n"],
	];
	await startWorker(t, port, { f: () => reports });
	const { screen, exitCode } = await onTerminal(t, `${program} -h 127.0.0.1 -p ${port} -s -f f`);
	t.is(exitCode, 0);
	t.false(screen.includes("Complete"));
	const half = "█".repeat(15) + "░".repeat(15);
	t.is(screen, `\r${half}  50% f\x1b[K\r${"░".repeat(30)}   0% f\x1b[K\r\x1b[Kdone\n`);
});

test("a map shows a bar that fits the terminal, and is gone at the end", async (t) => {
	const { port } = await startServer(t);
	let isOpen;
	const opened = new Promise((resolve) => {
		isOpen = resolve;
	});
	let pieces = 0;
	await startWorker(t, port, {
		f: async () => {
			// The second piece is not done before the bar was seen.
			if (++pieces === 2) await opened;
			return pieces === 3 ? [["WORK_FAIL"]] : [["WORK_COMPLETE", "done\n"]];
		},
	});
	const folder = temporaryFolder(t);
	await writeFile(join(folder, "input"), "x\n".repeat(30));
	const columns = 60;
	const map = `${program} -h 127.0.0.1 -p ${port} -f f --split 10 --keep-going < input > output`;
	const child = start(t, ["-qec", `stty cols ${columns}; ${map}`, "/dev/null"], {
		command: "script",
		stdin: "ignore",
		cwd: folder,
	});
	await said(child.stdout, /33% 20 B of 60 B, 2 running, 0:\d\d left/);
	isOpen();
	const { stdout, exitCode } = await child;
	t.is(exitCode, 1);
	t.is(await readFile(join(folder, "output"), "utf8"), "done\ndone\n");
	const lines = stdout.split(/\r|\n/).map((line) => line.replaceAll("\x1b[K", ""));
	t.true(
		lines.every((line) => line.length < columns || line.startsWith("gearman:")),
		stdout,
	);
	// Nothing of the bar is left in front of what is said, nor at the end.
	t.true(stdout.includes("\r\x1b[Kgearman: piece 3 of f (bytes 40-59) failed: its worker gave no reason\r\n"), stdout);
	t.true(stdout.endsWith("\x1b[K") || stdout.endsWith("\n"), stdout);
});

test("lists are tables with headings", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	peer.send("SET_CLIENT_ID", "my worker");
	for (const name of ["f", "a_longer_name"]) peer.send("CAN_DO", name);
	peer.send("SUBMIT_JOB_BG", "f", "", "");
	await peer.settle();
	const gearadmin = linkAs(t, "gearadmin");
	const ask = async (option) =>
		(await onTerminal(t, `${gearadmin} -h 127.0.0.1 -p ${port} ${option}`)).screen.split("\n");
	const status = await ask("--status");
	t.is(status[0], "FUNCTION       TOTAL  RUNNING  WORKERS");
	t.true(status.includes("f                  1        0        1"), status.join("\n"));
	t.true(status.includes("a_longer_name      0        0        1"), status.join("\n"));
	t.is(status.at(-1), "");
	t.is(status.length, 4);
	const workers = await ask("--workers");
	t.regex(workers[0], /^FD +ADDRESS +ID +FUNCTIONS$/);
	t.true(
		workers.some((line) => /^\d+ +127\.0\.0\.1 +my worker +a_longer_name f$/.test(line)),
		workers.join("\n"),
	);
	t.deepEqual(await ask("--show-unique-jobs"), ["", ".", ""]);
});

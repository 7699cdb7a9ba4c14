// What people at a terminal see. util-linux' script(1) lends the programs one.

import { execFileSync } from "node:child_process";
import ava from "ava";
import { linkAs, program, start } from "../helpers/program.js";
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
		["WORK_STATUS", "0", "0"],
		["WORK_COMPLETE", "done\n"],
	];
	await startWorker(t, port, { f: () => reports });
	const { screen, exitCode } = await onTerminal(t, `${program} -h 127.0.0.1 -p ${port} -s -f f`);
	t.is(exitCode, 0);
	t.false(screen.includes("Complete"));
	const half = "█".repeat(15) + "░".repeat(15);
	t.is(screen, `\r${half}  50% f\x1b[K\r${"░".repeat(30)}   0% f\x1b[K\r\x1b[Kdone\n`);
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

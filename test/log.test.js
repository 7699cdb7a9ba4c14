// The server's log in both formats, as whoever reads the file or stderr gets it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { Log } from "../dist/log.js";
import { startProgramServer, temporaryFolder } from "./helpers/program.js";
import { dial, startServer } from "./helpers/server.js";
import { until } from "./helpers/until.js";

/** A server that logs all it can to a file. */
async function logged(t, format, options = {}) {
	const path = join(temporaryFolder(t), "log");
	const log = new Log("DEBUG", path, undefined, format);
	const { port } = await startServer(t, { log, ...options });
	const lines = () => {
		log.flush();
		return readFileSync(path, "utf8").split("\n").slice(0, -1);
	};
	return { port, lines };
}

test("a log in JSON is one object a line, with what it is about in fields", async (t) => {
	const { port, lines } = await logged(t, "json", { jobRetries: 1 });
	const peer = await dial(t, port);
	peer.send("CAN_DO", Buffer.from("größe"));
	peer.send("SUBMIT_JOB_BG", Buffer.from("größe"), 'a "key"', "very secret workload");
	const [, handle] = await peer.next();
	peer.send("GRAB_JOB");
	await peer.next();
	peer.send("WORK_DATA", handle, "very secret data");
	peer.send("WORK_COMPLETE", "H:none:7", "very secret result");
	await peer.next();
	await peer.close();
	const rows = await until(() => {
		const rows = lines().map((line) => JSON.parse(line));
		return rows.some(({ message }) => message.startsWith("Disconnected")) && rows;
	});
	for (const { time, level, message } of rows) {
		t.regex(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
		t.true(["notice", "info", "debug", "warning"].includes(level));
		t.is(typeof message, "string");
	}
	const accepted = rows.find(({ message }) => message.startsWith("accepted,"));
	const fields = { job: handle, function: "größe", unique: 'a "key"' };
	t.like(accepted, { level: "notice", message: 'accepted,größe,a "key",0', ...fields });
	t.regex(accepted.peer, /^127\.0\.0\.1:\d+$/);
	t.like(
		rows.find(({ message }) => message.startsWith("Dropped job")),
		{ level: "notice", ...fields },
	);
	t.is(rows.find(({ message }) => /JOB_NOT_FOUND/.test(message)).peer, accepted.peer);
	t.is(rows.find(({ message }) => /^Disconnected/.test(message)).peer, accepted.peer);
	t.false(lines().join().includes("secret"));
});

test("names that are no text, and line ends, are still one object a line", async (t) => {
	const { port, lines } = await logged(t, "json");
	const peer = await dial(t, port);
	peer.send("SUBMIT_JOB_BG", Buffer.from([0x66, 0xff]), "line\nend", "");
	await peer.next();
	const row = lines()
		.map((line) => JSON.parse(line))
		.find(({ message }) => message.startsWith("accepted,"));
	t.like(row, { function: "f\u00ff", unique: "line\nend" });
});

test("a log in text looks as gearmand's, and has no job's bytes in it either", async (t) => {
	const { port, lines } = await logged(t, "text");
	const peer = await dial(t, port);
	peer.send("SUBMIT_JOB", "f", "key", "very secret workload");
	await peer.next();
	for (const line of lines()) {
		t.regex(line, /^ *[A-Z]+ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} \[ {2}main \] \S/);
		t.false(line.includes("secret"));
	}
	t.true(lines().some((line) => line.endsWith("] accepted,f,key,0")));
});

test("--log-format json is that of stderr, from the first line to the last", async (t) => {
	// startProgramServer waits for the line that says the port.
	const { child } = await startProgramServer(t, ["--log-format", "json"]);
	child.kill("SIGTERM");
	const { stderr, exitCode } = await child;
	t.is(exitCode, 0);
	const rows = stderr
		.split("\n")
		.slice(0, -1)
		.map((line) => JSON.parse(line));
	t.regex(rows[0].message, /^Starting up with pid/);
	t.is(rows.at(-1).message, "Shutdown complete");
});

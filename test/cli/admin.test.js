import ava from "ava";
import { linkAs, said, start } from "../helpers/program.js";
import { startScripted } from "../helpers/scripted-server.js";
import { dial, startServer } from "../helpers/server.js";

// One after the other: each starts programs.
const test = ava.serial;

/** gearadmin(…args) against the server: { stdout, stderr, exitCode }. */
function gearadminOf(t, port) {
	const command = linkAs(t, "gearadmin");
	return (args) =>
		start(t, ["-h", "127.0.0.1", "-p", String(port), ...args], {
			command,
			stdin: "ignore",
			encoding: "latin1",
			extendEnv: false,
			env: { PATH: process.env.PATH },
		});
}

async function setUp(t, options) {
	const server = await startServer(t, options);
	const peer = await dial(t, server.port);
	return { ...server, peer, gearadmin: gearadminOf(t, server.port) };
}

function is(t, result, expected) {
	const { stdout, stderr, exitCode } = result;
	t.deepEqual({ stdout, stderr, exitCode }, { stdout: "", stderr: "", exitCode: 0, ...expected });
}

test("lists are printed byte for byte as the server sent them", async (t) => {
	const server = await startScripted(t);
	const gearadmin = gearadminOf(t, server.port);
	for (const [option, command, reply] of [
		["--status", "status", "f\xff\t1\t2\t3\n.\n"],
		["--priority-status", "prioritystatus", "f\t1\t2\t3\t4\r\n.\r\n"],
		["--workers", "workers", "32 127.0.0.1 - : f\n.\n"],
		["--show-jobs", "show jobs", ".\n"],
		["--queue-info", "queue info", "store\tmemory\nstate\tready\n.\n"],
		["--show-unique-jobs", "show unique jobs", "a\n\n b\n.\n"],
	]) {
		const child = gearadmin([option]);
		const peer = await server.accept();
		t.is(await peer.next(), command);
		const bytes = Buffer.from(reply, "latin1");
		// In two pieces: a slow server's answer is not cut off.
		peer.raw(bytes.subarray(0, 1));
		peer.raw(bytes.subarray(1));
		is(t, await child, { stdout: reply });
	}
});

test("single answers are printed without their OK", async (t) => {
	const { gearadmin } = await setUp(t, { version: "1.2.3" });
	is(t, await gearadmin(["--getpid"]), { stdout: `${process.pid}\n` });
	is(t, await gearadmin(["--server-version"]), { stdout: "1.2.3\n" });
	t.regex((await gearadmin(["--server-verbose"])).stdout, /^[A-Z]+\n$/);
	is(t, await gearadmin(["--create-function", "abc"]), { stdout: "OK\n" });
	is(t, await gearadmin(["--drop-function", "abc"]), { stdout: "OK\n" });
});

test("--metrics prints the text without the dot, or with --json its samples", async (t) => {
	const { gearadmin, peer } = await setUp(t);
	peer.send("SUBMIT_JOB_BG", "f", "", "");
	await peer.next();
	const { stdout, exitCode } = await gearadmin(["--metrics"]);
	t.is(exitCode, 0);
	t.regex(stdout, /^# HELP gearman_jobs_queued /);
	t.true(stdout.includes('\ngearman_jobs_queued{function="f",priority="normal"} 1\n'));
	t.regex(stdout, /\ngearman_\S+ \d+\n$/);
	const { metrics } = JSON.parse((await gearadmin(["--metrics", "--json"])).stdout);
	const labels = { function: "f", priority: "normal" };
	t.deepEqual(metrics[0], { name: "gearman_jobs_queued", labels, value: 1 });
});

test("a server without metrics refuses them in one line", async (t) => {
	const server = await startScripted(t);
	const child = gearadminOf(t, server.port)(["--metrics"]);
	const peer = await server.accept();
	t.is(await peer.next(), "metrics");
	peer.raw("ERR UNKNOWN_COMMAND Unknown+server+commandmetrics\r\n");
	is(t, await child, { stderr: 'Error: the job server has no command "metrics"\n', exitCode: 1 });
});

test("what the server refuses is on stderr, and exit code 1", async (t) => {
	const { gearadmin } = await setUp(t);
	is(t, await gearadmin(["--cancel-job", "H:none"]), { stderr: "Error: UNKNOWN_JOB\n", exitCode: 1 });
	is(t, await gearadmin(["--drop-function", "none", "--getpid"]), {
		stdout: `${process.pid}\n`,
		stderr: "Error: function not found\n",
		exitCode: 1,
	});
});

test("operations are done in gearadmin's order, whatever the order given", async (t) => {
	const server = await startScripted(t);
	const options =
		"--status --priority-status --workers --server-version --server-verbose --show-unique-jobs --show-jobs --getpid";
	const child = gearadminOf(
		t,
		server.port,
	)([...options.split(" "), ...["--shutdown", "--cancel-job", "H", "--drop-function", "f", "--create-function", "g"]]);
	const peer = await server.accept();
	const commands = [
		"getpid",
		"create function g",
		"drop function f",
		"show jobs",
		"show unique jobs",
		"cancel job H",
		"verbose",
		"version",
		"workers",
		"prioritystatus",
		"status",
		"shutdown",
	];
	for (const command of commands) t.is(await peer.next(), command);
	peer.raw("OK 1\nOK\r\nOK\r\n.\n.\nOK\r\nOK INFO\nOK 2\n.\n.\n.\nOK\r\n");
	is(t, await child, { stdout: "1\nOK\nOK\n.\n.\nOK\nINFO\n2\n.\n.\n.\nOK\n" });
});

test("--json gives the answers by their option", async (t) => {
	const { gearadmin, peer } = await setUp(t);
	peer.send("CAN_DO", "f");
	peer.send("SUBMIT_JOB_BG", "f", "key", "");
	await peer.settle();
	const { stdout } = await gearadmin([
		"--json",
		"--status",
		"--show-jobs",
		"--show-unique-jobs",
		"--getpid",
		"--workers",
	]);
	const { workers, ...rest } = JSON.parse(stdout);
	t.deepEqual(rest, {
		getpid: process.pid,
		"show-jobs": [{ handle: "H:test:1", retries: 0, ignored: false, background: true }],
		"show-unique-jobs": ["key"],
		status: [{ function: "f", total: 1, running: 0, workers: 1 }],
	});
	t.like(
		workers.find(({ functions }) => functions.length > 0),
		{ address: "127.0.0.1", id: "-", functions: ["f"] },
	);
	const { "queue-info": info } = JSON.parse((await gearadmin(["--json", "--queue-info"])).stdout);
	t.deepEqual(info, { store: "memory", state: "ready", jobs: 0, commits: 0, changes: 0, failedCommits: 0 });
	const refused = await gearadmin(["--json", "--cancel-job", "H:none"]);
	t.deepEqual(JSON.parse(refused.stdout), { "cancel-job": { error: "UNKNOWN_JOB" } });
	t.is(refused.exitCode, 1);
});

test("several servers are asked one after the other, under their names", async (t) => {
	const servers = [await startServer(t, { version: "1" }), await startServer(t, { version: "2" })];
	const names = servers.map(({ port }) => `127.0.0.1:${port}`);
	const args = ["--admin", "-h", names.join(), "--server-version"];
	is(t, await start(t, args), { stdout: `${names[0]}\n1\n${names[1]}\n2\n` });
	t.deepEqual(JSON.parse((await start(t, [...args, "--json"])).stdout), {
		[names[0]]: { "server-version": "1" },
		[names[1]]: { "server-version": "2" },
	});
});

test("--watch asks again, also after the server was away", async (t) => {
	const first = await startScripted(t);
	const child = gearadminOf(t, first.port)(["--watch", "20", "--server-version"]);
	const peer = await first.accept();
	for (const version of ["1", "2"]) {
		t.is(await peer.next(), "version");
		peer.raw(`OK ${version}\n`);
		await said(child.stdout, new RegExp(`${version}\n`));
	}
	first.close();
	await said(child.stderr, /lost the connection|could not connect/);
	const again = await startScripted(t, { port: first.port });
	const second = await again.accept();
	await second.next();
	second.raw("OK 3\n");
	await said(child.stdout, /3\n/);
});

test("--watch does not repeat what changes something", async (t) => {
	const { gearadmin } = await setUp(t);
	const { stderr, exitCode } = await gearadmin(["--watch", "20", "--create-function", "f"]);
	t.regex(stderr, /--watch repeats questions, not changes/);
	t.is(exitCode, 1);
});

test("without an operation the options are shown, exit code 1", async (t) => {
	const { gearadmin } = await setUp(t);
	const { stdout, stderr, exitCode } = await gearadmin([]);
	t.regex(stdout, /^No option execution operation given\.\n[\s\S]*--status/);
	t.is(stderr, "");
	t.is(exitCode, 1);
});

test("a question asked as the text protocol has it: the option is named", async (t) => {
	const { gearadmin } = await setUp(t);
	for (const [words, option] of [
		[["status"], "status"],
		[["show", "jobs"], "show-jobs"],
		[["version"], "server-version"],
		[["drop", "function", "x"], "drop-function"],
	]) {
		const { stdout, stderr, exitCode } = await gearadmin(words);
		t.true(stderr.includes(` : '${words.join(" ")}' is no option; did you mean '--${option}'?\n`), stderr);
		t.deepEqual([stdout, exitCode], ["", 1]);
	}
});

test("no server is a sentence and exit code 69, one that does not answer 75", async (t) => {
	const server = await startScripted(t);
	const gearadmin = gearadminOf(t, server.port);
	is(t, await gearadmin(["--status", "--timeout", "50"]), {
		stderr: `gearadmin: 127.0.0.1:${server.port} did not answer within 50 ms\n`,
		exitCode: 75,
	});
	server.close();
	is(t, await gearadmin(["--status"]), {
		stderr: `gearadmin: could not connect to 127.0.0.1:${server.port}: connection refused\n`,
		exitCode: 69,
	});
});

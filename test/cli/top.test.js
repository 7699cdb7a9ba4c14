// --top as it is seen: in tmux' terminal, with real servers and workers.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import ava from "ava";
import { freePort } from "../helpers/free-port.js";
import { linkAs, program, start, startProgramServer, temporaryFolder } from "../helpers/program.js";
import { C, startGearmand } from "../helpers/programs.js";
import { startScripted } from "../helpers/scripted-server.js";
import { dial, startServer } from "../helpers/server.js";
import { hasTmux, openTerminal } from "../helpers/tmux.js";
import { until } from "../helpers/until.js";

const test = hasTmux ? ava.serial : (title, ...rest) => ava.serial.skip(`${title} (no tmux here)`, ...rest);

/** --top in a terminal; behind it the shell says how it ended. */
function open(t, port, options = {}) {
	const args = options.args ?? "--watch 100";
	return openTerminal(t, `${program} --top -h 127.0.0.1 -p ${port} ${args}; echo "ended with $?"; exec cat`, options);
}

/** A worker on a raw connection that completes what it gets, forever. */
async function steadyWorker(t, port, name, id = "-") {
	const worker = await dial(t, port);
	worker.send("SET_CLIENT_ID", id);
	worker.send("CAN_DO", name);
	worker.send("GRAB_JOB");
	void (async () => {
		for (;;) {
			const [packet, handle] = await worker.next().catch(() => ["NO_JOB"]);
			if (worker.isClosed) return;
			if (packet === "NO_JOB") worker.send("PRE_SLEEP");
			if (packet === "JOB_ASSIGN") worker.send("WORK_COMPLETE", handle, "");
			if (packet === "NOOP" || packet === "JOB_ASSIGN") worker.send("GRAB_JOB");
		}
	})();
	return worker;
}

/** Submits so many jobs a turn until the test ends. */
async function steadyClient(t, port, name) {
	const client = await dial(t, port);
	const timer = setInterval(() => client.send("SUBMIT_JOB_BG", name, "", "workload"), 10);
	t.teardown(() => clearInterval(timer));
}

test("functions are listed with their numbers, rates and times, the workers below", async (t) => {
	const { port } = await startServer(t);
	await steadyWorker(t, port, "resize", "painter");
	await steadyClient(t, port, "resize");
	const client = await dial(t, port);
	for (let i = 0; i < 3; i++) client.send("SUBMIT_JOB_BG", "nobody", "", "");
	const terminal = open(t, port);
	await terminal.shows(/^nobody +3 +0 +0 +\S+ +0 +0 *$/);
	//       queued run workers oldest   in        out        wait50 wait95
	await terminal.shows(/^resize +\d+ +\d +1 +\S+ +[1-9]\S* +[1-9]\S* +\S+m?s +\S+m?s$/);
	await terminal.shows(/^Jobs +3 queued +0 running +1 workers +\S+ K?B\/s in +\S+ K?B\/s out$/);
	await terminal.shows(/^Server +up \S+s +\d+% busy +\S+ late +\d.* [KM]B +[01] workers asleep$/);
	await terminal.shows(/^Done\/s +[▁▂▃▄▅▆▇█]+ +\d.*, at most \d/);
	await terminal.shows(/^WORKERS OF resize \(1\)/);
	await terminal.shows(/^127\.0\.0\.1 +painter +resize$/);
	t.is(terminal.screen().length, 24);
	t.is(terminal.is("alternate_on"), "1");
});

test("keys sort, filter, move and help", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	for (const [name, count] of [
		["few", 1],
		["many", 3],
		["nothing", 0],
	]) {
		peer.send("CAN_DO", name);
		for (let i = 0; i < count; i++) peer.send("SUBMIT_JOB_BG", name, "", "");
	}
	await peer.settle();
	const terminal = open(t, port);
	const names = () => terminal.screen().flatMap((line) => /^(few|many|nothing) /.exec(line)?.[1] ?? []);
	await terminal.shows(/^many/);
	t.deepEqual(names(), ["many", "few", "nothing"]);
	await terminal.shows(/^WORKERS OF many/);
	terminal.press("j");
	await terminal.shows(/^WORKERS OF few/);
	terminal.press("Down", "Down");
	await terminal.shows(/^WORKERS OF nothing/);
	terminal.press("k", "Up");
	await terminal.shows(/^WORKERS OF many/);
	terminal.press("S");
	await terminal.shows(/order: name/);
	t.deepEqual(names(), ["few", "many", "nothing"]);
	// The row that was selected still is.
	await terminal.shows(/^WORKERS OF many/);
	terminal.press("s", "s");
	await terminal.shows(/order: queued/);
	terminal.press("w");
	await terminal.shows(/^WORKERS \(1\)/);
	terminal.press("w");
	await terminal.hides(/^WORKERS/);
	terminal.press("/");
	await terminal.shows(/^Filter:/);
	terminal.press("-l", "quick");
	await terminal.shows(/^No function has "quick"/);
	for (let i = 0; i < 5; i++) terminal.press("BSpace");
	terminal.press("-l", "HING");
	await terminal.hides(/^many/);
	terminal.press("Enter");
	await terminal.shows(/\/ HING: 1/);
	t.deepEqual(names(), ["nothing"]);
	terminal.press("Escape");
	await terminal.shows(/^many/);
	terminal.press("?");
	await terminal.shows(/Ctrl-C +quit/);
	terminal.press("q");
	await terminal.shows(/^many/);
});

for (const [how, act, code] of [
	["q", (terminal) => terminal.press("q"), 0],
	["Ctrl-C", (terminal) => terminal.press("C-c"), 0],
	["SIGTERM", (_, pid) => process.kill(pid, "SIGTERM"), 143],
	["SIGHUP", (_, pid) => process.kill(pid, "SIGHUP"), 129],
	["SIGINT", (_, pid) => process.kill(pid, "SIGINT"), 130],
	["a crash", (_, pid) => process.kill(pid, "SIGUSR2"), 70],
]) {
	test(`${how} leaves the terminal as it was`, async (t) => {
		const { server, port } = await startServer(t);
		server.jobs.functionOf("some function");
		// The program's own process id is that of the shell it takes the place of.
		const file = join(temporaryFolder(t), "pid");
		const crash = "data:text/javascript,process.on('SIGUSR2',()=>{throw(new/**/Error('oh'))})";
		const env = how === "a crash" ? `export NODE_OPTIONS="--import ${crash}";` : "";
		const command = `${env} sh -c 'echo $$ > ${file}; exec ${program} --top -h 127.0.0.1 -p ${port}'; echo "ended with $?"`;
		const terminal = openTerminal(t, `echo before; ${command}; stty -a; exec cat`);
		await terminal.shows(/^some function/);
		t.is(terminal.is("cursor_flag"), "0");
		act(terminal, Number(readFileSync(file, "utf8")));
		await terminal.shows(new RegExp(`^ended with ${code}$`));
		if (how === "a crash") await terminal.shows(/Error: oh/);
		await terminal.shows(/^before$/);
		await terminal.shows(/\becho\b/);
		t.false(terminal.screen().some((line) => line.includes("-echo ") || line.includes("-icanon")));
		t.deepEqual([terminal.is("alternate_on"), terminal.is("cursor_flag")], ["0", "1"]);
		t.false(terminal.screen().join("\n").includes("some function"));
	});
}

test("Ctrl-Z stops it and gives the terminal back, fg goes on", async (t) => {
	const { server, port } = await startServer(t);
	server.jobs.functionOf("some function");
	const terminal = openTerminal(t, "bash --norc --noprofile");
	await terminal.shows(/^bash-/);
	terminal.press("-l", `${program} --top -h 127.0.0.1 -p ${port}\n`);
	await terminal.shows(/^some function/);
	terminal.press("C-z");
	await terminal.shows(/Stopped/);
	t.deepEqual([terminal.is("alternate_on"), terminal.is("cursor_flag")], ["0", "1"]);
	terminal.press("-l", "fg\n");
	await terminal.shows(/^some function/);
	terminal.press("q");
	await until(() => terminal.is("alternate_on") === "0");
	t.pass();
});

test("an answer that cannot be read is said, and asked for again", async (t) => {
	const server = await startScripted(t);
	const terminal = open(t, server.port);
	const peer = await server.accept();
	for (let line = await peer.next(); line !== "metrics"; line = await peer.next());
	// Nothing the admin protocol knows: not a number of columns.
	peer.raw("one column\n.\n.\n.\n");
	await terminal.shows(/^No answer, trying again: 127.0.0.1:\d+: the job server answered with/);
	terminal.press("q");
	t.truthy(await terminal.shows(/^ended with 0$/));
});

test("the screen follows the terminal's size, down to the smallest", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	for (let i = 0; i < 60; i++) peer.send("CAN_DO", `a_function_with_quite_a_long_name_${i}`);
	peer.send("CAN_DO", Buffer.from("日本語のとても長い名前のファンクション、もっともっと長い名前のファンクション"));
	await peer.settle();
	const terminal = open(t, port);
	await terminal.shows(/^FUNCTION +QUEUED +RUN +WORKERS +OLDEST +IN\/S +OUT\/S +WAIT50 +WAIT95$/);
	for (const [columns, lines] of [
		[132, 50],
		[60, 12],
		[30, 8],
		[12, 4],
		[1, 1],
		[200, 10],
		[80, 24],
	]) {
		terminal.resize(columns, lines);
		const wanted = columns >= 4 && lines >= 5 ? /FUNC|a_f/ : /^/;
		await terminal.shows(wanted);
		await until(() => {
			const screen = terminal.screen();
			return screen.length === lines && (columns < 30 || screen.some((line) => /QUEUED/.test(line)));
		}, `a screen of ${columns} by ${lines}`);
	}
	await terminal.shows(/RUN +WORKERS +OLDEST/);
	await terminal.shows(/^q quit/);
	// No line ran over into the next.
	t.is(terminal.screen().filter((line) => line.startsWith("FUNCTION")).length, 1);
});

test("a server that goes away is waited for", async (t) => {
	const first = await startProgramServer(t);
	const terminal = open(t, first.port);
	await terminal.shows(/^Jobs/);
	first.child.kill("SIGTERM");
	await first.child;
	await terminal.shows(/^No answer, trying again: .*127.0.0.1/);
	start(t, ["--server", "-p", `${first.port}`, "-L", "127.0.0.1", "--queue-type", "builtin"]);
	await terminal.hides(/^No answer/);
	await terminal.shows(/^Jobs +0 queued/);
	terminal.press("q");
	t.truthy(await terminal.shows(/^ended with 0$/));
});

const testWithC = hasTmux && C.gearmand !== undefined ? test : ava.serial.skip;
testWithC("C's gearmand is watched too: what it does not tell is not there", async (t) => {
	const { port } = await startGearmand(t, C.gearmand);
	const peer = await dial(t, port);
	peer.send("SET_CLIENT_ID", "painter");
	peer.send("CAN_DO", "resize");
	for (let i = 0; i < 2; i++) peer.send("SUBMIT_JOB_BG", "resize", "", "x");
	await peer.settle();
	peer.send("GRAB_JOB");
	t.is((await peer.next())[0], "JOB_ASSIGN");
	const terminal = open(t, port);
	await terminal.shows(/^FUNCTION +QUEUED +RUN +WORKERS$/);
	await terminal.shows(/^resize +1 +1 +1$/);
	await terminal.shows(/^Server +without metrics/);
	await terminal.shows(/^Queued +[▁▂▃▄▅▆▇█]+ +1, at most 1/);
	await terminal.shows(/^127\.0\.0\.1 +painter +resize$/);
});

test("several servers are one list", async (t) => {
	const servers = [await startServer(t), await startServer(t)];
	for (const { port } of servers) {
		const peer = await dial(t, port);
		peer.send("CAN_DO", "shared");
		peer.send("SUBMIT_JOB_BG", "shared", "", "");
		await peer.settle();
	}
	const hosts = servers.map(({ port }) => `127.0.0.1:${port}`).join();
	const gone = `127.0.0.1:${await freePort()}`;
	const terminal = openTerminal(t, `${program} --top -h ${hosts},${gone} --watch 100`);
	await terminal.shows(/^shared +2 +0 +2 /);
	t.truthy(await terminal.shows(new RegExp(`^No answer.* ${gone}`)));
});

test("not a terminal: one sentence, and exit code 1", async (t) => {
	const { stdout, stderr, exitCode } = await start(t, ["--top"], { stdin: "ignore" });
	t.deepEqual({ stdout, exitCode }, { stdout: "", exitCode: 1 });
	t.regex(stderr, /^gearman: --top needs a terminal; [^\n]*\n$/);
	const both = await start(t, ["--top", "--status"], { command: linkAs(t, "gearadmin"), stdin: "ignore" });
	t.is(both.exitCode, 1);
	t.regex(both.stderr, /--top and --status do not go together/);
});

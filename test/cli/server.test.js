import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import test from "ava";
import { execa, execaSync } from "execa";
import { freePort } from "../helpers/free-port.js";
import { linkAs, program, said, start, startProgramServer, temporaryFolder } from "../helpers/program.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const isRoot = process.getuid?.() === 0;
const onUnix = process.platform === "win32" ? test.skip : test;
const isLinux = process.platform === "linux";
const has = (command, flag = "--version") => !execaSync(command, [flag], { reject: false }).failed;

/** A worker that holds a job its client waits for. */
async function holdJob(t, port) {
	const peer = await dial(t, port);
	peer.send("CAN_DO", "f");
	peer.send("SUBMIT_JOB", "f", "", "");
	const [, handle] = await peer.next();
	peer.send("GRAB_JOB");
	await peer.next();
	return { peer, handle };
}

test("gearman --server and gearmand are the same server; SIGTERM and SIGINT end it with 0", async (t) => {
	for (const options of [{}, { command: linkAs(t, "gearmand") }]) {
		for (const signal of ["SIGTERM", "SIGINT"]) {
			const { child, port } = await startProgramServer(t, [], options);
			const { peer } = await holdJob(t, port);
			child.kill(signal);
			t.is(await peer.next(), "closed");
			t.is((await child).exitCode, 0);
		}
	}
});

test("it works with an empty environment", async (t) => {
	const child = start(t, [program, "--server", "--port=0", "--listen=127.0.0.1", "-vvv", "-q", "builtin"], {
		command: process.execPath,
		env: {},
		extendEnv: false,
	});
	await said(child.stderr, /Listening on/);
	child.kill();
	t.is((await child).exitCode, 0);
});

test("SIGUSR1 and SIGUSR2 wait for the last job, take no new ones, and never open a debugger", async (t) => {
	for (const signal of ["SIGUSR1", "SIGUSR2"]) {
		const idle = await startProgramServer(t);
		idle.child.kill(signal);
		t.is((await idle.child).exitCode, 0);

		const { child, port } = await startProgramServer(t);
		const { peer, handle } = await holdJob(t, port);
		child.kill(signal);
		await said(child.stderr, /Graceful shutdown/);
		peer.send("SUBMIT_JOB", "f", "", "");
		t.is((await peer.next())[1], "SHUTDOWN_GRACEFUL");
		const late = connect(port, "127.0.0.1");
		const [error] = await once(late, "error");
		t.is(error.code, "ECONNREFUSED");
		peer.send("WORK_COMPLETE", handle, "");
		t.is((await peer.next())[0], "WORK_COMPLETE");
		const { exitCode, stderr } = await child;
		t.is(exitCode, 0);
		t.notRegex(stderr, /Debugger/);
	}
});

test("with --drain-timeout SIGTERM lets running jobs finish, gives out no more, and keeps the rest", async (t) => {
	const store = [`--queue-type=sqlite`, `--state-dir=${temporaryFolder(t)}`];
	const { child, port } = await startProgramServer(t, [...store, "--drain-timeout=1m"]);
	const { peer, handle } = await holdJob(t, port);
	peer.send("SUBMIT_JOB_BG", "f", "", "later");
	const [, later] = await peer.next();
	const sleeper = await dial(t, port);
	child.kill("SIGTERM");
	await said(child.stderr, /Shutdown: running jobs have 60 s to finish/);
	sleeper.send("CAN_DO", "f");
	sleeper.send("GRAB_JOB");
	t.deepEqual(await sleeper.next(), ["NO_JOB"]);
	sleeper.send("PRE_SLEEP");
	t.deepEqual(await sleeper.settle(), []);
	sleeper.send("SUBMIT_JOB_BG", "f", "", "");
	t.is((await sleeper.next())[1], "SHUTDOWN_GRACEFUL");
	const late = connect(port, "127.0.0.1");
	t.is((await once(late, "error"))[0].code, "ECONNREFUSED");
	peer.send("WORK_COMPLETE", handle, "done");
	t.deepEqual(await peer.next(), ["WORK_COMPLETE", handle, "done"]);
	t.is((await child).exitCode, 0);
	const next = await startProgramServer(t, store);
	const worker = await dial(t, next.port);
	worker.send("CAN_DO", "f");
	const grabbed = await until(async () => {
		worker.send("GRAB_JOB");
		const answer = await worker.next();
		return answer[0] === "JOB_ASSIGN" && answer;
	});
	t.deepEqual(grabbed, ["JOB_ASSIGN", later, "f", "later"]);
});

test("a job that takes longer than --drain-timeout, or a second signal, ends the wait; the job is kept", async (t) => {
	for (const [time, signals] of [
		["200", 1],
		["10m", 2],
	]) {
		const store = [`--queue-type=sqlite`, `--state-dir=${temporaryFolder(t)}`];
		const { child, port } = await startProgramServer(t, [...store, `--drain-timeout=${time}`]);
		const peer = await dial(t, port);
		peer.send("CAN_DO", "f");
		peer.send("SUBMIT_JOB_BG", "f", "", "");
		const [, handle] = await peer.next();
		peer.send("GRAB_JOB");
		await peer.next();
		child.kill("SIGTERM");
		await said(child.stderr, /Shutdown: running jobs have/);
		if (signals === 2) child.kill("SIGTERM");
		t.is(await peer.next(), "closed");
		t.is((await child).exitCode, 0);
		const next = await startProgramServer(t, store);
		const admin = await dial(t, next.port);
		await until(async () => (await admin.list("show jobs"))[0]?.startsWith(`${handle}\t`));
	}
});

test("with --drain-timeout and nothing running SIGTERM ends it at once; a worker that leaves ends the wait", async (t) => {
	const idle = await startProgramServer(t, ["--drain-timeout=10m"]);
	idle.child.kill("SIGTERM");
	t.is((await idle.child).exitCode, 0);
	const { child, port } = await startProgramServer(t, ["--drain-timeout=10m"]);
	const { peer } = await holdJob(t, port);
	child.kill("SIGTERM");
	await said(child.stderr, /Shutdown: running jobs have/);
	peer.destroy();
	t.is((await child).exitCode, 0);
});

test("the log goes to a file, which SIGHUP opens anew", async (t) => {
	const folder = temporaryFolder(t);
	const log = join(folder, "log");
	const args = ["--server", "--port=0", "--listen=127.0.0.1", "--queue-type=builtin", "--verbose=INFO"];
	const child = start(t, [...args, `--log-file=${log}`]);
	await until(() => existsSync(log) && /Listening on/.test(readFileSync(log, "utf8")));
	renameSync(log, `${log}.1`);
	child.kill("SIGHUP");
	await until(() => existsSync(log));
	child.kill();
	const { exitCode, stderr } = await child;
	t.is(exitCode, 0);
	t.is(stderr, "");
	t.regex(readFileSync(`${log}.1`, "utf8"), /NOTICE .* SIGHUP, reopening log file/);
	const line = /^ {3}INFO \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} \[ {2}main \] Shutdown complete$/m;
	t.regex(readFileSync(log, "utf8"), line);
});

test("a log file that cannot be written: a sentence, and the log goes to stderr", async (t) => {
	const { child } = await startProgramServer(t, ["--log-file=/nowhere/log"]);
	child.kill();
	t.regex(
		(await child).stderr,
		/^gearmand: could not open the log file \/nowhere\/log, logging to stderr: no such directory\n/,
	);
});

test("-v counts up from ERROR, and the admin command tells the level", async (t) => {
	for (const [flag, level] of [
		["-v", "WARNING"],
		["-vv", "NOTICE"],
		["-vvv", "INFO"],
		["--verbose=DEBUG", "DEBUG"],
		["--verbose=ERROR", "ERROR"],
	]) {
		const pidFile = join(temporaryFolder(t), "pid");
		const port = await freePort();
		const args = ["--server", `--port=${port}`, "--listen=127.0.0.1", "--queue-type=builtin"];
		const child = start(t, [...args, flag, `--pid-file=${pidFile}`]);
		await until(() => existsSync(pidFile));
		const admin = await dial(t, port);
		admin.raw("verbose\n");
		t.is(await admin.next(), `OK ${level}`);
		child.kill();
		await child;
	}
});

test("the pid file holds the pid once the port listens, and is gone after the end", async (t) => {
	const pidFile = join(temporaryFolder(t), "pid");
	const port = await freePort();
	const args = ["--server", `--port=${port}`, "--listen=127.0.0.1", "--queue-type=builtin"];
	const child = start(t, [...args, "--pid-file", pidFile]);
	await until(() => existsSync(pidFile));
	t.is(readFileSync(pidFile, "utf8"), `${child.pid}\n`);
	await dial(t, port); // listens already
	child.kill();
	await child;
	t.false(existsSync(pidFile));
});

test("what keeps it from starting is one sentence and a non-zero exit", async (t) => {
	const taken = createServer().listen(0, "127.0.0.1");
	await once(taken, "listening");
	t.teardown(() => taken.close());
	const listen = ["--server", "--listen=127.0.0.1", "--log-file=none", "--queue-type=builtin"];
	for (const [args, sentence] of [
		[
			[...listen, `--port=${taken.address().port}`],
			/^\S+: could not listen on 127\.0\.0\.1:\d+: the port is in use\n$/,
		],
		[
			[...listen, "--port=0", "--pid-file=/nowhere/pid"],
			/^\S+: Could not open pid file for writing: \/nowhere\/pid \(no such directory\)\n$/,
		],
		// Node's own recursive mkdir never came back from there.
		[
			["--server", "--listen=127.0.0.1", "--log-file=none", "--port=0", "--state-dir=/proc/self/nowhere"],
			/^\S+: the state directory \/proc\/self\/nowhere cannot be made \(no such directory\): choose one with /,
		],
		[
			["--server", "--log-file=none", "--port=0", "--queue-type=./none.mjs"],
			/the store .\/none.mjs cannot be loaded: there is no such module\n$/,
		],
		[[...listen, "--port=no-such-service"], /^\S+: no such port: no-such-service\n$/],
		[[...listen, "--port=70000"], /^\S+: no such port: 70000\n$/],
		[[...listen, "--port=0", "--listen=no.such.host.invalid"], /no such host\n$/],
		[
			["--server", "--log-file=none", "--port=0", "--queue-type=wishful"],
			/^\S+: Error while initializing the queue : wishful: it is one of memory, sqlite, .*, memcached, or a module.*\n$/,
		],
		[
			["--server", "--log-file=none", "--port=0", "--queue-type=constructor"],
			/Error while initializing the queue : constructor: it is one of /,
		],
		[
			[...listen, "--port=0", `--job-handle-prefix=${"x".repeat(60)}`],
			/job-handle-prefix has to be 1 to 50 printable ASCII characters without blanks\n$/,
		],
		[[...listen, "--port=0", "--max-packet-size=much"], /the argument \('much'\) for option '--max-packet-size'/],
		[[...listen, "--port=0", "-r", "gopher"], /^\S+: Unknown protocol module : gopher\n$/],
		[[...listen, "--port=0", "-r", "http", "--http-port=70000"], /^\S+: no such port: 70000\n$/],
		[
			[...listen, "--port=0", "-r", "http", "--http-listen=192.0.2.1"],
			/could not listen on 192.0.2.1:8080: no such address on this machine\n$/,
		],
		[[...listen, "--port=0", "--libtokyocabinet-file=x"], /^\S+: Tokyo Cabinet is no store here; .*\n$/],
		[[...listen, "--port=0", "--ssl"], /--ssl needs --ssl-certificate and --ssl-key\n$/],
		[[...listen, "--port=0", "--user=no-such-user"], isRoot ? /Could not find user : no-such-user\n$/ : /Must be root/],
	]) {
		const { exitCode, stderr, stdout } = await start(t, args);
		t.is(exitCode, 1, args.join(" "));
		t.regex(stderr, sentence);
		t.is(stderr.split("\n").length, 2);
		t.is(stdout, "");
	}
});

test("several addresses are listened on, IPv6 among them", async (t) => {
	const { child, port } = await startProgramServer(t, ["--listen=::1", "--listen=127.0.0.2"]);
	for (const host of ["127.0.0.1", "127.0.0.2", "::1"]) {
		const peer = await dial(t, port, host);
		t.deepEqual(await peer.settle(), []);
	}
	child.kill();
});

test("--daemon returns when the port listens, and leaves a server that answers", async (t) => {
	const pidFile = join(temporaryFolder(t), "pid");
	const port = await freePort();
	const args = [
		`--port=${port}`,
		"--listen=127.0.0.1",
		"--log-file=none",
		"-qbuiltin",
		"--pid-file",
		pidFile,
		"--daemon",
	];
	const { exitCode, stdout, stderr } = await start(t, args, { command: linkAs(t, "gearmand") });
	t.deepEqual([exitCode, stdout, stderr], [0, "", ""]);
	const peer = await dial(t, port);
	peer.raw("getpid\n");
	const pid = Number((await peer.next()).split(" ")[1]);
	t.is(readFileSync(pidFile, "utf8"), `${pid}\n`);
	process.kill(pid, "SIGTERM");
	t.is(await peer.next(), "closed");
	await until(() => !existsSync(pidFile));
});

const asNobody = isRoot ? { uid: 65534, gid: 65534 } : {};
const runsAsNobody = spawnSync(program, ["--version"], asNobody).status === 0;
(runsAsNobody ? test : test.skip)(
	"a daemon that is not root's logs beside its jobs (needs a user who can read this)",
	async (t) => {
		const home = temporaryFolder(t);
		if (isRoot) chownSync(home, 65534, 65534);
		const port = await freePort();
		const args = ["--server", "-d", "-vvv", "--listen=127.0.0.1", `--port=${port}`];
		const options = { ...asNobody, env: { HOME: home, XDG_STATE_HOME: "" } };
		const { exitCode, stderr } = await start(t, args, options);
		t.deepEqual([exitCode, stderr], [0, ""]);
		const { stdout: pid } = await start(t, ["--admin", "-p", `${port}`, "--getpid"]);
		process.kill(Number(pid), "SIGTERM");
		const log = join(home, ".local/state/gearman/gearmand.log");
		await until(() => readFileSync(log, "utf8").includes("Shutdown complete"));

		const unwritable = await start(t, [...args, "-qbuiltin", "--log-file=/nowhere/log"], options);
		t.is(
			unwritable.stderr,
			"gearmand: could not open the log file /nowhere/log, nothing is logged: no such directory\n",
		);
		const { stdout: other } = await start(t, ["--admin", "-p", `${port}`, "--getpid"]);
		process.kill(Number(other), "SIGTERM");
	},
);

test("a daemon that cannot start says so where it was started", async (t) => {
	const taken = createServer().listen(0, "127.0.0.1");
	await once(taken, "listening");
	t.teardown(() => taken.close());
	const args = [
		"--server",
		"-d",
		"-qbuiltin",
		"--listen=127.0.0.1",
		"--log-file=none",
		`--port=${taken.address().port}`,
	];
	const { exitCode, stderr } = await start(t, args);
	t.is(exitCode, 1);
	t.regex(stderr, /the port is in use/);
});

(isRoot && isLinux ? test : test.skip)("--user switches user and groups (needs root and Linux)", async (t) => {
	const { child } = await startProgramServer(t, ["--user", "nobody"]);
	const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
	const { stdout: uid } = await execa("id", ["-u", "nobody"]);
	const { stdout: gid } = await execa("id", ["-g", "nobody"]);
	t.regex(status, new RegExp(`^Uid:\t${uid}\t${uid}\t`, "m"));
	t.regex(status, new RegExp(`^Gid:\t${gid}\t${gid}\t`, "m"));
	t.notRegex(status, /^Groups:.*\b0\b/m);
});

const hasPrlimit = isLinux && has("prlimit");
(hasPrlimit ? test : test.skip)(
	"out of descriptors: few log lines, others go on, and it recovers (needs prlimit)",
	async (t) => {
		const { child, port } = await startProgramServer(t, ["--file-descriptors=64"]);
		t.regex(readFileSync(`/proc/${child.pid}/limits`, "utf8"), /^Max open files +64 +64 /m);
		const old = await dial(t, port);
		const flood = Array.from({ length: 200 }, () => connect(port, "127.0.0.1").on("error", () => {}));
		await said(child.stderr, /Too many connections|out of file descriptors/);
		t.deepEqual(await old.settle(), []);
		for (const socket of flood) socket.destroy();
		await until(async () => {
			const late = await dial(t, port);
			late.raw("version\n");
			return (await late.next()) !== "closed";
		});
		child.kill();
		const { stderr } = await child;
		t.true(stderr.split("\n").filter((line) => /^ {2}ERROR/.test(line)).length < 10);
	},
);

const hasPerlAndSs = isLinux && has("perl") && has("ss", "-V");
(hasPerlAndSs ? test : test.skip)(
	"keepalive is on for every connection, as the options say (needs perl and ss)",
	async (t) => {
		for (const [args, seconds] of [
			[[], 60],
			[["--keepalive-idle=300"], 300],
			[["--keepalive-idle=200", "--keepalive-interval=7", "--keepalive-count=3"], 200],
		]) {
			const { child, port } = await startProgramServer(t, args);
			await (await dial(t, port)).settle();
			const { stdout } = await execa("ss", ["-Htno", "state", "established", `sport = :${port}`]);
			const [, minutes = "0", rest = "0"] = /timer:\(keepalive,(?:(\d+)min)?(?:([\d.]+)sec)?,/.exec(stdout) ?? [];
			const left = Number(minutes) * 60 + Number(rest);
			t.true(left > seconds - 60 && left <= seconds, stdout);
			child.kill();
			await child;
		}
	},
);

test("a Kubernetes-made GEARMAND_PORT does not stop the start", async (t) => {
	const child = start(t, ["--server", "--listen=127.0.0.1", "--check-args"], {
		env: { GEARMAND_PORT: "tcp://10.0.0.1:4730" },
	});
	t.is((await child).exitCode, 0);
});

test("options without effect are accepted, a config file and @file are read", async (t) => {
	const file = join(temporaryFolder(t), "gearmand.conf");
	writeFileSync(file, "# a comment\n--job-handle-prefix=my:prefix\n--threads 8 --hashtable-buckets=7 -R\n");
	for (const config of [`--config-file=${file}`, `@${file}`]) {
		const { child, port } = await startProgramServer(t, [config, "--coredump"]);
		const client = await dial(t, port);
		client.send("SUBMIT_JOB_BG", "f", "", "");
		t.deepEqual(await client.next(), ["JOB_CREATED", "my:prefix:1"]);
		child.kill();
		await child;
	}
});

onUnix("client, worker and admin reach a server over a Unix socket, and name it", async (t) => {
	const folder = temporaryFolder(t);
	const socket = `unix:${join(folder, "socket")}`;
	const admin = `unix:${join(folder, "admin")}`;
	await startProgramServer(t, ["--listen", socket, "--admin-listen", admin]);
	t.is((await start(t, ["--admin", "-h", admin, "--create-function", "f"])).stdout, "OK\n");
	const worker = start(t, ["-w", "-h", socket, "-v", "-f", "f", "--", "rev"]);
	await said(worker.stderr, /connected to unix:\/.*\/socket\n/);
	const { stdout } = await start(t, ["-h", `localhost:1,${socket}`, "-f", "f"], { input: "abc\n" });
	t.is(stdout, "cba\n");
	const status = await start(t, ["--admin", "-h", socket, "--status"]);
	t.is(status.stdout, "f\t0\t0\t1\n.\n");
	const nobody = await start(t, ["-h", `${socket}2`, "-f", "f"], { input: "" });
	t.is(nobody.exitCode, 69);
	t.is(nobody.stderr, `gearman: could not connect to ${socket}2: no such file\n`);
});

/** A program that opens sockets and hands them over as descriptors 3 and on; it takes no connection itself. */
const activate = `
	const { createServer } = require("node:net");
	const { spawnSync } = require("node:child_process");
	const [path, command, ...args] = process.argv.slice(1);
	const tcp = createServer().listen(0, "127.0.0.1", () => {
		const unix = createServer().listen(path, () => {
			const { status } = spawnSync("sh", ["-c", 'LISTEN_PID=$$ exec "$@"', "sh", command, ...args], {
				stdio: ["ignore", 1, 2, tcp._handle.fd, unix._handle.fd],
				env: { ...process.env, LISTEN_FDS: "2", LISTEN_FDNAMES: "gearmand.socket:gear" },
			});
			process.exit(status);
		});
	});`;

onUnix("sockets that were opened for it are listened on", async (t) => {
	const path = join(temporaryFolder(t), "socket");
	const args = ["-e", activate, path, program, "--server", "-qbuiltin", "-vvv", "-lstderr"];
	const child = start(t, args, { command: process.execPath });
	const [, pid, port] = await said(
		child.stderr,
		/pid (\d+)[\s\S]*Listening on 127\.0\.0\.1:(\d+)[\s\S]*on unix:descriptor 4/,
	);
	t.deepEqual(await (await dial(t, Number(port))).settle(), []);
	const socket = connect(path);
	await once(socket, "connect");
	socket.end("version\n");
	const [answer] = await once(socket, "data");
	t.regex(String(answer), /^OK /);
	process.kill(Number(pid));
	t.is((await child).exitCode, 0);
});

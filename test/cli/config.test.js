// The configuration file, and --check-config.

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { parse } from "../../dist/cli/parse.js";
import { certificates, testTls } from "../helpers/certificates.js";
import { freePort } from "../helpers/free-port.js";
import { start, startProgramServer, temporaryFolder } from "../helpers/program.js";
import { dial } from "../helpers/server.js";

function configFile(t, text) {
	const file = join(temporaryFolder(t), "config.toml");
	writeFileSync(file, text);
	return file;
}

test("command line over environment over file over default", async (t) => {
	const file = configFile(t, '[client]\nhost = ["a", "b:1"]\njobs = 7\nssl = true\n[worker]\njobs = 3\n');
	const options = async (mode, argv, env = {}) => (await parse(mode, argv, { GEARMAN_CONFIG: file, ...env })).options;
	const client = await options("client", ["-f", "x"]);
	t.deepEqual([client.host, client.jobs, client.ssl, client.port], [["a", "b:1"], 7, true, "4730"]);
	t.is((await options("client", ["-f", "x"], { GEARMAN_JOBS: "8" })).jobs, 8);
	t.is((await options("client", ["-f", "x", "-j", "9"], { GEARMAN_JOBS: "8" })).jobs, 9);
	t.is((await options("worker", ["-wf", "x"])).jobs, 3);
	t.deepEqual((await options("client", ["-f", "x", "--config", "/dev/null"])).host, ["localhost"]);
});

test("the file named, else the user's own, else the machine's", async (t) => {
	const home = temporaryFolder(t);
	mkdirSync(join(home, ".config", "gearman"), { recursive: true });
	writeFileSync(join(home, ".config", "gearman", "config.toml"), "[worker]\njobs = 5\n");
	const jobs = async (env, argv = []) => (await parse("worker", ["-wf", "x", ...argv], env)).options.jobs;
	t.is(await jobs({ HOME: home }), 5);
	t.is(await jobs({ HOME: "/nowhere", XDG_CONFIG_HOME: join(home, ".config") }), 5);
	t.is(await jobs({ HOME: home, GEARMAN_CONFIG: configFile(t, "[worker]\njobs = 6\n") }), 6);
	t.is(await jobs({ HOME: home }, ["--config", configFile(t, "[worker]\njobs = 7\n")]), 7);
});

test("what is wrong in the file is one sentence with file and line, and exit code 1", async (t) => {
	for (const [text, sentence] of [
		['[server]\nlisten = ["127.0.0.1"]\nmax-conections = 5\n', /, line 3: \[server\] has no option "max-conections"$/],
		[
			"[server]\n\nbacklog = 0\n",
			/^gearman: the value \('0'\) of "backlog" in .*config\.toml, line 3 is invalid: it is a whole number, 1 to 65535$/,
		],
		['[server]\nbacklog = "many"\n', /the value \('many'\) of "backlog" in .*, line 2 is invalid: /],
		["[server]\nport = [1, 2]\n", /, line 2: "port" has one value, not a list$/],
		["[server]\nport = 2026-01-01\n", /, line 2: "port" has to be a string, a number, true or false$/],
		[
			"[sever]\nport = 1\n",
			/, line 1: "sever" is no section; there are \[client\], \[worker\], \[server\], \[admin\]$/,
		],
		["port = 1\n", /, line 1: "port" is no section; /],
		["server = 1\n", /, line 1: "server" has to be a section: \[server\]$/],
		[
			'[server]\nmax-packet-size = "0K"\n',
			/the value \('0K'\) of "max-packet-size" in .*, line 2 is invalid: a size is/,
		],
		["[server]\nsocket-mode = 0o660\n", /, line 2: "socket-mode" has to be a string, as "0660"$/],
		['[server]\nsocket-mode = "0888"\n', /"socket-mode" in .*, line 2 is invalid: it is an octal number such as 0660$/],
		['[server]\nssl = "maybe"\n', /"ssl" in .*, line 2 is invalid: it is true or false$/],
		["[server]\ncheck-args = true\n", /, line 2: "check-args" belongs on the command line/],
		["[server]\nport = = 1\n", /, line 2: this is not TOML: /],
	]) {
		const { exitCode, stderr, stdout } = await start(t, [
			"--server",
			"--config",
			configFile(t, text),
			"--check-config",
		]);
		t.is(exitCode, 1, text);
		t.regex(stderr.trimEnd(), sentence);
		t.is(stderr.split("\n").length, 2);
		t.is(stdout, "");
	}
	const { exitCode, stderr } = await start(t, ["-sf", "x"], { env: { GEARMAN_CONFIG: "/no/such.toml" } });
	t.is(exitCode, 1);
	t.regex(stderr, /^gearman: could not read the configuration file \/no\/such\.toml: no such file\n$/);
});

test("all that is wrong in the file is told at once", async (t) => {
	const file = configFile(t, '[server]\nbacklog = 0\ncolour = "red"\nport = [1]\nsyslog = 2\n[sever]\na = 1\n');
	const { exitCode, stderr } = await start(t, ["--server", "--config", file, "--check-config"]);
	t.is(exitCode, 1);
	const lines = stderr.trimEnd().split("\n");
	t.is(lines.length, 5);
	for (const [at, line] of [6, 3, 4, 2, 5].entries()) {
		t.true(lines[at].startsWith("gearman: "));
		t.regex(lines[at], new RegExp(`config\\.toml, line ${line}\\b`));
	}
});

test("a server, a client and an admin take their options from the file", async (t) => {
	const port = await freePort();
	const file = configFile(
		t,
		`[server]\njob-handle-prefix = "H:toml"\nverbose = "INFO"\n[client]\nport = ${port}\nhost = "127.0.0.1"\n[admin]\nport = ${port}\nhost = "127.0.0.1"\njson = true\n`,
	);
	const server = await startProgramServer(t, ["--config", file]);
	const wire = await dial(t, server.port);
	wire.send("SUBMIT_JOB_BG", "f", "", "");
	t.deepEqual(await wire.next(), ["JOB_CREATED", "H:toml:1"]);
	const env = { GEARMAN_CONFIG: file };
	const refused = new RegExp(`127\\.0\\.0\\.1:${port}`);
	t.regex((await start(t, ["-sf", "x"], { env })).stderr, refused);
	t.regex((await start(t, ["--status"], { env })).stderr, refused);
});

test("--check-config says what it found, listens nowhere and makes no file", async (t) => {
	const folder = temporaryFolder(t);
	const { port } = await startProgramServer(t);
	const args = ["--server", "--check-config", "--listen=127.0.0.1", `--port=${port}`, "--daemon"];
	const good = await start(t, [...args, `--state-dir=${join(folder, "new")}`, "--allow=10.0.0.0/8"]);
	t.is(good.stderr, "");
	t.is(good.exitCode, 0);
	t.regex(
		good.stdout,
		new RegExp(`^listen: 127\\.0\\.0\\.1:${port}\nTLS: none\nrules: good\nstore: sqlite, in ${folder}/new\n`),
	);
	t.regex(good.stdout, /\nThe configuration is good\n$/);
	chmodSync(folder, 0o755);
	for (const [more, line] of [
		[
			["--listen=no.such.host.invalid"],
			/^listen: NOT GOOD: could not listen on no\.such\.host\.invalid: no such host$/m,
		],
		[
			["--ssl", "--ssl-certificate=/no.pem", "--ssl-key=/no.key"],
			/^TLS: NOT GOOD: could not read \/no\.pem: no such file$/m,
		],
		[["--queue-type=wishful"], /^store: NOT GOOD: Error .* : wishful: it is one of memory, sqlite, /m],
		[["--queue-type=redis", `--redis-port=${await freePort()}`], /^store: NOT GOOD: .*/m],
		[["--log-file=/no/log"], /^log-file: NOT GOOD: \/no cannot be written: no such directory$/m],
		[["--protocol=smoke"], /^protocol smoke: NOT GOOD: there is no such protocol$/m],
	]) {
		const base = more.some((arg) => arg.startsWith("--queue")) ? args : [...args, `--state-dir=${folder}`];
		const { exitCode, stdout } = await start(t, [...base, ...more]);
		t.is(exitCode, 1, more.join());
		t.regex(stdout, line);
		t.regex(stdout, /\nThe configuration is not good\n$/);
	}
	const { exitCode, stderr } = await start(t, [...args, "--allow=anyone"]);
	t.is(exitCode, 1);
	t.regex(stderr, /^gearman: --allow "anyone" is no rule: expected an address/);
});

testTls("--check-config reads the certificates", async (t) => {
	const file = certificates();
	const tls = ["--ssl", `--ssl-certificate=${file("server.pem")}`, `--ssl-key=${file("server.key")}`];
	const args = ["--server", "--check-config", "--queue-type=builtin", ...tls];
	const { stdout, exitCode } = await start(t, [...args, `--ssl-ca-file=${file("ca.pem")}`]);
	t.is(exitCode, 0);
	t.regex(stdout, /^TLS: good; client certificates are required$/m);
	const past = ["--ssl", `--ssl-certificate=${file("past.pem")}`, `--ssl-key=${file("past.key")}`];
	const bad = await start(t, ["--server", "--check-config", "--queue-type=builtin", ...past]);
	t.is(bad.exitCode, 1);
	t.regex(bad.stdout, /^TLS: NOT GOOD: .*past\.pem has expired: it was good until .*$/m);
	const without = await start(t, ["--server", "--check-config", "--queue-type=builtin", ...tls.slice(1)]);
	t.regex(without.stdout, /^TLS: none: there is no --ssl$/m);
});

// What scripts/packaging offers, as far as it can be tried without installing it: units, readiness, socket activation.

import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { execa } from "execa";
import { freePort } from "../helpers/free-port.js";
import { program, said, start, temporaryFolder } from "../helpers/program.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const packaging = fileURLToPath(new URL("../../scripts/packaging/", import.meta.url));

/** The test, or a skipped one of the same title where a program is not installed. */
function testWith(...programs) {
	try {
		for (const name of programs) execFileSync("which", [name], { stdio: "ignore" });
		return test;
	} catch {
		return (title, ...rest) => test.skip(`${title} (needs ${programs.join(" and ")})`, ...rest);
	}
}

testWith("systemd-analyze")("systemd finds no fault with the units, and the service is hardened", async (t) => {
	const folder = temporaryFolder(t);
	const units = ["gearmand.service", "gearmand.socket", "gearman-job-server.service"];
	for (const unit of units) copyFileSync(join(packaging, unit), join(folder, unit));
	for (const unit of units) {
		const { stdout, stderr } = await execa("systemd-analyze", ["verify", "--man=no", `./${unit}`], {
			cwd: folder,
			reject: false,
		});
		t.is(`${stdout}${stderr}`, "", unit);
	}
	const { stdout } = await execa(
		"systemd-analyze",
		["security", "--offline=true", "--threshold=25", "./gearmand.service"],
		{
			cwd: folder,
			reject: false,
		},
	);
	t.regex(stdout, /Overall exposure level for gearmand\.service: [01]\.\d OK/);
});

const receiver = `
	use Socket;
	socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die $!;
	bind($s, sockaddr_un($ARGV[0])) or die $!;
	$| = 1;
	print "bound\\n";
	while (defined(recv($s, my $text, 4096, 0))) { print "$text\\n"; }`;

for (const [title, programs] of [
	["systemd-notify", ["systemd-notify", "perl"]],
	["perl", ["perl"]],
]) {
	testWith(...programs)(`systemd hears of ready, alive and stopping, by ${title}`, async (t) => {
		const folder = temporaryFolder(t);
		const path = join(folder, "notify");
		const listener = start(t, ["-e", receiver, path], { command: "perl" });
		await said(listener.stdout, /bound/);
		let heard = "";
		listener.stdout.on("data", (bytes) => {
			heard += bytes;
		});
		const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: "200000", GEARMAN_LISTEN: "127.0.0.1" };
		if (title === "perl") {
			// A PATH without systemd-notify.
			for (const name of ["node", "perl", "env", "sh"]) {
				const { stdout } = await execa("which", [name]);
				await execa("ln", ["-s", name === "node" ? process.execPath : stdout, join(folder, name)]);
			}
			env.PATH = folder;
		}
		const args = [program, "--server", "--port=0", "--queue-type=builtin", "--drain-timeout=1s"];
		const child = start(t, args, { command: process.execPath, env });
		await until(() => /READY=1[\s\S]*STATUS=Listening on port \d+[\s\S]*WATCHDOG=1/.test(heard), "readiness");
		child.kill();
		t.is((await child).exitCode, 0);
		await until(() => /STOPPING=1/.test(heard), "the end");
		t.is((await child).stderr, "");
	});
}

testWith("systemd-socket-activate")("systemd's socket activation starts it at the first connection", async (t) => {
	const port = await freePort();
	const admin = await freePort();
	const args = [`--listen=127.0.0.1:${port}`, `--listen=127.0.0.1:${admin}`, "--fdname=gear:admin"];
	const server = ["--server", "--queue-type=builtin", "--verbose=INFO", "--log-file=stderr"];
	const child = start(t, [...args, `--setenv=PATH=${process.env.PATH}`, program, ...server], {
		command: "systemd-socket-activate",
	});
	await said(child.stderr, /Listening on 127\.0\.0\.1:\d+ as 4/);
	const wire = await dial(t, port);
	wire.raw("create function f\n");
	t.is(await wire.next(), `ERR NOT_ALLOWED This+command+is+taken+at+127.0.0.1:${admin}`);
	const wireToAdmin = await dial(t, admin);
	wireToAdmin.raw("create function f\n");
	t.is(await wireToAdmin.next(), "OK");
	child.kill();
	t.is((await child).exitCode, 0);
});

test("the example configuration is good", async (t) => {
	const args = ["--server", "--check-config", "--config", join(packaging, "config.toml")];
	const { exitCode, stdout, stderr } = await start(t, [...args, `--state-dir=${temporaryFolder(t)}`]);
	t.is(stderr, "");
	t.is(exitCode, 0, stdout);
});

testWith("logrotate")("logrotate moves the log away, and the server goes on in a new one", async (t) => {
	const folder = temporaryFolder(t);
	const log = join(folder, "gearmand.log");
	const pidFile = join(folder, "pid");
	const text = readFileSync(join(packaging, "gearmand.logrotate"), "utf8")
		.replaceAll("/var/log/gearman/", `${folder}/`)
		.replaceAll("/run/gearman/gearmand.pid", pidFile)
		.replaceAll("gearmand.service", "gearman-test.service");
	const rules = join(folder, "rules");
	writeFileSync(rules, text, { mode: 0o644 });
	start(t, ["--server", "--port=0", "--listen=127.0.0.1", "-qbuiltin", "-vvv", `--log-file=${log}`, `-P${pidFile}`]);
	await until(() => existsSync(pidFile), "the pid file");
	const [, port] = await until(() => /Listening on 127\.0\.0\.1:(\d+)/.exec(readFileSync(log, "utf8")), "the port");
	const rotate = () => execa("logrotate", ["--force", `--state=${join(folder, "state")}`, rules]);
	t.is((await rotate()).stderr, "");
	await until(() => /SIGHUP/.test(readFileSync(`${log}.1`, "utf8")), "the last line of the old log");
	await dial(t, Number(port));
	await until(() => /^ +INFO .* Accepted connection/.test(readFileSync(log, "utf8")), "the first line of the new log");
	t.is((await rotate()).stderr, "");
	t.true(existsSync(`${log}.2.gz`));
});

test("the Dockerfile copies what is there, and runs as nobody special", (t) => {
	const text = readFileSync(join(packaging, "Dockerfile"), "utf8");
	const root = fileURLToPath(new URL("../..", import.meta.url));
	for (const [, names] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
		for (const name of names.split(" ")) t.notThrows(() => execFileSync("test", ["-e", join(root, name)]), name);
	}
	t.regex(text, /^USER node$/m);
	t.regex(text, /^HEALTHCHECK .*gearadmin/m);
});

test("a container's health check works with a Kubernetes-made GEARMAND_PORT", async (t) => {
	const port = await freePort();
	const env = { GEARMAND_PORT: "tcp://10.0.0.1:4730", GEARMAN_PORT: `${port}` };
	const health = () => start(t, ["--admin", "--timeout=4s", "--getpid"], { env });
	t.not((await health()).exitCode, 0);
	const args = ["--server", "--listen=127.0.0.1", "--queue-type=builtin", "-vvv", "--log-file=stderr"];
	const child = start(t, args, { env });
	await said(child.stderr, new RegExp(`Listening on 127\\.0\\.0\\.1:${port}`));
	t.is((await health()).exitCode, 0);
});

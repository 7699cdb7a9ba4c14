// The units of scripts/packaging under a real systemd: this machine's own system, booted once as a container that keeps
// nothing (systemd-boot.sh). What happens in there is systemd-check.sh; each test here judges one section of its report.

import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";
import { certificates } from "../helpers/certificates.js";

const project = fileURLToPath(new URL("../..", import.meta.url));
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
/** For the whole of it; it takes 10 to 25 seconds. */
const BOOT_MS = 55_000;

/** The units as they are, found by the container's systemd, with the few seconds a test has. */
function writeUnits(folder) {
	const system = join(folder, "system");
	const path = "Environment=PATH=/opt/gearman/bin:/opt/node:/usr/bin:/bin";
	for (const [unit, settings] of [
		["gearmand.service", [path, "WatchdogSec=2", "RestartSec=100ms", "SupplementaryGroups=adm"]],
		["gearman-job-server.service", [path]],
		["gearmand.socket", []],
	]) {
		mkdirSync(join(system, `${unit}.d`), { recursive: true });
		copyFileSync(join(project, "scripts/packaging", unit), join(system, unit));
		if (settings.length > 0)
			writeFileSync(join(system, `${unit}.d`, "test.conf"), `[Service]\n${settings.join("\n")}\n`);
	}
	const check = [
		"[Unit]",
		"DefaultDependencies=no",
		"Wants=dbus.socket systemd-journald.socket",
		"After=basic.target dbus.socket systemd-journald.socket",
		"SuccessAction=exit-force",
		"FailureAction=exit-force",
		"[Service]",
		"Type=oneshot",
		"ExecStart=/opt/check/check.sh",
		"StandardOutput=append:/opt/check/report",
		"StandardError=inherit",
	];
	writeFileSync(join(system, "check.service"), `${check.join("\n")}\n`);
}

/** What the sections of the report say, by name; undefined where no such container can be started. */
function boot() {
	if (process.platform !== "linux" || process.getuid() !== 0) return undefined;
	try {
		for (const name of ["systemd-nspawn", "unshare", "openssl"]) execFileSync("which", [name], { stdio: "ignore" });
	} catch {
		return undefined;
	}
	const folder = mkdtempSync(join(tmpdir(), "gearman-systemd-"));
	try {
		writeUnits(folder);
		copyFileSync(here("systemd-check.sh"), join(folder, "check.sh"));
		chmodSync(join(folder, "check.sh"), 0o755);
		for (const name of ["server.pem", "server.key", "renewed.pem", "renewed.key"])
			copyFileSync(certificates()(name), join(folder, name));
		const report = join(folder, "report");
		writeFileSync(report, "");
		const namespace = ["--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"];
		const args = [...namespace, here("systemd-boot.sh"), folder, project, dirname(process.execPath)];
		spawnSync("unshare", args, { stdio: "ignore", timeout: BOOT_MS, killSignal: "SIGKILL" });
		const [before, ...sections] = readFileSync(report, "utf8").split(/^## /m);
		// No line at all: it did not boot, which is this machine's affair.
		if (sections.length === 0) return undefined;
		return new Map([["before", before], ...sections.map((text) => /^(\S+)\n([\s\S]*)$/.exec(text).slice(1))]);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

const report = boot();

function section(name, title, judge) {
	const full = `${title} (needs systemd-nspawn, and to be root)`;
	if (report === undefined) test.skip(full, judge);
	else test(title, (t) => judge(t, report.get(name) ?? `no section ${name}: ${[...report.values()].join("\n")}`));
}

section("start", "systemd's service keeps its jobs over restarts, under a user of its own", (t, text) => {
	t.regex(text, /^ActiveState=active$/m);
	t.regex(text, /^StatusText=Listening on port 4730$/m);
	t.regex(text, /^\/var\/lib\/private\/gearman 700 6\d{4}$/m);
	t.regex(text, /^\/run\/gearman\/admin 660 6\d{4}$/m);
	t.regex(text, /^f\t1\t0\t0$/m);
	t.notRegex(text, /never|Failed|failed/);
});

section("watchdog", "systemd restarts a server that has stopped to turn", (t, text) => {
	t.regex(text, /^ActiveState=active$/m);
	t.regex(text, /^NRestarts=1$/m);
	t.regex(text, /^f\t1\t0\t0$/m);
});

section("reload", "systemctl reload opens the log anew, and reads a key again that a group may read", (t, text) => {
	const [first, second] = text.match(/^serial=.+$/gm) ?? [];
	t.truthy(second, text);
	t.not(first, second);
	t.regex(text, /TLS certificates read again/);
	t.notRegex(text, /Replayed/);
});

section("drain", "systemctl stop lets the running job finish", (t, text) => {
	t.regex(text, /^ActiveState=inactive$/m);
	t.regex(text, /^Result=success$/m);
	t.regex(text, /^client 0\nfinished$/m);
});

section(
	"sockets",
	"gearmand.socket starts the service with the first connection, and restarts lose nothing",
	(t, text) => {
		t.regex(text, /^inactive\nactive$/m);
		t.regex(text, /^place\t\/var\/lib\/gearman\/4730\.sqlite$/m);
		const sent = Number(/^sent: (\d+)$/m.exec(text)?.[1]);
		t.true(sent > 0, text);
		const [, queued] = /^g\t(\d+)\t0\t0$/m.exec(text) ?? [];
		t.true(Number(queued) >= sent, text);
		t.regex(text, /^f\t2\t0\t0$/m);
	},
);

section(
	"failing",
	"a server that cannot start for a while starts as soon as it can, and its sockets stay",
	(t, text) => {
		t.regex(text, /^active\n/);
		t.regex(text, /Error while initializing the queue : nonsense/);
		t.regex(text, /^[fg]\t\d+\t0\t0$/m);
		t.notRegex(text, /never/);
	},
);

section("debian", "Debian's unit in our version takes PARAMS as they are, and the jobs that are there", (t, text) => {
	t.regex(text, /^ActiveState=active$/m);
	t.regex(text, /^FragmentPath=\/etc\/systemd\/system\/gearman-job-server\.service$/m);
	t.regex(text, /^[fg]\t\d+\t0\t0$/m);
	t.regex(text, /^\/var\/lib\/gearman 700 gearman$/m);
	t.regex(text, /^\/run\/gearman\/gearmand\.pid 644 gearman$/m);
	t.regex(text, /^\/var\/log\/gearman-job-server\/gearmand\.log \d+ gearman$/m);
	t.regex(text, /^ActiveState=inactive$/m);
});

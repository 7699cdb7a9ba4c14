// Programs as users run them: ours under its three names, and other people's where they are installed. Every process is
// started here and ended, by its id, when its test ends.

import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import test from "ava";
import { execa } from "execa";
import { findProgram, isCompiled } from "./find-program.js";
import { freePort } from "./free-port.js";
import { program } from "./program.js";
import { dial } from "./server.js";
import { until } from "./until.js";

/** How long any one program may take. */
const PROGRAM_MS = 40_000;

/** A folder with gearman, gearmand and gearadmin: as after `npm install --global`. */
const installed = mkdtempSync(join(tmpdir(), "gearman-bin-"));
for (const name of ["gearman", "gearmand", "gearadmin"]) symlinkSync(program, join(installed, name));
process.once("exit", () => rmSync(installed, { recursive: true, force: true }));

export const ours = {
	gearman: join(installed, "gearman"),
	gearmand: join(installed, "gearmand"),
	gearadmin: join(installed, "gearadmin"),
};

/** No setting of whoever runs the tests, and our names first in PATH. */
export const environment = {
	...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(GEARMAN|NODE_OPTIONS)/.test(name))),
	PATH: `${installed}${delimiter}${process.env.PATH}`,
	LC_ALL: "C.UTF-8",
};

const says = (path, args) => execFileSync(path, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

export const C = {
	gearman: findProgram("gearman", isCompiled),
	gearmand: findProgram("gearmand", isCompiled),
	gearadmin: findProgram("gearadmin", isCompiled),
};
export const convert = findProgram(
	"convert",
	(path) => isCompiled(path) && says(path, ["-version"]).includes("ImageMagick"),
);
export const identify = findProgram(
	"identify",
	(path) => isCompiled(path) && says(path, ["-version"]).includes("ImageMagick"),
);
export const nginx = findProgram("nginx", isCompiled);
export const apache = findProgram("apache2", isCompiled);
export const php = findProgram(
	"php",
	(path) => says(path, ["-r", "echo class_exists('GearmanClient') ? 'yes' : 'no';"]) === "yes",
);
export const curl = findProgram("curl", (path) => isCompiled(path) && says(path, ["--version"]).startsWith("curl "));
export const perl = findProgram(
	"perl",
	(path) => says(path, ["-MGearman::Client", "-MGearman::Worker", "-e", "print 1"]) === "1",
);

/** Perl's Gearman::Server as a program: Debian's gearman-server. */
export const perlGearmand = findProgram("gearmand", (path) =>
	readFileSync(path, "latin1").includes("use Gearman::Server"),
);

/**
 * `test`, or `test.skip` when one of the parts is not installed: its title shows up among the skipped ones. One after the
 * other, for each starts several processes.
 */
export function testWith(...parts) {
	return parts.every((part) => part !== undefined) ? test.serial : test.serial.skip;
}

/** Runs a program to its end: { stdout, stderr, exitCode }, output as latin1, a character a byte. */
export async function run(t, file, args, { input = "", ...more } = {}) {
	const child = execa(file, args, {
		input,
		encoding: "latin1",
		stripFinalNewline: false,
		reject: false,
		extendEnv: false,
		timeout: more.timeoutMs ?? PROGRAM_MS,
		killSignal: "SIGKILL",
		env: { ...environment, ...more.env },
		cwd: more.cwd,
	});
	t.teardown(() => child.kill("SIGKILL"));
	const { stdout, stderr, exitCode, signal, timedOut, code } = await child;
	if (code !== undefined && !timedOut && exitCode === undefined && signal === undefined)
		throw new Error(`${file}: ${code}`);
	if (timedOut) throw new Error(`${file} ${args.join(" ")} did not end\n${stdout}\n${stderr}`);
	return { stdout, stderr, exitCode };
}

/**
 * Starts a program that goes on until the test ends; `output()` is what it has written so far, as latin1. With `isGroup`
 * all it has started ends with it.
 */
export function start(t, file, args, { env, cwd, stdin = "ignore", isGroup = false } = {}) {
	const child = execa(file, args, {
		stdin,
		encoding: "buffer",
		buffer: false,
		reject: false,
		extendEnv: false,
		env: { ...environment, ...env },
		cwd,
		detached: isGroup,
	});
	const texts = { stdout: "", stderr: "" };
	for (const name of ["stdout", "stderr"]) {
		child[name].on("data", (chunk) => {
			texts[name] += chunk.toString("latin1");
		});
	}
	t.teardown(async () => {
		if (child.exitCode !== null || child.signalCode !== null) return;
		process.kill(isGroup ? -child.pid : child.pid, "SIGKILL");
		// Not the end of its output, which children of its own may have inherited.
		await once(child, "exit");
	});
	return { child, output: () => texts.stdout, errors: () => texts.stderr };
}

/** A job server as a process on a port of its own: gearmand's options → { port, child, … }. */
export async function startGearmand(t, gearmand, args = []) {
	const all = args.some((arg) => arg.startsWith("--queue-type")) ? args : ["--queue-type=builtin", ...args];
	for (let attempt = 1; ; attempt++) {
		const port = await freePort();
		const running = start(t, gearmand, ["--listen=127.0.0.1", `--port=${port}`, "--log-file=stderr", ...all]);
		const isUp = await until(async () => {
			if (running.child.exitCode !== null) return "gone";
			const peer = await dial(t, port);
			peer.raw("version\n");
			const reply = await peer.next();
			peer.destroy();
			return reply.startsWith("OK ");
		}, gearmand);
		if (isUp === true) return { port, ...running };
		// Another process took the port in between.
		if (attempt === 3) throw new Error(`${gearmand} does not start: ${running.errors()}`);
	}
}

/** Waits until as many workers are registered for each function: { name: count }. */
export async function workersReady(t, port, wanted) {
	const admin = await dial(t, port);
	await until(
		async () => {
			const rows = (await admin.list("status")).map((line) => line.split("\t"));
			return Object.entries(wanted).every(([name, count]) =>
				rows.some((row) => row[0] === name && row[3] === `${count}`),
			);
		},
		`the workers for ${Object.keys(wanted)}`,
	);
	admin.destroy();
}

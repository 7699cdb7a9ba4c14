// The first thing that runs: mode by the name called and the flags, options, then only that mode's file. Alone sets the
// exit code. Nothing is imported here that a client does not need: `gearman -f x` is to start as fast as Node does.

import { writeFileSync } from "node:fs";
import type { GearmanError } from "../errors.ts";
import type { Mode, Options } from "../options.ts";
import { reasonOf } from "../reason.ts";
import { pickMode } from "./getopt.ts";
import { parse } from "./parse.ts";
import { calledAs, helpOf, usage, versionOf } from "./usage.ts";

/** What src/cli/<mode>.ts exports. */
type Run<M extends Mode> = (options: Options<M>, operands: string[]) => Promise<number>;

/** The options that mean the same in every mode that has them. */
interface Common {
	help: boolean;
	version: boolean;
	daemon?: boolean;
	"pid-file"?: string | undefined;
	"check-args"?: boolean;
	"check-config"?: boolean;
}

const NO_SERVER: ReadonlySet<string> = new Set([
	"COULD_NOT_CONNECT",
	"CONNECTION_LOST",
	"INVALID_RESPONSE",
	"NO_WORKER",
]);
const BUG = 70;
const UNAVAILABLE = 69;
const TIMED_OUT = 75;

const argv = process.argv.slice(2);
const mode = pickMode(calledAs, argv);

// Before all else: without a listener Node answers SIGUSR1, gearmand's graceful shutdown, by opening its debugger's port.
process.on("SIGUSR1", () => {
	// Server and worker have a listener of their own; the others end as any program does that knows no such signal.
	if (mode === "client" || mode === "admin") process.exit(128 + 10);
});
process.on("uncaughtException", crash);

void main().then((code) => process.exit(code));

function main(): Promise<number> {
	switch (mode) {
		case "client":
			return start(mode, async () => (await import("./client.ts")).run);
		case "worker":
			return start(mode, async () => (await import("./worker.ts")).run);
		case "server":
			return start(mode, async () => (await import("./server.ts")).run);
		case "admin":
			return start(mode, async () => (await import("./admin.ts")).run);
	}
}

async function start<M extends Mode>(mode: M, load: () => Promise<Run<M>>): Promise<number> {
	try {
		const { options, operands } = await parse(mode, argv, process.env);
		const {
			help,
			version,
			daemon,
			"pid-file": pidFile,
			"check-args": checkArgs,
			"check-config": isCheck,
		}: Common = options;
		// gearmand checks before it helps.
		if (checkArgs) return 0;
		if (help || version) {
			print(help ? await helpOf(mode) : versionOf(mode));
			return 0;
		}
		if (daemon && !isCheck) {
			const code = await (await import("./process.ts")).daemonize();
			if (code !== undefined) return code;
		}
		// The server writes its own once the port listens.
		if (pidFile !== undefined && mode !== "server") (await import("./process.ts")).writePidFile(pidFile);
		const code = await (await load())(options, operands);
		await drained();
		return code;
	} catch (error) {
		return fail(error);
	}
}

/** To stdout, without the streams of process.stdout, which take 4 ms to load. */
function print(text: string): void {
	writeFileSync(1, text);
}

/** Waits until stdout has left: process.exit() would cut off what a slow reader has not yet taken. */
async function drained(): Promise<void> {
	if (process.stdout.writableLength > 0) await new Promise((resolve) => process.stdout.once("drain", resolve));
}

/** What was thrown → a line on stderr and the exit code. */
async function fail(error: unknown): Promise<number> {
	if (isGearmanError(error)) {
		if (error.code === "USAGE") return usage(mode, error.message);
		process.stderr.write(error.message.replace(/^/gm, `${calledAs}: `).concat("\n"));
		if (NO_SERVER.has(error.code)) return UNAVAILABLE;
		return error.code === "TIMED_OUT" ? TIMED_OUT : 1;
	}
	// A file or socket that would not: the machine's answer, not our bug.
	if (error instanceof Error && "syscall" in error) {
		const path = "path" in error ? `${error.path}: ` : "";
		process.stderr.write(`${calledAs}: ${path}${reasonOf(error)}\n`);
		return 1;
	}
	process.stderr.write(`${calledAs}: ${stackOf(error)}\n`);
	return BUG;
}

/** By name: all but the server is joined into one file (scripts/build.js), so there are two classes GearmanError. */
function isGearmanError(error: unknown): error is GearmanError {
	return error instanceof Error && error.name === "GearmanError";
}

function stackOf(error: unknown): string {
	return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function crash(error: unknown): void {
	// `gearman … | head`: the reader left, as SIGPIPE ends a C program.
	if (error instanceof Error && "code" in error && error.code === "EPIPE" && process.stdout.errored === error)
		process.exit(141);
	process.stderr.write(`${calledAs}: ${stackOf(error)}\n`);
	process.exit(BUG);
}

// What the measurements start: job servers of ours and of C's, load generators, programs. Each ends with this process,
// also by an error or Ctrl-C, and nothing may take longer than it is given.
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { findProgram, isCompiled } from "../../test/helpers/find-program.js";
import { freePort } from "../../test/helpers/free-port.js";

/** How long a server may take to answer, and a load beyond its own time. */
const PATIENCE_MS = 10_000;

export const ours = fileURLToPath(new URL("../../bin/gearman", import.meta.url));

/** C's programs; ours may go by the same name. */
export const C = { gearmand: findProgram("gearmand", isCompiled), gearman: findProgram("gearman", isCompiled) };

/** No setting of whoever measures. */
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(GEARMAN|NODE_OPTIONS)/.test(name)));
const living = new Set();
process.once("exit", () => {
	for (const child of living) child.kill("SIGKILL");
});
for (const [signal, number] of [
	["SIGINT", 2],
	["SIGTERM", 15],
	["SIGHUP", 1],
])
	process.once(signal, () => process.exit(128 + number));

function keep(child) {
	living.add(child);
	child.once("exit", () => living.delete(child));
	return child;
}

async function end(child) {
	if (child.exitCode !== null || child.signalCode !== null) return;
	child.kill("SIGKILL");
	await once(child, "exit");
}

/** Ours first; C's as it is started by default (one thread for the sockets, or four), where it is installed. */
export const servers = [
	{ name: "ours", command: [ours, "--server", "--queue-type=builtin"] },
	{ name: "C -t 1", command: C.gearmand && [C.gearmand, "--queue-type=builtin", "-t", "1"] },
	{ name: "C -t 4", command: C.gearmand && [C.gearmand, "--queue-type=builtin", "-t", "4"] },
].filter(({ command }) => command !== undefined);

/** Starts one of `servers` on a port of its own, or the one given: { name, port, pid, stop() }. */
export async function startServer({ name, command: [program, ...args] }, port = undefined) {
	const at = port ?? (await freePort());
	const listen = ["--listen=127.0.0.1", `--port=${at}`, "--log-file=none"];
	const child = keep(spawn(program, [...args, ...listen], { stdio: ["ignore", "ignore", "inherit"], env }));
	child.once("error", (error) => console.error(`${program}: ${error.message}`));
	for (const endMs = Date.now() + PATIENCE_MS; !(await answers(at)); await sleep(10)) {
		if (child.exitCode === null && child.signalCode === null && Date.now() < endMs) continue;
		await end(child);
		throw new Error(`${name} does not start`);
	}
	return { name, port: at, pid: child.pid, stop: () => end(child) };
}

async function answers(port) {
	const socket = connect(port, "127.0.0.1");
	try {
		await once(socket, "connect");
		socket.write("version\n");
		await once(socket, "data");
		return true;
	} catch {
		return false;
	} finally {
		socket.destroy();
	}
}

/** Runs `use` with servers of those kinds, and ends them. */
export async function* withServers(kinds, use) {
	const started = [];
	try {
		for (const kind of kinds) started.push(await startServer(kind));
		yield* use(started);
	} finally {
		for (const server of started) await server.stop();
	}
}

/** A load generator: ask(how) runs one of load.js's kinds and gives its figures. */
export function startLoad() {
	const child = keep(fork(new URL("./load.js", import.meta.url), { env }));
	return {
		pid: child.pid,
		async ask(how) {
			child.send(how);
			const limitMs = (how.seconds ?? 20) * 1000 + PATIENCE_MS;
			const controller = new AbortController();
			const { signal } = controller;
			try {
				const [answer] = await Promise.race([
					once(child, "message", { signal }),
					once(child, "exit", { signal }).then(() => [{ error: "the load generator ended" }]),
					sleep(limitMs, [{ error: `no end after ${limitMs / 1000} s` }], { signal }),
				]);
				if (answer.error !== undefined) throw new Error(`${how.kind}: ${answer.error}`);
				return answer.figures;
			} finally {
				controller.abort();
			}
		},
		stop: () => end(child),
	};
}

/** One load after the other by one generator, which ends with `use`. */
export async function* withLoad(use) {
	const load = startLoad();
	try {
		yield* use(load);
	} finally {
		await load.stop();
	}
}

/** A program that goes on until it is stopped. */
export function startProgram(command, args) {
	const child = keep(spawn(command, args, { stdio: ["ignore", "ignore", "inherit"], env }));
	return { pid: child.pid, stop: () => end(child) };
}

/** Seconds a program takes, its standard input a file or nothing. It may take as long as `limitMs`. */
export async function timeProgram(command, args, { input, limitMs = PATIENCE_MS } = {}) {
	const file = input === undefined ? "ignore" : openSync(input);
	const startedMs = performance.now();
	const child = keep(spawn(command, args, { stdio: [file, "ignore", "inherit"], env }));
	const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
	const [code, signal] = await once(child, "exit");
	const seconds = (performance.now() - startedMs) / 1000;
	clearTimeout(timer);
	if (input !== undefined) closeSync(file);
	if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${signal ?? code} after ${seconds} s`);
	return seconds;
}

/** A folder that is gone afterwards. */
export function temporaryFolder() {
	const folder = mkdtempSync(join(tmpdir(), "gearman-bench-"));
	const remove = () => rmSync(folder, { recursive: true, force: true });
	process.once("exit", remove);
	return {
		folder,
		remove: () => {
			process.off("exit", remove);
			remove();
		},
	};
}

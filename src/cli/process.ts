// What a process owes its surroundings: the pid file, and running in the background. Called by main.ts and server.ts.
//
// Node cannot fork, so a daemon is this very command line run again, detached, stdio on /dev/null, with an IPC channel:
//
//   parent  daemonize() ── spawn ──▸ child  daemonize() → undefined: it goes on
//           waits                          arguments, pid file, ports …
//           prints  ◂────────── text ────── whatever the child writes to stderr before it is ready
//           exits 0 ◂────────── ready ───── tellReady(); the channel is closed
//           exits n ◂────────── exit n ──── or the child gave up first
//
// So a daemon that cannot start says so where it was started, with its own exit code. tellReady() has to be called in
// every mode that takes -d, once nothing can go wrong any more; it does nothing in a process that is no daemon.

import { spawn } from "node:child_process";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { GearmanError } from "../errors.ts";
import { reasonOf, WRITING } from "../reason.ts";

/** Set in the child only, until it is ready: the whole state, for this module may be there twice (scripts/build.js). */
const MARKER = "GEARMAN_DAEMON_CHILD";

type Message = { ready: true } | { text: string };

/** In the parent: the exit code, once the child is ready or gone. In the child: undefined. */
export async function daemonize(): Promise<number | undefined> {
	if (!isStarting()) {
		delete process.env[MARKER];
		return startChild();
	}
	process.stderr.write = (text: string | Uint8Array): boolean => send({ text: String(text) });
	// The channel must not keep a client alive that is done.
	process.channel?.unref();
	return undefined;
}

/** Whether this is a daemon somebody waits for. */
function isStarting(): boolean {
	return process.env[MARKER] !== undefined && process.send !== undefined;
}

function startChild(): Promise<number> {
	const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
		detached: true,
		stdio: ["ignore", "ignore", "ignore", "ipc"],
		env: { ...process.env, [MARKER]: "1" },
	});
	return new Promise((resolve, reject) => {
		let code: number | undefined;
		const settle = (): void => {
			// Both, in either order: the channel may still hold the child's last words when it is gone.
			if (code !== undefined && !child.connected) resolve(code);
		};
		child.once("error", reject);
		child.once("exit", (status) => {
			code ??= status ?? 70;
			settle();
		});
		child.once("disconnect", settle);
		child.on("message", (message: Message) => {
			if ("text" in message) process.stderr.write(message.text);
			else {
				child.unref();
				resolve(0);
			}
		});
	});
}

/** The daemon works: lets the parent go. Does nothing when nobody waits. */
export function tellReady(): void {
	if (!isStarting()) return;
	send({ ready: true });
	delete process.env[MARKER];
	// Back to the stream's own, which is /dev/null.
	Reflect.deleteProperty(process.stderr, "write");
	if (process.connected) process.disconnect();
}

function send(message: Message): boolean {
	// The parent may have been killed while it waited.
	return process.connected && process.send !== undefined ? process.send(message) : false;
}

/** Writes "<pid>\n" and removes the file at exit, unless another process has taken it over. Throws GearmanError. */
export function writePidFile(path: string): void {
	const content = `${process.pid}\n`;
	try {
		// Under another name first: whoever sees the file sees the pid in it, and no link that lies there is written through.
		const draft = `${path}.${process.pid}`;
		rmSync(draft, { force: true });
		writeFileSync(draft, content, { mode: 0o644, flag: "wx" });
		renameSync(draft, path);
	} catch (error) {
		const reason = reasonOf(error, WRITING);
		throw new GearmanError("BAD_ARGUMENT", `Could not open pid file for writing: ${path} (${reason})`, {
			cause: error,
		});
	}
	const remove = (): void => {
		try {
			if (readFileSync(path, "utf8") === content) rmSync(path);
		} catch {
			// Gone already, or no longer ours to remove: nobody is left to tell.
		}
	};
	process.once("exit", remove);
	// A signal nobody else waits for ends the process without an "exit" event.
	for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
		const end = (): void => {
			if (process.listenerCount(signal) > 1) return;
			remove();
			process.off(signal, end);
			process.kill(process.pid, signal);
		};
		process.on(signal, end);
	}
}

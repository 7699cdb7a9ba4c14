// The built program run for real: servers on private ports, and whatever a test starts is ended with it.

import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { DEADLINE_MS } from "./server.js";

export const program = fileURLToPath(new URL("../../bin/gearman", import.meta.url));

/** A folder of the test's own. */
export function temporaryFolder(t) {
	const folder = mkdtempSync(join(tmpdir(), "gearman-test-"));
	t.teardown(() => rmSync(folder, { recursive: true, force: true }));
	return folder;
}

/** The program under another name. */
export function linkAs(t, name) {
	const path = join(temporaryFolder(t), name);
	symlinkSync(program, path);
	return path;
}

/** Runs the program; the result never rejects, and the process is killed when the test ends. */
export function start(t, args, { command = program, ...options } = {}) {
	const child = execa(command, args, { reject: false, stripFinalNewline: false, ...options });
	t.teardown(async () => {
		child.kill("SIGKILL");
		await child;
	});
	return child;
}

/** Resolves with the match as soon as what the stream has said so far matches. */
export function said(stream, pattern) {
	return new Promise((resolve, reject) => {
		let text = "";
		const fail = (why) => reject(new Error(`${why} without ${pattern}: ${text}`));
		const timer = setTimeout(() => fail("time is over"), DEADLINE_MS);
		const end = () => fail("it ended");
		const read = (bytes) => {
			text += bytes;
			const match = pattern.exec(text);
			if (match === null) return;
			clearTimeout(timer);
			stream.off("data", read);
			stream.off("end", end);
			resolve(match);
		};
		stream.on("data", read);
		stream.once("end", end);
	});
}

/** A job server as a process of its own, on a free port of 127.0.0.1; its jobs in memory unless the args say where. */
export async function startProgramServer(t, args = [], options = {}) {
	const store = args.some((arg) => arg.startsWith("--queue-type")) ? [] : ["--queue-type=builtin"];
	const all = ["--server", "--port", "0", "--verbose", "INFO", "--listen", "127.0.0.1", ...store, ...args];
	const child = start(t, options.command === undefined ? all : all.slice(1), options);
	const [, port] = await said(child.stderr, /Listening on 127\.0\.0\.1:(\d+)/);
	return { child, port: Number(port) };
}

/** Whether that process runs, or has ended and nobody has asked how. */
export function isAlive(pid) {
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		return false;
	}
}

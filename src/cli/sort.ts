// sort(1) -m over runs that are in memory or in files. It does the comparing, so its flags and LC_ALL mean what they mean.
//
//   run in memory ──named pipe──▶ ┐
//   run in memory ──named pipe──▶ ├ sort -m FLAGS ──▶ stdout, memory or a file
//   run in a nameless file, fd ─▶ ┘
//
// The pipes have names because sort opens its inputs by name; the names are gone once it has.

import { execFile, spawn } from "node:child_process";
import { constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as pass } from "node:timers/promises";
import { promisify } from "node:util";
import { GearmanError } from "../errors.ts";

/** A sorted run: its bytes in memory, or the descriptor of a nameless file. */
export type Run = { readonly parts: readonly Buffer[] } | { readonly fd: number };

/** What sort would do beside merging. */
const NO_FLAG = /^(?:-[bdfghiMnRrsuVzm]*[oCcST]|--(?:output|check|files0-from|temporary-directory|buffer-size))/;
/** The first descriptor of a child behind stdin, stdout and stderr. */
const FIRST_FD = 3;

/** Throws a GearmanError unless sort takes the flags. */
export async function checkFlags(flags: readonly string[]): Promise<void> {
	const wrong = flags.find((flag) => NO_FLAG.test(flag));
	if (wrong !== undefined) throw new GearmanError("BAD_ARGUMENT", `--merge cannot do what sort's ${wrong} says`);
	try {
		await promisify(execFile)("sort", ["-m", ...flags, "/dev/null"]);
	} catch (error) {
		const text = error instanceof Error && "stderr" in error ? String(error.stderr).split("\n", 1)[0] : "";
		const reason = text || (error instanceof Error ? error.message : String(error));
		throw new GearmanError("BAD_ARGUMENT", `--merge needs sort(1), which says: ${reason}`, { cause: error });
	}
}

/**
 * Merges to standard output, to a file or into memory. Rejects when sort cannot be run or fails; resolves to what is in
 * memory. A reader of the output that leaves is no failure.
 */
export async function merge(
	flags: readonly string[],
	runs: readonly Run[],
	to: "stdout" | "memory" | number,
): Promise<Buffer[]> {
	const folder = await mkdtemp(join(tmpdir(), "gearman-"));
	const sockets: Socket[] = [];
	try {
		const fds: number[] = [];
		const pipes = new Map<string, readonly Buffer[]>();
		const inputs = runs.map((run, number) => {
			if ("fd" in run) return `/dev/fd/${FIRST_FD + fds.push(run.fd) - 1}`;
			const path = join(folder, String(number));
			pipes.set(path, run.parts);
			return path;
		});
		if (pipes.size > 0) await promisify(execFile)("mkfifo", ["-m", "600", ...pipes.keys()]);
		const batch = `--batch-size=${Math.max(2, runs.length)}`;
		const child = spawn("sort", ["-m", ...flags, batch, "--", ...inputs], {
			stdio: ["ignore", to === "stdout" ? "inherit" : to === "memory" ? "pipe" : to, "inherit", ...fds],
		});
		const output: Buffer[] = [];
		child.stdout?.on("data", (chunk: Buffer) => output.push(chunk));
		let hasEnded = false;
		const end = new Promise<void>((resolve, reject) => {
			const fail = (reason: string) => reject(new GearmanError("COMMAND_FAILED", `sort ${reason}`));
			child.once("error", (error) => fail(error.message));
			child.once("close", (code, signal) => {
				hasEnded = true;
				if (code === 0 || signal === "SIGPIPE") resolve();
				else fail(code === null ? `was killed by ${signal}` : `failed with exit code ${code}`);
			});
		});
		// It opens its inputs one after the other before it reads any.
		for (const [path, parts] of pipes) {
			let fd: number | undefined;
			while (fd === undefined && !hasEnded) {
				fd = openForReader(path);
				if (fd === undefined) await pass(1);
			}
			if (fd === undefined) break;
			const socket = new Socket({ fd, readable: false });
			// It has ended: its exit code says how.
			socket.on("error", () => {});
			sockets.push(socket);
			Readable.from(parts).pipe(socket);
		}
		await rm(folder, { recursive: true });
		await end;
		return output;
	} finally {
		for (const socket of sockets) socket.destroy();
		await rm(folder, { recursive: true, force: true });
	}
}

/** The writing end of a named pipe; undefined while nobody has opened it for reading. */
function openForReader(path: string): number | undefined {
	try {
		return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
	} catch (error) {
		if (error instanceof Error && "code" in error && error.code === "ENXIO") return undefined;
		throw error;
	}
}

// What all commands have in common, run once a job (command.ts) or kept (kept.ts): how the words on the command line
// become a program, what its end is called, and that whoever is killed is killed with all it started.

import { accessSync, constants, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { GearmanError } from "../errors.ts";
import { reasonOf } from "../reason.ts";

/** How a process ended: one of the three. */
export interface Exit {
	readonly code?: number | null;
	readonly signal?: NodeJS.Signals | null;
	readonly error?: unknown;
}

/** From SIGTERM to SIGKILL. */
export const GRACE_MS = 2000;

/** One operand with blanks or shell syntax in it is for `sh -c`; else a program and its arguments, and no shell sees them. */
export function programOf(operands: readonly string[]): readonly [file: string, ...args: string[]] {
	const [file = "", ...args] = operands;
	const isShellScript = args.length === 0 && /[|&;<>()$`\\"'*?[\]#~=%\s]/.test(file);
	return isShellScript ? ["/bin/sh", "-c", file] : [file, ...args];
}

/** Why this program cannot be started, or undefined; looked for as the system does. */
export function whyNotStartable(file: string): string | undefined {
	const folders = file.includes("/") ? [""] : (process.env.PATH ?? "").split(":");
	let reason = "no such file";
	for (const folder of folders) {
		const path = join(folder, file);
		try {
			accessSync(path, constants.X_OK);
			if (!statSync(path).isDirectory()) return undefined;
			reason = "it is a directory";
		} catch (error) {
			if (existsSync(path)) reason = reasonOf(error);
		}
	}
	return reason;
}

/** It could not be started, and may be able to a little later: the system is short of processes, descriptors or memory. */
export function isShortage(error: unknown): boolean {
	const code = error instanceof Error && "code" in error ? String(error.code) : "";
	return ["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"].includes(code);
}

/** Why a process has failed, or undefined. */
export function failureOf({ error, signal, code }: Exit): string | undefined {
	if (error !== undefined) return reasonNotStarted(error);
	if (signal) return `command was killed by ${signal}`;
	return code === 0 ? undefined : `command exited with code ${code}`;
}

/** The whole process group, also when the command itself has exited already. */
export function killGroup(pid: number | undefined, signal: "SIGTERM" | "SIGKILL"): void {
	if (pid === undefined) return;
	try {
		process.kill(-pid, signal);
	} catch {
		// ESRCH: nobody left.
	}
}

/** Whether a job was given back because its server is gone: its command may end in peace then. */
export function isLost({ reason }: AbortSignal): boolean {
	return reason instanceof GearmanError && reason.code === "CONNECTION_LOST";
}

function reasonNotStarted(error: unknown): string {
	if (!(error instanceof Error)) return `command could not be started: ${error}`;
	const { path } = error as NodeJS.ErrnoException;
	return `command could not be started: ${path === undefined ? "" : `${path}: `}${reasonOf(error)}`;
}

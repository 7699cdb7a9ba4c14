// Where stores that keep files keep them: one folder, one file a port.

import { accessSync, chownSync, constants, existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { GearmanError } from "../../errors.ts";
import { reasonOf, WRITING } from "../../reason.ts";
import type { StoreOptions } from "./index.ts";

type Values = StoreOptions["options"];

/** --state-dir, or where the system keeps such things: what systemd says, /var/lib for root, else the user's own. */
export function stateDirectory(options: Values): string {
	const { STATE_DIRECTORY: fromSystemd, XDG_STATE_HOME: userState } = process.env;
	const given = options["state-dir"];
	// systemd separates several folders by colons.
	if (given !== undefined && given !== fromSystemd) return given;
	if (fromSystemd) return fromSystemd.split(":")[0];
	if (process.getuid?.() === 0) return "/var/lib/gearman";
	return join(userState || join(homedir(), ".local", "state"), "gearman");
}

/** Makes the directory, for this user or for the given one alone, unless it is there. */
export function makeStateDirectory(folder: string, owner?: { readonly uid: number; readonly gid: number }): void {
	try {
		if (makeFolder(resolve(folder)) && owner !== undefined) chownSync(folder, owner.uid, owner.gid);
	} catch (error) {
		const sentence = `the state directory ${folder} cannot be made (${reasonOf(error, WRITING)})`;
		throw new GearmanError("STORE_FAILED", `${sentence}: choose one with --state-dir, or --queue-type builtin`);
	}
}

/**
 * Whether it was made. Step by step, as mkdir(1) -p: Node's own `recursive` never comes back from a folder that takes
 * none and says ENOENT, such as /proc.
 */
function makeFolder(folder: string): boolean {
	if (existsSync(folder)) return false;
	makeFolder(dirname(folder));
	try {
		mkdirSync(folder, 0o700);
		return true;
	} catch (error) {
		// Another server, started beside this one, was faster.
		if (existsSync(folder)) return false;
		throw error;
	}
}

/**
 * The file of a store in the state directory. A server that takes any free port has the file of port 0: it could not find
 * its jobs again by a port that is new at every start.
 */
export function storePath({ port, options }: StoreOptions, extension: string): string {
	const folder = stateDirectory(options);
	makeStateDirectory(folder);
	const path = join(folder, `${port}.${extension}`);
	checkWritable(path);
	return path;
}

/** Says so, and what to do, when the file or its folder is another user's. Databases have less to say about it. */
export function checkWritable(path: string): void {
	const { R_OK, W_OK, X_OK } = constants;
	for (const [what, mode] of [
		[dirname(path), W_OK | X_OK],
		[path, R_OK | W_OK],
	] as const) {
		try {
			if (existsSync(what)) accessSync(what, mode);
		} catch {
			const user = process.getuid?.() ?? "this user";
			const sentence = `${path} cannot be written: ${what} is not for the user ${user} to change; chown it`;
			throw new GearmanError("STORE_FAILED", `${sentence}, choose a folder with --state-dir, or --queue-type builtin`);
		}
	}
}

/** --queue-sync: false when a power cut may take the last commits. */
export function isSynced(options: Values): boolean {
	return options["queue-sync"] !== "normal";
}

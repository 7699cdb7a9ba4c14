// Other people's programs, where they are installed; for scripts/ too.

import { accessSync, closeSync, constants, openSync, readSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The first program of that name for which `isIt` holds, which may throw; undefined when there is none. */
export function findProgram(name, isIt = isExecutable, folders = []) {
	for (const folder of [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", ...folders]) {
		const path = join(folder, name);
		try {
			if (isIt(path)) return path;
		} catch {
			// Not there, or not what it is called.
		}
	}
	return undefined;
}

function isExecutable(path) {
	accessSync(path, constants.X_OK);
	return true;
}

/** Compiled, so not ours, nor a script that stands in for it. */
export function isCompiled(path) {
	const magic = Buffer.alloc(4);
	const file = openSync(path);
	readSync(file, magic);
	closeSync(file);
	return magic.toString("latin1") === "\x7fELF";
}

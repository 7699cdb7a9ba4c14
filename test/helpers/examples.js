// The examples' run scripts, as a user starts them.

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "./program.js";
import { run } from "./programs.js";

/** A file of an example. */
export const exampleFile = (path) => fileURLToPath(new URL(`../../scripts/examples/${path}`, import.meta.url));

/** Runs an example to its good end, with no complaint and nothing left behind; gives what it shows. */
export async function runExample(t, name, args = [], env = {}) {
	const folder = temporaryFolder(t);
	const { stdout, stderr, exitCode } = await run(t, exampleFile(`${name}/run`), args, {
		env: { TMPDIR: folder, ...env },
	});
	t.deepEqual([stderr, exitCode], ["", 0], stdout);
	t.regex(stdout, /^All is well/m);
	t.deepEqual(readdirSync(folder), []);
	return stdout;
}

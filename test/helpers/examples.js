// The examples' run scripts, as a user starts them.

import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "./program.js";
import { run } from "./programs.js";

/** An example starts many programs one after the other. */
const EXAMPLE_MS = 150_000;

/** A file of an example. */
export const exampleFile = (path) => fileURLToPath(new URL(`../../scripts/examples/${path}`, import.meta.url));

/** Runs an example to its good end, with no complaint and nothing left behind; gives what it shows. */
export async function runExample(t, name, args = [], env = {}) {
	const folder = temporaryFolder(t);
	t.timeout(EXAMPLE_MS);
	const { stdout, stderr, exitCode } = await run(t, exampleFile(`${name}/run`), args, {
		env: { TMPDIR: folder, ...env },
		timeoutMs: EXAMPLE_MS,
	});
	t.deepEqual([stderr, exitCode], ["", 0], stdout);
	t.regex(stdout, /^All is well/m);
	t.deepEqual(readdirSync(folder), []);
	return stdout;
}

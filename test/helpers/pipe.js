// A named pipe for programs to wait on.

import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The path of a pipe that stays empty until the test ends: what reads it waits, and ends even when its parent was killed. */
export function emptyPipe(t) {
	const folder = mkdtempSync(join(tmpdir(), "gearman-test-"));
	const path = join(folder, "pipe");
	execFileSync("mkfifo", [path]);
	const writer = openSync(path, "r+");
	t.teardown(() => {
		rmSync(folder, { recursive: true });
		closeSync(writer);
	});
	return path;
}

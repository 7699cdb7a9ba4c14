// A command's stdin as a file that has no name any more. Node's own pipes are sockets, which cannot be opened by name: a
// script that reads /dev/stdin would fail with ENXIO. It also spares a stream a job: see the figures in command.ts.

import { randomBytes } from "node:crypto";
import { accessSync, closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Larger workloads are streamed: a file would hold up the other jobs while it is written.
 * BUG: so a script that opens /dev/stdin fails for these; `cat | COMMAND` gives it a pipe.
 */
const MAX_FILE_BYTES = 1 << 20;

let folder: string | undefined;

/** A descriptor the workload can be read from, the caller's to close; undefined: it has to be streamed. */
export function openStdin(workload: Buffer): number | undefined {
	if (workload.length > MAX_FILE_BYTES) return undefined;
	const path = join(fastFolder(), `gearman-${process.pid}-${randomBytes(8).toString("hex")}`);
	let fd: number | undefined;
	try {
		const written = openSync(path, "wx", 0o600);
		try {
			// A descriptor of its own, at the beginning: writing moves the other one's position.
			fd = openSync(path, "r");
			unlinkSync(path);
			for (let at = 0; at < workload.length; ) at += writeSync(written, workload, at);
		} finally {
			closeSync(written);
		}
		return fd;
	} catch {
		// No room, or nowhere to write: streaming needs neither.
		if (fd !== undefined) closeSync(fd);
		return undefined;
	}
}

/** A folder in memory, where the system has one. */
export function fastFolder(): string {
	if (folder !== undefined) return folder;
	folder = tmpdir();
	try {
		accessSync("/dev/shm", constants.W_OK | constants.X_OK);
		folder = "/dev/shm";
	} catch {
		// Another system, or one that is locked up.
	}
	return folder;
}

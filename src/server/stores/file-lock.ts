// A lock on an open file that ends with the process, whatever ends it. Node has no flock(2), but the lock belongs to the
// open file, which a child can share: flock(1), or perl where that is missing, takes it for us and ends.

import { spawnSync } from "node:child_process";
import { GearmanError } from "../../errors.ts";

const COMMANDS: readonly (readonly [string, ...string[]])[] = [
	["flock", "-x", "-n", "3"],
	["perl", "-e", 'use Fcntl ":flock"; open(my $f, "+<&=3") or exit 2; exit(flock($f, LOCK_EX | LOCK_NB) ? 0 : 1)'],
];

/** What to say of a file that another server has. */
export function inUse(path: string): string {
	return `${path} is in use by another job server: stop that one, or give this one another --port or --state-dir`;
}

/** Takes the lock, or throws GearmanError STORE_FAILED: another server has it, or nothing here can take one. */
export function lockFile(descriptor: number, path: string): void {
	for (const [command, ...args] of COMMANDS) {
		const { status } = spawnSync(command, args, { stdio: ["ignore", "ignore", "ignore", descriptor] });
		if (status === 0) return;
		if (status === 1) throw new GearmanError("STORE_FAILED", inUse(path));
	}
	throw new GearmanError("STORE_FAILED", `${path} cannot be locked: the store "file" needs flock or perl; use sqlite`);
}

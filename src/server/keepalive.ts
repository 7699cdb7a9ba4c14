// Keepalive probes with an interval and count of their own. Node sets the idle time only, so the options go onto the
// listening socket from outside, through the descriptor a child inherits; Linux hands them on to accepted sockets.

import { spawn } from "node:child_process";
import type { Server as Listener } from "node:net";
import { GearmanError } from "../errors.ts";
import { descriptorOf } from "../net/internals.ts";

export interface Keepalive {
	/** Seconds; -1: the system's own, as for the others. */
	readonly idleSeconds: number;
	readonly intervalSeconds: number;
	readonly count: number;
}

// Numbers from <netinet/tcp.h> of Linux: TCP_KEEPIDLE 4, TCP_KEEPINTVL 5, TCP_KEEPCNT 6.
const script = `
	use Socket qw(:DEFAULT IPPROTO_TCP);
	open(my $s, "<&=", 3) or die "$!\\n";
	setsockopt($s, SOL_SOCKET, SO_KEEPALIVE, 1) or die "$!\\n";
	for ([4, $ARGV[0]], [5, $ARGV[1]], [6, $ARGV[2]]) {
		$$_[1] < 0 or setsockopt($s, IPPROTO_TCP, $$_[0], pack("i", $$_[1])) or die "$!\\n";
	}`;

/** Sets the probes of the connections this listener accepts. Rejects with GearmanError where that cannot be done. */
export async function setKeepalive(listener: Listener, keepalive: Keepalive): Promise<void> {
	const { idleSeconds, intervalSeconds, count } = keepalive;
	const refusal = "keepalive-interval and keepalive-count need Linux and perl here";
	const fd = descriptorOf(listener);
	if (process.platform !== "linux" || fd === undefined) throw new GearmanError("COULD_NOT_LISTEN", refusal);
	const values = [idleSeconds, intervalSeconds, count].map(String);
	await new Promise<void>((resolve, reject) => {
		const refuse = (why: string) => reject(new GearmanError("COULD_NOT_LISTEN", `${refusal}: ${why}`));
		const child = spawn("perl", ["-e", script, ...values], { stdio: ["ignore", "ignore", "pipe", fd] });
		let said = "";
		child.stderr?.on("data", (bytes: Buffer) => {
			said += bytes.toString();
		});
		child.on("error", (error) => refuse(error.message));
		child.on("close", (code) => (code === 0 ? resolve() : refuse(said.trim())));
	});
}

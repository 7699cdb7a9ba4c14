// What systemd wants to hear from a service of Type=notify: ready, stopping, alive. Node has no datagram sockets of the
// Unix kind, so systemd-notify(1) says it for us, or perl where only the socket was handed into a container. Does nothing
// where nobody listens.

import { execFile } from "node:child_process";

// It stays for a moment: systemd has to find out whose service a sender belongs to while the sender is there.
const script = `
	use Socket;
	my $path = $ENV{NOTIFY_SOCKET} =~ s/^@/\\0/r;
	socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die "$!\\n";
	defined send($s, join("\\n", @ARGV), 0, sockaddr_un($path)) or die "$!\\n";
	select(undef, undef, undef, 0.2);`;

const COMMANDS: readonly (readonly [string, ...string[]])[] = [["systemd-notify"], ["perl", "-e", script]];

/** States as sd_notify(3) names them: READY=1, STATUS=… */
export async function notify(...states: readonly string[]): Promise<void> {
	if (!process.env.NOTIFY_SOCKET) return;
	for (const [command, ...args] of COMMANDS) {
		const isDone = await new Promise((resolve) => {
			execFile(command, [...args, ...states], (error) => resolve(error === null));
		});
		if (isDone) return;
	}
	process.stderr.write("gearmand: could not tell systemd that it is ready: there is no systemd-notify, nor perl\n");
}

/** From now on tells, as often as WatchdogSec= asks for, that the event loop still turns. */
export function startWatchdog(): void {
	const { WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid } = process.env;
	if (!microseconds || (pid && pid !== String(process.pid))) return;
	setInterval(() => void notify("WATCHDOG=1"), Number(microseconds) / 1000 / 2).unref();
}

// What Linux tells of a process: CPU time and memory. Elsewhere every figure is NaN, and its row stays empty.
import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks of /proc/PID/stat a second. */
const TICKS = 100;

function read(path) {
	try {
		return readFileSync(path, "latin1");
	} catch {
		return undefined;
	}
}

/** Fields 14 to 17 of stat: ticks in user and kernel mode, own and of children waited for. Zeros when it is gone. */
function ticksOf(pid) {
	const text = read(`/proc/${pid}/stat`);
	if (text === undefined) return [0, 0, 0, 0];
	return text
		.slice(text.lastIndexOf(")") + 2)
		.split(" ")
		.slice(11, 15)
		.map(Number);
}

const isLinux = read("/proc/self/stat") !== undefined;

/** CPU time all threads of a process have taken so far, in µs. */
export function cpuUs(pid) {
	if (!isLinux) return Number.NaN;
	// To the nanosecond, where the kernel keeps it: a tick is 10 ms, and runs are short. Threads live as long as servers.
	const tasks = `/proc/${pid}/task`;
	if (read(`${tasks}/${pid}/schedstat`) !== undefined) {
		const ns = readdirSync(tasks).map((thread) => Number(read(`${tasks}/${thread}/schedstat`)?.split(" ")[0] ?? 0));
		return ns.reduce((sum, n) => sum + n, 0) / 1000;
	}
	const [user, system] = ticksOf(pid);
	return ((user + system) * 1e6) / TICKS;
}

/** The same with its children: those it has waited for, and those that live. */
export function familyCpuUs(pid) {
	if (!isLinux) return Number.NaN;
	const children = read(`/proc/${pid}/task/${pid}/children`)?.trim().split(" ").filter(Boolean) ?? [];
	const ticks = [pid, ...children].flatMap(ticksOf).reduce((sum, n) => sum + n, 0);
	return (ticks * 1e6) / TICKS;
}

/** Resident memory in bytes, now and at its highest. */
export function memory(pid) {
	const text = read(`/proc/${pid}/status`) ?? "";
	const bytes = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1]) * 1024;
	return { now: bytes("VmRSS"), peak: bytes("VmHWM") };
}

/** Open files this process may have. */
export function maxOpenFiles() {
	return Number(/^Max open files\s+(\d+)/m.exec(read("/proc/self/limits") ?? "")?.[1] ?? 1024);
}

// Lines a second through `gearman -n`, a job a line, ours and C's: the same server (ours), the same workers.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { C, ours, servers, temporaryFolder, timeProgram, withLoad, withServers } from "./processes.js";

export const title = "The client, a job a line";
export const rounds = (isQuick) => (isQuick ? 1 : 5);

export const rows = {
	n: { title: "`gearman -n -f x`", unit: "lines/s", better: "more" },
	nb: { title: "`gearman -n -b -f x`", unit: "lines/s", better: "more" },
};

/** C's sends one line after the other: as many as take about as long. */
const programs = [
	{ name: "ours", program: ours, lines: 100_000 },
	{ name: "C", program: C.gearman, lines: 10_000 },
].filter(({ program }) => program !== undefined);

export async function* measure({ rounds, isQuick }) {
	const { folder, remove } = temporaryFolder();
	for (const one of programs) {
		one.count = isQuick ? one.lines / 5 : one.lines;
		one.input = join(folder, one.name);
		writeFileSync(one.input, Array.from({ length: one.count }, (_, i) => `line ${i} of the input\n`).join(""));
	}
	yield* withServers(servers.slice(0, 1), ([{ port }]) =>
		withLoad(async function* (load) {
			await load.ask({ kind: "serve", port, workers: 8, functionName: "x", size: 20 });
			const there = ["-h", "127.0.0.1", "-p", `${port}`, "-f", "x"];
			// A round before those that count: the server is warm then.
			for (let round = 0; round <= rounds; round++) {
				for (const { name, program, count, input } of programs) {
					for (const [key, ...flags] of [
						["n", "-n"],
						["nb", "-n", "-b"],
					]) {
						const seconds = await timeProgram(program, [...flags, ...there], { input, limitMs: 30_000 });
						if (round > 0) yield [name, key, count / seconds];
					}
				}
			}
			await load.ask({ kind: "release" });
		}),
	);
	remove();
}

// What one scrape costs the job server: how long the event loop is held up while the metrics of 1000 functions, each of
// which has had jobs of all outcomes, become text.
import { expose } from "../../dist/server/exposition.js";
import { Server } from "../../dist/server/server.js";

export const title = "A scrape of 1000 functions";

const FUNCTIONS = 1000;
const SCRAPES = 60;
const EVENTS = 14;
const formats = ["prometheus", "openmetrics"];

export const rows = {};
for (const format of formats) {
	rows[`${format}.bytes`] = { title: format, unit: "bytes", better: "less" };
	rows[`${format}.median`] = { title: format, unit: "ms", better: "less" };
	rows[`${format}.slowest`] = { title: format, unit: "ms at worst", better: "less" };
}

export async function* measure({ rounds }) {
	const server = new Server({ listen: ["127.0.0.1"], port: 0, metricsFunctions: FUNCTIONS });
	await server.start();
	for (let i = 0; i < FUNCTIONS; i++) {
		const cells = server.jobs.functionOf(`a_function_of_usual_length_${i}`).metrics;
		for (let event = 0; event < EVENTS; event++) cells.count(event, 1, (i * 7919 + event * 104_729) % 1_000_000);
		for (let ms = 0; ms < 100_000; ms = ms * 2 + 1) {
			cells.wait.observe(ms);
			cells.run.observe(ms);
		}
	}
	for (let round = 0; round < rounds; round++) {
		for (const format of formats) {
			const times = [];
			let bytes = 0;
			for (let i = 0; i < SCRAPES; i++) {
				const startMs = performance.now();
				bytes = expose(server, format).length;
				times.push(performance.now() - startMs);
			}
			times.sort((one, other) => one - other);
			yield ["ours", `${format}.bytes`, bytes];
			yield ["ours", `${format}.median`, times[SCRAPES >> 1]];
			yield ["ours", `${format}.slowest`, times.at(-1)];
		}
	}
	await server.stop();
}

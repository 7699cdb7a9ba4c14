#!/usr/bin/env node
// What one scrape costs the job server: how long the event loop is held up while the metrics of so many functions, each
// of which has had jobs of all outcomes, become text. Prints a Markdown table. node scripts/bench/scrape.js [functions]
import { expose } from "../../dist/server/exposition.js";
import { Server } from "../../dist/server/server.js";

const functions = Number(process.argv[2] ?? 1000);
const SCRAPES = 60;
const EVENTS = 14;

const server = new Server({ listen: ["127.0.0.1"], port: 0, metricsFunctions: functions });
await server.start();
for (let i = 0; i < functions; i++) {
	const cells = server.jobs.functionOf(`a_function_of_usual_length_${i}`).metrics;
	for (let event = 0; event < EVENTS; event++) cells.count(event, 1, (i * 7919 + event * 104_729) % 1_000_000);
	for (let ms = 0; ms < 100_000; ms = ms * 2 + 1) {
		cells.wait.observe(ms);
		cells.run.observe(ms);
	}
}

console.log(
	"| format | functions | bytes | first, ms | fastest, ms | median, ms | slowest, ms |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
);
for (const format of ["prometheus", "openmetrics"]) {
	const times = [];
	let bytes = 0;
	for (let i = 0; i < SCRAPES; i++) {
		const startMs = performance.now();
		bytes = expose(server, format).length;
		times.push(performance.now() - startMs);
	}
	const [first] = times;
	const warm = times.slice(1).sort((a, b) => a - b);
	const cells = [first, warm[0], warm[warm.length >> 1], warm.at(-1)].map((ms) => ms.toFixed(1));
	console.log(`| ${[format, functions, bytes, ...cells].join(" | ")} |`);
}
await server.stop();

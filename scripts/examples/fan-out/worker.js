#!/usr/bin/env node
// What a page is made of, each part a job of its own and each with a time of its own.

import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "gearman";

const worker = new Worker(process.env.GEARMAN_SERVER, { id: "fan-out", concurrency: 10 });
const parts = {
	account: [100, () => "Welcome back, Ada. You have 3 new letters."],
	recommended: [900, () => "Analytical engines, punched cards & <b>brass</b>."],
	news: [400, () => "The post has arrived."],
	weather: [
		250,
		() => {
			throw new Error("the barometer fell off the wall");
		},
	],
};
for (const [name, [ms, make]] of Object.entries(parts)) {
	worker.add(`page.${name}`, async () => {
		await sleep(ms);
		return make();
	});
}
process.once("SIGTERM", () => worker.stop());
await worker.run();

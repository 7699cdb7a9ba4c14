#!/usr/bin/env node
// Makes reports, which is expensive: a second each. Says so on standard output, so that they can be counted.

import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "gearman";

const worker = new Worker(process.env.GEARMAN_SERVER, { id: "stampede", concurrency: 100 });
worker.add("report", async (job) => {
	console.log(`report ${job.workload}`);
	await sleep(1000);
	return `The report for ${job.workload}, made by job ${job.handle}\n`;
});
process.once("SIGTERM", () => worker.stop());
await worker.run();

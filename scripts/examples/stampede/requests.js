#!/usr/bin/env node
// requests.js N PATH ADDRESS…: N requests at once, shared out over the servers; prints how many different answers came.

import { Agent, get } from "node:http";
import { text } from "node:stream/consumers";

const [count, path, ...addresses] = process.argv.slice(2);
const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY });
const ask = (url) =>
	new Promise((resolve, reject) => {
		get(url, { agent }, (response) => resolve(text(response))).once("error", reject);
	});
const start = performance.now();
const answers = await Promise.all(
	Array.from({ length: Number(count) }, (_, i) => ask(addresses[i % addresses.length] + path)),
);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`${answers.length} requests, ${new Set(answers).size} different answers, ${seconds} s`);

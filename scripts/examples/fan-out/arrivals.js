#!/usr/bin/env node
// Shows each line of standard input with the seconds after which it came.

import { createInterface } from "node:readline";

const start = performance.now();
for await (const line of createInterface({ input: process.stdin })) {
	console.log(((performance.now() - start) / 1000).toFixed(2), line);
}

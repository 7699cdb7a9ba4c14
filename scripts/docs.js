#!/usr/bin/env node
// Renews what is made of the compiled tables and kept with the sources: README.md's tables and the Grafana dashboard.
// --check changes nothing and exits 1 when one is stale. Man pages and completion are made by scripts/build.js, into dist.
import { readFileSync, writeFileSync } from "node:fs";
import { dashboardText } from "./docs/grafana.js";
import { renewTables } from "./docs/tables.js";

renew("README.md", renewTables);
renew("scripts/grafana/dashboard.json", dashboardText);

function renew(name, make) {
	const path = new URL(`../${name}`, import.meta.url);
	const before = readFileSync(path, { encoding: "utf8", flag: "a+" });
	const after = make(before);
	if (after === before) console.log(`${name} is fresh`);
	else if (process.argv.includes("--check")) {
		console.error(`${name} is stale: npm run docs`);
		process.exitCode = 1;
	} else {
		writeFileSync(path, after);
		console.log(`${name} renewed`);
	}
}

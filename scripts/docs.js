#!/usr/bin/env node
// Renews the option tables in README.md from the compiled option table. --check changes nothing and exits 1 when one is
// stale. Man pages and completion are made by scripts/build.js, into dist.
import { readFileSync, writeFileSync } from "node:fs";
import { renewTables } from "./docs/tables.js";

const path = new URL("../README.md", import.meta.url);
const before = readFileSync(path, "utf8");
const after = renewTables(before);
if (after === before) console.log("README.md is fresh");
else if (process.argv.includes("--check")) {
	console.error("README.md: option tables are stale: npm run docs");
	process.exitCode = 1;
} else {
	writeFileSync(path, after);
	console.log("README.md renewed");
}

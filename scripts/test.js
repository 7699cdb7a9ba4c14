#!/usr/bin/env node
// Runs ava over test/, arguments passed through: npm test -- test/cli/main.test.js, node scripts/test.js --match="*help*".
// Leaves out the tests that pass, prints the others in full and the titles of skipped ones, and as last line
// `N passed, N failed` (`, N skipped`); exits as ava. Not from --tap: ava 7 breaks off there when a test hangs.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = fileURLToPath(new URL("../node_modules/ava/entrypoints/cli.mjs", import.meta.url));
const ava = spawn(process.execPath, [cli, "--no-color", ...process.argv.slice(2)], {
	cwd: root,
	stdio: ["ignore", "pipe", "inherit"],
});
const ended = new Promise((resolve) => ava.once("close", (status) => resolve(status ?? 1)));

let passed = 0;
let failed = 0;
const skipped = [];
let before = "";
for await (const line of createInterface({ input: ava.stdout })) {
	const [, mark, title] = /^ *(✔|✘|- \[(?:skip|todo)\]) (.*)$/.exec(line) ?? [];
	if (mark === "✔") passed++;
	else if (mark === "✘") failed++;
	else if (mark !== undefined) skipped.push(title);
	if (mark === "✔" || mark?.startsWith("-") || /^ *\d+ tests? (passed|failed|skipped|todo)$/.test(line)) continue;
	if (line !== "" || before !== "") console.log(line);
	before = line;
}
const code = await ended;
// Something outside of any test, which ava has told.
if (code !== 0 && failed === 0) failed = 1;

if (skipped.length > 0) console.log(`\nSkipped:\n${skipped.map((title) => `  ${title}`).join("\n")}`);
console.log(`\n${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ""}`);
process.exitCode = code;

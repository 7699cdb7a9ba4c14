// How fast it is, beside C's programs where they are installed: scripts/bench/run
//
//   --only QUESTION,…  of those below, instead of all but store and scrape
//   --quick            smaller loads and fewer rounds: all in less than a minute where nothing else runs
//   --rounds N         rounds that count
//   --jobs N           jobs of each of the server's loads, instead of a time
//   --json FILE        all figures, besides; - prints them instead of the tables
//   --readme           the tables into README.md, besides
//
// Each question is a file: `title`, `rows`, and `measure`, which yields [subject, row, value], so that what is compared
// takes turns and a slow spell of the machine falls on all alike. What is there when it ends early is printed.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { renewBetween } from "../docs/tables.js";
import { Figures, table } from "./figures.js";
import { C } from "./processes.js";

const usual = ["server", "memory", "workloads", "client", "worker", "start"];
const questions = [...usual, "store", "scrape"];

function fail(sentence) {
	console.error(`scripts/bench/run: ${sentence}`);
	process.exit(1);
}

function options() {
	try {
		return parseArgs({
			options: {
				only: { type: "string", default: usual.join() },
				quick: { type: "boolean", default: false },
				rounds: { type: "string" },
				jobs: { type: "string" },
				json: { type: "string" },
				readme: { type: "boolean", default: false },
			},
		}).values;
	} catch (error) {
		return fail(error.message);
	}
}

const { only, quick: isQuick, json, readme, ...values } = options();
const asked = only.split(",");
const unknown = asked.find((name) => !questions.includes(name));
if (unknown !== undefined) fail(`no such question: ${unknown}; there are ${questions.join(", ")}`);
const count = (name) => {
	if (values[name] === undefined) return undefined;
	const number = Number(values[name]);
	return Number.isSafeInteger(number) && number > 0 ? number : fail(`--${name} wants a number from 1 on`);
};
const how = { isQuick, jobs: count("jobs") };
const rounds = count("rounds");

/** `gearmand 1.1.20+ds` */
function versionOfC() {
	const text = spawnSync(C.gearmand, ["--version"], { encoding: "utf8" }).stdout;
	return /gearmand \S+/.exec(text)?.[0] ?? "gearmand";
}

const about = [
	new Date().toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" }),
	`${cpus().length} × ${cpus()[0]?.model}`,
	`Node ${process.version}`,
	`load average ${loadavg()[0].toFixed(1)} when it began`,
	C.gearmand === undefined ? "Skipped: C's gearmand, which is not installed" : versionOfC(),
].join("; ");
/** Without what says where the figures go. */
const words = process.argv
	.slice(2)
	.filter((word, at, all) => !/^--(readme|json)/.test(word) && all[at - 1] !== "--json");
const command = ["scripts/bench/run", ...words].join(" ");

const results = {};
const parts = [];
const say = (part) => {
	parts.push(part);
	if (json !== "-") console.log(`${part}\n`);
};
say(`${about}. By \`${command}\`.`);
for (const name of asked) {
	const question = await import(`./${name}.js`);
	const figures = new Figures(question.rows);
	const own = { ...how, rounds: rounds ?? question.rounds?.(isQuick) ?? (isQuick ? 2 : 5) };
	console.error(`${name}: ${own.rounds} round${own.rounds === 1 ? "" : "s"} …`);
	const startedMs = performance.now();
	let error;
	try {
		for await (const [subject, key, value] of question.measure(own)) figures.add(subject, key, value);
	} catch (thrown) {
		error = thrown;
	}
	console.error(`${name}: ${Math.round((performance.now() - startedMs) / 1000)} s`);
	const rows = figures.rows();
	results[name] = { title: question.title, rounds: own.rounds, rows };
	if (rows.length > 0) say(table(question.title, rows));
	if (error !== undefined) fail(`${name}: ${error.message}`);
}

const all = JSON.stringify({ about, command, date: new Date().toISOString(), questions: results }, undefined, "\t");
if (json === "-") console.log(all);
else if (json !== undefined) writeFileSync(json, `${all}\n`);
if (readme) {
	const path = new URL("../../README.md", import.meta.url);
	writeFileSync(path, renewBetween(readFileSync(path, "utf8"), "bench", parts.join("\n\n")));
}
process.exit();

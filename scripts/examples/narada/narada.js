#!/usr/bin/env node
// Narada's command. What it asks, it asks by jobs: only workers open the database.

import { parseArgs } from "node:util";
import { Client, GearmanError } from "gearman";
import { ask, submit, untilIdle } from "./ask.js";

const USAGE = `Usage: narada.js COMMAND …

  work insert|fetch|index|search    run one worker, until a signal comes
  submit URL…                       crawl these sites; --wait until that is done
  search WORDS…                     pages with all the words; "in quotes" for a phrase
  status                            pages by state
  serve                             the web page

Everywhere   -s, --server HOST[:PORT]   the job server (localhost; GEARMAN_SERVER)
submit       --depth N           links to follow from the first page (3)
             --wait              wait until all is fetched and indexed
search       --limit N           hits shown (10)
search, status  --json           as JSON
serve        --listen ADDRESS    (127.0.0.1)
             --port N            (8080; 0: any)
work         --database WHERE    sqlite:FILE, postgres://… or mysql://… (sqlite:narada.db; NARADA_DATABASE)
             --cache HOST:PORT   memcached for the answers of searches (NARADA_CACHE)
             --concurrency N     jobs at once
work fetch   --delay MS          between two requests to one host (1000)
             --timeout MS        for one page (15000)
             --max-bytes N       largest page (2000000)
             --tries N           requests for a page whose server fails (4)
             --retry MS          before the second try; then twice as long each time (5000)
work insert  --max-age HOURS     fetch a page again when it is found again after this time (24)
`;

const text = { type: "string" };
const flag = { type: "boolean", default: false };
const options = {
	server: { ...text, short: "s" },
	help: { ...flag, short: "h" },
	...{ depth: text, wait: flag, limit: text, json: flag, listen: text, port: text },
	...{ database: text, cache: text, concurrency: text, delay: text, timeout: text, "max-bytes": text },
	...{ tries: text, retry: text, "max-age": text },
};

const commands = {
	async work([name, ...more], values, server) {
		const { work, workers } = await import("./work.js");
		if (!Object.hasOwn(workers, name ?? "") || more.length > 0)
			fail("work takes one of insert, fetch, index and search");
		await work(name, {
			server,
			database: values.database ?? process.env.NARADA_DATABASE ?? "sqlite:narada.db",
			cache: values.cache ?? process.env.NARADA_CACHE,
			concurrency: values.concurrency === undefined ? undefined : number(values, "concurrency", 1, 1),
			delayMs: number(values, "delay", 1000),
			timeoutMs: number(values, "timeout", 15_000, 1),
			maxBytes: number(values, "max-bytes", 2_000_000, 1),
			tries: number(values, "tries", 4, 1),
			retryMs: number(values, "retry", 5000),
			maxAgeMs: number(values, "max-age", 24) * 3_600_000,
		});
	},

	async submit(urls, values, server) {
		if (urls.length === 0) fail("submit takes the address of a page");
		const depth = number(values, "depth", 3);
		for (const url of urls) await withClient(server, (client) => submit(client, url, depth));
		if (values.wait) await untilIdle(server);
	},

	async search(words, values, server) {
		if (words.length === 0) fail("search takes words");
		const question = { words: words.join(" "), limit: number(values, "limit", 10, 1) };
		const answer = await withClient(server, (client) => ask(client, "search", question));
		if (values.json) return console.log(JSON.stringify(answer));
		const [on, off] = process.stdout.isTTY ? ["\x1b[1m", "\x1b[22m"] : ["*", "*"];
		// A page may be called anything, also what a terminal would obey.
		const plain = (part) => part.replace(/\p{Cc}/gu, "");
		const show = (parts) => parts.map(([part, isHit]) => (isHit ? on + plain(part) + off : plain(part))).join("");
		console.log(answer.total === 1 ? "1 page" : `${answer.total} pages`);
		for (const { url, title, snippet } of answer.hits) {
			console.log(`\n${show(title) || url}\n  ${url}\n  ${show(snippet)}`);
		}
	},

	async status(_, values, server) {
		const counts = await withClient(server, (client) => ask(client, "status"));
		if (values.json) console.log(JSON.stringify(counts));
		else for (const [state, count] of Object.entries(counts)) console.log(`${state}\t${count}`);
	},

	async serve(_, values, server) {
		const { serve } = await import("./web.js");
		const port = number(values, "port", 8080);
		const url = await serve({ server, host: values.listen ?? "127.0.0.1", port });
		console.log(`Narada is at ${url}`);
	},
};

async function withClient(server, run) {
	const client = new Client(server);
	try {
		return await run(client);
	} finally {
		client.close();
	}
}

function number(values, name, otherwise, least = 0) {
	const value = Number(values[name] ?? otherwise);
	if (!Number.isInteger(value) || value < least) fail(`--${name} takes a number from ${least} up, not ${values[name]}`);
	return value;
}

function fail(sentence) {
	console.error(`narada: ${sentence}`);
	process.exit(1);
}

try {
	const { values, positionals } = parseArgs({ options, allowPositionals: true });
	const [command, ...operands] = positionals;
	if (values.help) console.log(USAGE.trimEnd());
	else if (!Object.hasOwn(commands, command ?? "")) fail(`there is no command ${command ?? ""}; see --help`);
	else await commands[command](operands, values, values.server ?? process.env.GEARMAN_SERVER ?? "localhost");
} catch (error) {
	if (!(error instanceof GearmanError) && !/^(ERR_PARSE|E[A-Z]+$)/.test(error.code ?? "")) throw error;
	fail(error.message);
}

// One worker process. What it does has no end but success: a background job that fails is gone, so what cannot be done now
// (the database is away) is tried until it can be, and a process that is killed gives its job back to the server.

import { setTimeout as sleep } from "node:timers/promises";
import { Client, Worker } from "gearman";
import { openCache } from "./cache.js";
import { openDocuments } from "./documents/index.js";
import { fetchPage } from "./fetch.js";
import { indexPages } from "./index-pages.js";
import { insert } from "./insert.js";
import { Name } from "./jobs.js";
import { search, status } from "./search.js";

/** Worker → its functions, and how many jobs it does at once unless told. */
export const workers = {
	insert: { concurrency: 4, functions: { [Name.insert]: forever(insert) } },
	fetch: { concurrency: 16, functions: { [Name.fetch]: forever(fetchPage) } },
	// One at a time: two would only wait for each other.
	index: { concurrency: 1, functions: { [Name.index]: forever(indexPages) } },
	search: { concurrency: 4, functions: { [Name.search]: once(search), [Name.status]: once(status) } },
};

const STOP_MS = 5000;

/** Works until a signal comes; a job that takes too long then is given back. */
export async function work(name, settings) {
	const { functions, concurrency } = workers[name];
	const log = (text) => console.log(`${name}: ${text}`);
	const client = new Client(settings.server);
	const cache = await openCache(settings.cache, log);
	const documents = await openDocuments(settings.database);
	const context = { client, cache, documents, settings, log };
	const worker = new Worker(settings.server, {
		id: `narada-${name}`,
		concurrency: settings.concurrency ?? concurrency,
		onConnect: () => log("ready"),
		onDisconnect: () => log("the job server is away"),
	});
	for (const [functionName, make] of Object.entries(functions)) worker.add(functionName, make(context));
	for (const signal of ["SIGTERM", "SIGINT"]) {
		process.once(signal, () => {
			void worker.stop();
			setTimeout(() => worker.kill(), STOP_MS).unref();
		});
	}
	await worker.run();
	client.close();
	cache.close();
	await documents.close();
}

/** Somebody waits for the answer and is told of errors. */
function once(make) {
	return (context) => {
		const run = make(context);
		return (job) => run(JSON.parse(String(job.workload) || "{}"));
	};
}

function forever(make) {
	return (context) => {
		const run = make(context);
		return async (job) => {
			const task = JSON.parse(job.workload);
			for (let pauseMs = 100; !job.signal.aborted; pauseMs = Math.min(2 * pauseMs, 10_000)) {
				try {
					await run(task, job.signal);
					return;
				} catch (error) {
					if (job.signal.aborted) return;
					context.log(`${error.message}; trying again`);
					await sleep(pauseMs, undefined, { signal: job.signal }).catch(() => {});
				}
			}
		};
	};
}

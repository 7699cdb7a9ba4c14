// What the command and the web page ask of the workers.

import { setTimeout as sleep } from "node:timers/promises";
import { Admin, GearmanError } from "gearman";
import { normalize, siteOf } from "./address.js";
import { askInsert, Name } from "./jobs.js";

const PATIENCE_MS = 10_000;

/** Starts a crawl. Throws BAD_ARGUMENT. */
export async function submit(client, address, depth) {
	const url = normalize(/^[a-z]+:/i.test(address) ? address : `http://${address}`);
	if (url === undefined) throw new GearmanError("BAD_ARGUMENT", `${address} is not the address of a web page`);
	await askInsert(client, { urls: [url], depth, site: siteOf(url), started: Date.now() });
	return url;
}

/** The answer of a search worker. Equal questions of the same moment are one job. */
export async function ask(client, name, question = {}) {
	const answer = await client.submit(Name[name], JSON.stringify(question), { unique: "-", timeoutMs: PATIENCE_MS });
	return JSON.parse(String(answer));
}

/** Whatever is left to do is a job in the server. */
export async function untilIdle(server) {
	const admin = new Admin(server);
	try {
		for (;;) {
			const rows = await admin.status();
			const crawl = [Name.insert, Name.fetch, Name.index];
			if (!rows.some(({ functionName, total }) => crawl.includes(functionName) && total > 0)) return;
			await sleep(100);
		}
	} finally {
		admin.close();
	}
}

#!/usr/bin/env node
// A web server for reports: GET /KEY. All who ask for a key while its report is being made get that one report, also those
// who ask another web server: the job's unique key is the report's. GET /KEY?alone shows what it would cost without.

import { createServer } from "node:http";
import { Client } from "gearman";

const client = new Client(process.env.GEARMAN_SERVER);
const web = createServer(async (request, response) => {
	const { pathname, searchParams } = new URL(request.url, "http://localhost");
	const key = decodeURIComponent(pathname.slice(1));
	try {
		const unique = searchParams.has("alone") ? undefined : `report ${key}`;
		response.end(await client.submit("report", key, { unique, timeoutMs: 20_000 }));
	} catch (error) {
		response.writeHead(503).end(`${error.message}\n`);
	}
});
web.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${web.address().port}`));
process.once("SIGTERM", () => {
	web.close();
	web.closeAllConnections();
	client.close();
});

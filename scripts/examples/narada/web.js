// The web page: a search box, results with highlighted snippets, and a form to submit a site. Plain HTML, no scripts. All
// that comes from outside passes html`…`, which escapes it.

import { once } from "node:events";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Client, GearmanError } from "gearman";
import { ask, submit } from "./ask.js";
import { frame, html, renderError, renderHome, renderResults } from "./pages.js";

const HITS_A_PAGE = 10;
const MAX_PAGE = 100;
const DEPTH = 3;
const HEADERS = {
	"content-type": "text/html; charset=utf-8",
	"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
	"referrer-policy": "no-referrer",
	"x-content-type-options": "nosniff",
};

/** Listens; gives its address. Stops at a signal. */
export async function serve({ server, host, port }) {
	const client = new Client(server);
	const web = createServer(async (request, response) => {
		const { status, page } = await answer(client, request);
		response.writeHead(status, HEADERS).end(request.method === "HEAD" ? "" : String(page));
	});
	web.listen(port, host);
	await once(web, "listening");
	for (const signal of ["SIGTERM", "SIGINT"]) {
		process.once(signal, () => {
			web.close();
			web.closeAllConnections();
			client.close();
		});
	}
	const address = web.address();
	return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}/`;
}

async function answer(client, request) {
	try {
		const url = new URL(request.url, "http://narada");
		if (url.pathname === "/" && ["GET", "HEAD"].includes(request.method)) return await find(client, url.searchParams);
		if (url.pathname === "/submit" && request.method === "POST") return await add(client, request);
		return { status: 404, page: renderError("There is no such page.") };
	} catch (error) {
		if (!(error instanceof GearmanError)) console.error(error);
		if (error.code === "BAD_ARGUMENT") return { status: 400, page: renderError(error.message) };
		return { status: 503, page: renderError("The search does not answer just now. Is a search worker running?") };
	}
}

async function find(client, parameters) {
	const words = (parameters.get("q") ?? "").trim().slice(0, 500);
	if (words === "") return { status: 200, page: renderHome(await ask(client, "status")) };
	const number = Math.min(Math.max(1, Math.trunc(Number(parameters.get("page"))) || 1), MAX_PAGE);
	const question = { words, limit: HITS_A_PAGE, offset: (number - 1) * HITS_A_PAGE };
	const { total, hits } = await ask(client, "search", question);
	const pages = Math.min(Math.ceil(total / HITS_A_PAGE), MAX_PAGE);
	return { status: 200, page: renderResults({ words, total, hits, number, pages }) };
}

async function add(client, request) {
	// Another site's form must not make us crawl.
	if (!["same-origin", "none", undefined].includes(request.headers["sec-fetch-site"]))
		return { status: 403, page: renderError("That came from another site.") };
	if (!(Number(request.headers["content-length"]) < 5000))
		return { status: 413, page: renderError("That is too long.") };
	const form = new URLSearchParams(await text(request));
	const url = await submit(client, form.get("url") ?? "", DEPTH);
	return {
		status: 202,
		page: frame(
			"",
			html`<p class="note">On the way to <b>${url}</b>. What is found there can be searched in a few seconds.</p>`,
		),
	};
}

// No web page uses the job server through the browser of somebody who has access to it; programs are not hindered.

import { networkInterfaces } from "node:os";
import test from "ava";
import { httpServer, talk } from "../helpers/http.js";

const own = Object.values(networkInterfaces())
	.flat()
	.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
const testFromOutside = own === undefined ? test.skip : test;

/** Sends one request with these header lines; its status. */
async function statusOf(t, port, line, headers = [], host = "127.0.0.1") {
	const wire = await talk(t, port, host);
	wire.write(`${line} HTTP/1.1\r\n${headers.map((header) => `${header}\r\n`).join("")}Content-Length: 0\r\n\r\n`);
	return (await wire.answer()).status;
}

const BACKGROUND = "X-Gearman-Background: true";

test("a job is taken from programs under any name, from pages only of our own", async (t) => {
	const { http, server } = await httpServer(t, { httpHosts: ["Jobs.example"] });
	for (const [headers, status] of [
		[["Host: gearman.default.svc"], 202],
		[["Host: localhost:1", "Origin: http://localhost:1"], 202],
		[["Host: jobs.example", "Origin: https://jobs.example", "Sec-Fetch-Site: same-origin"], 202],
		[["Host: [::1]:1", "Origin: http://[::1]:1", "Sec-Fetch-Site: none"], 202],
		// Another site's page.
		[["Host: localhost:1", "Origin: http://evil.example"], 403],
		[["Host: localhost:1", "Origin: http://localhost:2"], 403],
		[["Host: localhost:1", "Origin: null"], 403],
		[["Host: localhost:1", "Sec-Fetch-Site: cross-site"], 403],
		[["Host: localhost:1", "Sec-Fetch-Site: same-site"], 403],
		// A name of somebody else that has come to mean our address.
		[["Host: evil.example", "Origin: http://evil.example"], 403],
	]) {
		t.is(await statusOf(t, http, "POST /f", [...headers, BACKGROUND]), status, headers.join());
	}
	t.is(server.jobs.size, 4);
});

test("what tells of jobs is told under our own names only", async (t) => {
	const { http } = await httpServer(t);
	for (const [host, status] of [
		["127.0.0.1:1", 404],
		["[::1]", 404],
		["localhost", 404],
		["LOCALHOST.:1", 404],
		["a.localhost", 404],
		["evil.example", 403],
		["127.0.0.1.evil.example", 403],
	]) {
		t.is(await statusOf(t, http, "GET /jobs/H:1", [`Host: ${host}`]), status, host);
		t.is(await statusOf(t, http, "GET /livez", [`Host: ${host}`]), 200, host);
	}
	const { http: open } = await httpServer(t, { httpHosts: ["*"] });
	t.is(await statusOf(t, open, "GET /jobs/H:1", ["Host: evil.example"]), 404);
});

test("a proxy on this machine does not make its clients administrators", async (t) => {
	const { http } = await httpServer(t);
	t.is(await statusOf(t, http, "DELETE /jobs/H:1", ["Host: localhost"]), 404);
	t.is(await statusOf(t, http, "DELETE /jobs/H:1", ["Host: localhost", "X-Forwarded-For: 192.0.2.1"]), 403);
	t.is(await statusOf(t, http, "DELETE /jobs/H:1", ["Host: localhost", "Forwarded: for=192.0.2.1"]), 403);
	t.is(await statusOf(t, http, "DELETE /jobs/H:1", ["Host: localhost", "X-Real-IP: 192.0.2.1"]), 403);
	t.is(await statusOf(t, http, "DELETE /jobs/H:1", ["Host: localhost", "Via: 1.1 proxy"]), 403);
	t.is(await statusOf(t, http, "DELETE /jobs/H:1", ["Host: evil.example"]), 403);
	t.is(await statusOf(t, http, "DELETE /jobs/H:1", ["Host: localhost", "Origin: http://evil.example"]), 403);
});

testFromOutside("from another address jobs are taken and shown, not cancelled (needs a network address)", async (t) => {
	const { http } = await httpServer(t, { listen: ["0.0.0.0"] });
	t.is(await statusOf(t, http, "POST /f", [`Host: ${own}`, BACKGROUND], own), 202);
	t.is(await statusOf(t, http, "GET /jobs/H:test:1", [`Host: ${own}`], own), 200);
	t.is(await statusOf(t, http, "DELETE /jobs/H:test:1", [`Host: ${own}`], own), 403);
	t.is(await statusOf(t, http, "DELETE /jobs/H:test:1", ["Host: localhost"]), 200);
});

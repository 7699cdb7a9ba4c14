// The HTTP port's listener, its answers to what is no job, and health.

import { once } from "node:events";
import { createConnection } from "node:net";
import test from "ava";
import { httpServer, talk } from "../helpers/http.js";
import { dial, startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

test("without -r http there is no HTTP", async (t) => {
	const { server } = await startServer(t);
	t.deepEqual(server.addressesOf("http"), []);
});

test("HTTP listens where Gearman does, unless it is told where", async (t) => {
	const { server } = await httpServer(t);
	t.is(server.addressesOf("http")[0].address, "127.0.0.1");
	const { server: other } = await httpServer(t, { httpListen: ["127.0.0.2"] });
	t.is(other.addressesOf("http")[0].address, "127.0.0.2");
	t.is(other.addresses[0].address, "127.0.0.1");
});

test("what is healthy says ok, to GET and without a body to HEAD, on one connection", async (t) => {
	const { http } = await httpServer(t);
	const wire = await talk(t, http);
	wire.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\nHEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
	const live = await wire.answer();
	t.is(live.status, 200);
	t.is(live.body, "ok\n");
	t.regex(live.headers.server, /^Gearman\//);
	const ready = await wire.answer({ isHead: true });
	t.is(ready.status, 200);
	t.is(ready.headers["content-length"], "3");
	wire.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
	t.is((await wire.answer()).status, 200);
});

test("who has ended his side is answered, at the first request too", async (t) => {
	const { http } = await httpServer(t);
	for (const path of ["/livez", "/readyz", "/metrics", "/", "/api/overview", "/dashboard/", "/jobs/H:test:1"]) {
		const wire = await talk(t, http);
		wire.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
		wire.end();
		t.is((await wire.answer()).status, path === "/jobs/H:test:1" ? 404 : 200, path);
	}
});

test("a draining server is live but not ready, and answers until its last job is done", async (t) => {
	const { server, port, http } = await httpServer(t);
	const client = await dial(t, port);
	client.send("SUBMIT_JOB", "f", "", "w");
	await client.next();
	server.requestStop("graceful");
	const wire = await talk(t, http);
	wire.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
	const { status, body } = await wire.answer();
	t.deepEqual([status, body], [503, "draining\n"]);
	wire.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
	t.is((await wire.answer()).status, 200);
	client.destroy();
	await server.stopped;
});

test("a server that replays is not ready", async (t) => {
	let finish = () => {};
	const replaying = new Promise((resolve) => {
		finish = resolve;
	});
	const store = {
		open: async () => 0,
		async *replay() {
			await replaying;
			yield* [];
		},
		write: () => undefined,
		close: async () => {},
	};
	const { server, http } = await httpServer(t, { store });
	const wire = await talk(t, http);
	wire.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
	const { status, body } = await wire.answer();
	t.deepEqual([status, body], [503, "replaying\n"]);
	finish();
	await server.replayed;
	wire.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
	t.is((await wire.answer()).status, 200);
});

test("a server whose store is away is not ready until it is back, though nobody submits meanwhile", async (t) => {
	let isAway = false;
	const store = {
		open: async () => 0,
		async *replay() {},
		write: () => {
			if (isAway) throw new Error("away");
		},
		close: async () => {},
	};
	const { port, http } = await httpServer(t, { store });
	const client = await dial(t, port);
	isAway = true;
	client.send("SUBMIT_JOB_BG", "f", "", "w");
	t.is((await client.next())[1], "QUEUE_ERROR");
	const wire = await talk(t, http);
	const ready = async () => {
		wire.write("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
		return wire.answer();
	};
	const { status, body } = await ready();
	t.deepEqual([status, body], [503, "the store is away\n"]);
	isAway = false;
	await until(async () => (await ready()).status === 200);
	t.pass();
});

test("unknown paths are 404, known ones with another method 405", async (t) => {
	const { http } = await httpServer(t);
	const wire = await talk(t, http);
	for (const [line, status] of [
		["GET /no/such/thing", 404],
		["HEAD /no", 404],
		["GET /", 200],
		["POST /", 405],
		["GET http://127.0.0.1/livez", 200],
		["GET //livez?x=1", 200],
	]) {
		wire.write(`${line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n`);
		t.is((await wire.answer({ isHead: line.startsWith("HEAD") })).status, status, line);
	}
	wire.write("PATCH /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	const { status, headers } = await wire.answer();
	t.is(status, 405);
	t.deepEqual(headers.allow.split(", ").sort(), ["GET", "HEAD", "POST", "PUT"]);
	wire.write("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n");
	t.deepEqual((await wire.answer()).status, 405);
});

test("a request has one Host; HTTP/1.0 may do without", async (t) => {
	const { http } = await httpServer(t);
	const wire = await talk(t, http);
	for (const hosts of ["", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n"]) {
		wire.write(`GET /livez HTTP/1.1\r\n${hosts}\r\n`);
		const { status, body } = await wire.answer();
		t.deepEqual([status, body], [400, "A request has one Host header\n"]);
	}
	wire.write("GET /livez HTTP/1.0\r\n\r\n");
	t.is((await wire.answer()).status, 200);
});

test("a connection too many is closed, HTTP's and Gearman's counted together", async (t) => {
	const { port, http, server } = await httpServer(t, { maxConnections: 2 });
	await dial(t, port);
	const wire = await talk(t, http);
	wire.write("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
	t.is((await wire.answer()).status, 200);
	const third = createConnection(http, "127.0.0.1").on("error", () => {});
	third.resume();
	await once(third, "close");
	t.is(server.connections, 2);
	wire.destroy();
	await until(() => server.connections === 1);
	t.is((await (await talk(t, http)).get("/livez")).status, 200);
});

// The dashboard's API over plain HTTP, and who is shown it.

import { get as httpGet } from "node:http";
import { networkInterfaces } from "node:os";
import test from "ava";
import { httpServer, talk } from "../helpers/http.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const EVIL = '<img src=x onerror="document.title=1">';

async function api(http, path, options) {
	const response = await fetch(`http://127.0.0.1:${http}/${path}`, options);
	const text = await response.text();
	return {
		status: response.status,
		headers: response.headers,
		body: response.headers.get("content-type") === "application/json" ? JSON.parse(text) : text,
	};
}

async function background(wire, name, unique, workload = "w", packet = "SUBMIT_JOB_BG") {
	wire.send(packet, name, unique, workload);
	const [, handle] = await wire.next();
	return handle;
}

test("totals, functions, workers and jobs are told as JSON", async (t) => {
	const { port, http } = await httpServer(t);
	const client = await dial(t, port);
	const worker = await dial(t, port);
	const first = await background(client, "resize", "a", "12345");
	await background(client, "resize", "b", "w", "SUBMIT_JOB_HIGH_BG");
	await background(client, "idle", "c");
	worker.send("SET_CLIENT_ID", "w1");
	worker.send("CAN_DO", "resize");
	worker.send("GRAB_JOB_UNIQ");
	const [, running] = await worker.next();

	const { body: overview } = await api(http, "api/overview");
	t.like(overview, {
		queued: 2,
		running: 1,
		workers: 1,
		functions: 2,
		jobs: 3,
		port,
		state: "serving",
		mayChange: true,
	});
	t.is(overview.store.isFailing, false);

	const { body: page } = await api(http, "api/functions");
	t.is(page.matching, 2);
	t.like(page.functions[0], { id: "idle", queued: 1, workers: 0, isStuck: true });
	t.like(page.functions[1], { id: "resize", queued: 1, running: 1, workers: 1, isStuck: false });
	t.true(page.functions[0].oldestMs >= 0);
	t.deepEqual(
		(await api(http, "api/functions?filter=SIZ")).body.functions.map(({ name }) => name),
		["resize"],
	);
	t.deepEqual(
		(await api(http, "api/functions?sort=name")).body.functions.map(({ name }) => name),
		["idle", "resize"],
	);
	t.deepEqual((await api(http, "api/functions?sort=name&offset=1&limit=1")).body.functions[0].name, "resize");

	const { body: workers } = await api(http, "api/workers");
	t.is(workers.cursor, null);
	t.like(workers.workers[0], {
		clientId: "w1",
		functionCount: 1,
		jobCount: 1,
		functions: [{ id: "resize", name: "resize" }],
	});
	t.like(workers.workers[0].jobs[0], { handle: running, functionName: "resize", state: "running" });
	t.true(workers.workers[0].jobs[0].runningMs >= 0);
	t.is((await api(http, `api/workers/${workers.workers[0].id}`)).body.clientId, "w1");
	t.is((await api(http, "api/functions/resize/workers")).body.workers.length, 1);
	t.is((await api(http, "api/functions/idle/workers")).body.workers.length, 0);
	t.is((await api(http, "api/workers?filter=nobody")).body.workers.length, 0);

	const { body: jobs } = await api(http, "api/functions/resize/jobs");
	t.deepEqual(
		jobs.jobs.map(({ handle }) => handle),
		[running, first],
	);
	t.like(jobs.jobs[1], { unique: "a", state: "queued", priority: "normal", workloadBytes: 5, isBackground: true });
});

test("what is counted about a function is told with it", async (t) => {
	const { port, http } = await httpServer(t);
	const client = await dial(t, port);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	for (const end of ["WORK_COMPLETE", "WORK_COMPLETE", "WORK_FAIL"]) {
		await background(client, "f", "");
		worker.send("GRAB_JOB");
		const [, handle] = await worker.next();
		worker.send(end, ...(end === "WORK_FAIL" ? [handle] : [handle, ""]));
	}
	await worker.settle();
	const { body } = await api(http, "api/functions/f");
	t.like(body, { completed: 2, failed: 1, total: 0 });
	t.true(body.waitMs.p95 >= 0 && body.runMs.p50 >= 0);
	t.like((await api(http, "api/overview")).body, { completed: 2, failed: 1 });
});

test("jobs come page by page, in the order of their turn", async (t) => {
	const { port, http } = await httpServer(t);
	const client = await dial(t, port);
	const normal = [];
	for (let i = 0; i < 25; i++) normal.push(await background(client, "f", `n${i}`));
	const high = await background(client, "f", "h", "w", "SUBMIT_JOB_HIGH_BG");
	client.send("SUBMIT_JOB_EPOCH", "f", "later", String(Math.floor(Date.now() / 1000) + 3600), "w");
	const [, delayed] = await client.next();

	const handles = [];
	let cursor = "";
	while (cursor !== null) {
		const { body } = await api(http, `api/functions/f/jobs?limit=10&cursor=${encodeURIComponent(cursor)}`);
		handles.push(...body.jobs.map(({ handle }) => handle));
		({ cursor } = body);
	}
	t.deepEqual(handles, [high, ...normal, delayed]);
	const unique = (filter) => api(http, `api/functions/f/jobs?filter=${filter}`).then(({ body }) => body.jobs);
	t.deepEqual(
		(await unique("n2")).map((job) => job.unique),
		["n2", "n20", "n21", "n22", "n23", "n24"],
	);
	t.is((await unique(encodeURIComponent(delayed)))[0].state, "delayed");

	// The page's last job has gone meanwhile: from the start again.
	const { body: restarted } = await api(http, "api/functions/f/jobs?limit=1&cursor=H:gone:1");
	t.like(restarted, { isRestarted: true, jobs: [{ handle: high }] });
});

test("no page looks at more than 10,000 jobs, and its cursor goes on", async (t) => {
	const { server, http } = await httpServer(t);
	const COUNT = 25_000;
	for (let i = 0; i < COUNT; i++) {
		const job = server.jobs.create({
			queue: server.jobs.functionOf("f"),
			unique: i === COUNT - 2 ? "needle-1" : "",
			uniqueKey: i === COUNT - 2 ? "needle-1" : "",
			workload: Buffer.alloc(0),
			priority: 1,
			isBackground: true,
			dueMs: 0,
			reducer: undefined,
			submittedMs: Date.now(),
		});
		server.jobs.release(job, Date.now());
	}
	const examined = [];
	const found = [];
	let cursor = "";
	while (cursor !== null) {
		const { body } = await api(http, `api/functions/f/jobs?filter=needle&cursor=${encodeURIComponent(cursor)}`);
		examined.push(body.examined);
		found.push(...body.jobs.map(({ unique }) => unique));
		({ cursor } = body);
	}
	t.deepEqual(examined, [10_000, 10_000, 5_000]);
	t.deepEqual(found, ["needle-1"]);
	// Page by page each job once, though most of them are no objects, and one has been looked up.
	const handles = new Set();
	let listed = 0;
	for (cursor = ""; cursor !== null; ) {
		const { body } = await api(http, `api/functions/f/jobs?limit=1000&cursor=${encodeURIComponent(cursor)}`);
		for (const { handle } of body.jobs) handles.add(handle);
		listed += body.jobs.length;
		({ cursor } = body);
	}
	t.deepEqual([listed, handles.size], [COUNT, COUNT]);
	// A whole handle is found at once.
	const { body } = await api(http, `api/functions/f/jobs?limit=1&filter=H:test:${COUNT}`);
	t.is(body.jobs[0].handle, `H:test:${COUNT}`);
});

test("names of any bytes are shown as text and named by their bytes", async (t) => {
	const { port, http } = await httpServer(t);
	const client = await dial(t, port);
	const latin1 = (text) => Buffer.from(text, "utf8").toString("latin1");
	for (const name of [latin1("größe/ü?#%"), "caf\xe9", EVIL]) await background(client, name, latin1("schlüssel"));
	const { body } = await api(http, "api/functions?sort=name");
	t.deepEqual(
		body.functions.map(({ name }) => name),
		[EVIL, "café", "größe/ü?#%"],
	);
	for (const { id } of body.functions) {
		t.regex(id, /^[\w.~%-]+$/);
		t.is((await api(http, `api/functions/${id}/jobs`)).body.jobs[0].unique, "schlüssel");
	}
	t.is((await api(http, `api/functions/${body.functions[2].id}/jobs?filter=l%C3%BC`)).body.jobs.length, 1);
	t.is((await api(http, `api/functions?filter=${encodeURIComponent("öße")}`)).body.matching, 1);
});

test("a function is dropped and limited by those who may", async (t) => {
	const { port, http, server } = await httpServer(t);
	const client = await dial(t, port);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "busy");
	await worker.settle();
	t.is((await api(http, "api/functions/busy", { method: "DELETE" })).status, 409);
	client.send("SUBMIT_JOB", "f", "u", "w");
	const [, handle] = await client.next();
	t.is((await api(http, "api/functions/f", { method: "DELETE" })).status, 204);
	t.deepEqual(await client.next(), ["WORK_FAIL", handle]);
	t.is((await api(http, "api/functions/f", { method: "DELETE" })).status, 404);

	const put = (body) => api(http, "api/functions/busy/maxqueue", { method: "PUT", body });
	t.deepEqual((await put('{"high":1,"low":3}')).body, { high: 1, normal: 0, low: 3 });
	t.deepEqual((await put("7")).body, { high: 7, normal: 7, low: 7 });
	t.deepEqual([...server.jobs.functions.get("busy").maxQueue], [7, 7, 7]);
	for (const bad of ["", "-1", "1.5", '"7"', "[1]", '{"high":-1}', '{"higher":1}', "null"]) {
		t.is((await put(bad)).status, 400, bad);
	}
	t.is((await put(`"${"x".repeat(10_000)}"`)).status, 413);
	t.deepEqual([...server.jobs.functions.get("busy").maxQueue], [7, 7, 7]);

	const foreign = { headers: { Origin: "http://elsewhere.example" } };
	t.is((await api(http, "api/functions/busy/maxqueue", { method: "PUT", body: "1", ...foreign })).status, 403);
	t.is((await api(http, "api/functions/busy", { method: "DELETE", ...foreign })).status, 403);
	t.is((await api(http, "api/overview", foreign)).status, 403);
	t.is((await rebound(http)).statusCode, 403);
});

/** As a browser that was told that this name is 127.0.0.1. */
function rebound(http) {
	return new Promise((resolve, reject) => {
		const options = { host: "127.0.0.1", port: http, path: "/api/overview", headers: { Host: "attacker.example" } };
		httpGet(options, (response) => resolve(response.resume())).on("error", reject);
	});
}

test("what is asked wrongly is answered in a sentence", async (t) => {
	const { http } = await httpServer(t);
	for (const [path, status] of [
		["api/functions/none", 404],
		["api/functions/%zz", 400],
		["api/functions/none/jobs", 404],
		["api/functions?sort=colour", 400],
		["api/functions?offset=-1", 400],
		["api/workers/77", 404],
		["api/workers?cursor=x", 400],
		["api/nothing", 404],
		["api/overview/more", 404],
		["dashboard/..%2fserver.js", 404],
		["dashboard/nothing.js", 404],
	]) {
		const answer = await api(http, path);
		t.is(answer.status, status, path);
		t.regex(answer.body, /^[A-Za-z].*\n$/, path);
	}
});

test("the page is served with a policy that lets nothing in from elsewhere, and / leads to it", async (t) => {
	const { http } = await httpServer(t);
	const page = await fetch(`http://127.0.0.1:${http}/`, { headers: { Accept: "text/html,*/*" } });
	t.is(page.url, `http://127.0.0.1:${http}/dashboard/`);
	const policy = page.headers.get("content-security-policy");
	t.regex(policy, /default-src 'none'/);
	t.notRegex(policy, /unsafe|\*|https?:/);
	const html = await page.text();
	const names = [...html.matchAll(/(?:src|href)="([\w.-]+)"/g)].map(([, name]) => name);
	t.true(names.includes("app.js") && names.includes("style.css"));
	for (const name of names) {
		const asset = await fetch(`http://127.0.0.1:${http}/dashboard/${name}`);
		t.is(asset.status, 200, name);
		const again = { headers: { "If-None-Match": asset.headers.get("etag") } };
		t.is((await fetch(`http://127.0.0.1:${http}/dashboard/${name}`, again)).status, 304, name);
		t.notRegex(await asset.text(), /https?:\/\/(?!www\.w3\.org)/, `${name} names nothing elsewhere`);
	}
	t.regex((await api(http, "")).body, /\/dashboard\//);
});

const address = Object.values(networkInterfaces())
	.flat()
	.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
const testOutside = address === undefined ? test.skip : test;

testOutside("from another address than the machine's own the dashboard is refused, unless it is for all", async (t) => {
	const local = await httpServer(t, { listen: ["0.0.0.0"] });
	const ask = (http, path) => fetch(`http://${address}:${http}/${path}`, { headers: { Accept: "text/html" } });
	for (const path of ["", "dashboard/", "api/overview", "api/events"]) {
		const answer = await ask(local.http, path);
		t.is(answer.status, 403, path);
		t.regex(await answer.text(), /--dashboard all/, path);
	}
	t.is((await ask(local.http, "livez")).status, 200);

	const all = await httpServer(t, { listen: ["0.0.0.0"], dashboard: "all" });
	t.is((await ask(all.http, "dashboard/")).status, 200);
	const overview = await ask(all.http, "api/overview");
	t.is((await overview.json()).mayChange, false);
	t.is((await fetch(`http://${address}:${all.http}/api/functions/f`, { method: "DELETE" })).status, 403);
});

test("turned off, it is shown to nobody; a proxy speaks for others", async (t) => {
	const off = await httpServer(t, { dashboard: "off" });
	t.is((await api(off.http, "dashboard/")).status, 403);
	t.is((await api(off.http, "api/overview")).status, 403);
	const local = await httpServer(t);
	t.is((await api(local.http, "api/overview", { headers: { "X-Forwarded-For": "192.0.2.1" } })).status, 403);
});

test("events tell what the viewer may do, then a snapshot a second", async (t) => {
	const { http, port } = await httpServer(t);
	const viewer = await talk(t, http);
	viewer.write("GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	const { status, headers } = await viewer.head();
	t.is(status, 200);
	t.is(headers["content-type"], "text/event-stream");
	const [, hello] = await viewer.read(/event: hello\ndata: (.*)\n\n/);
	t.deepEqual(JSON.parse(hello), { mayChange: true, samples: [] });
	const snapshot = async () => JSON.parse((await viewer.read(/event: snapshot\ndata: (.*)\n\n/))[1]);
	t.is((await snapshot()).functions.matching, 0);
	const client = await dial(t, port);
	await background(client, "f", "u");
	t.is((await until(async () => (await snapshot()).functions.functions[0])).name, "f");

	// The next viewer sees what the first one's charts show.
	const second = await talk(t, http);
	second.write("GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	const [, later] = await second.read(/event: hello\ndata: (.*)\n\n/);
	t.true(JSON.parse(later).samples.length > 0);
});

test("ten thousand functions: events carry those that need a look, the rest is asked for", async (t) => {
	const { http, server } = await httpServer(t);
	for (let i = 0; i < 10_000; i++) server.jobs.functionOf(`f${i}`);
	const viewer = await talk(t, http);
	viewer.write("GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	const [, text] = await viewer.read(/event: snapshot\ndata: (.*)\n\n/);
	const { functions } = JSON.parse(text);
	t.is(functions.matching, 10_000);
	t.is(functions.functions.length, 100);
	t.true(text.length < 200_000);
	t.is((await api(http, "api/functions?filter=f9999")).body.matching, 1);
	t.is((await api(http, "api/functions?offset=9990")).body.offset, 9900);
});

test("a server that stops ends its viewers' streams", async (t) => {
	const { http, server } = await httpServer(t);
	const viewer = await talk(t, http);
	viewer.write("GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	await viewer.read(/event: snapshot/);
	await server.stop();
	await viewer.rest();
	t.pass();
});

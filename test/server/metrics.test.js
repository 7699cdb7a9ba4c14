// The metrics: each event counted once, sums that add up whatever happens, names that stay within their limit, and texts
// that other people's readers take.

import { spawnSync } from "node:child_process";
import test from "ava";
import { readMetrics } from "../../dist/admin/metrics.js";
import { expose, formatFor } from "../../dist/server/exposition.js";
import { metricTable } from "../../dist/server/metric-table.js";
import { httpServer, talk } from "../helpers/http.js";
import { random } from "../helpers/random.js";
import { dial, startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** name{labels} → value, of what the server answers to `metrics`. */
async function scrape(peer) {
	const samples = readMetrics(await peer.list("metrics"));
	return new Map(samples.map(({ name, labels, value }) => [`${name}${JSON.stringify(labels)}`, value]));
}

/** The sum over all functions and priorities. */
async function totals(peer) {
	const sums = {};
	for (const { name, value } of readMetrics(await peer.list("metrics"))) sums[name] = (sums[name] ?? 0) + value;
	return sums;
}

const ENDINGS = ["completed", "failed", "exceptions", "cancelled", "abandoned", "given_up", "refused"];
const KINDS = ["submitted", "replayed", "coalesced", ...ENDINGS, "retried", "timed_out"];

/** What was counted about jobs, without zeros. */
async function counted(peer) {
	const sums = await totals(peer);
	const counts = KINDS.map((kind) => [kind, sums[`gearman_jobs_${kind}_total`] ?? 0]);
	return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

test("each thing that can happen to a job is counted, once, where it belongs", async (t) => {
	const { port } = await startServer(t, { jobRetries: 2 });
	const [admin, client, worker] = await Promise.all([dial(t, port), dial(t, port), dial(t, port)]);
	worker.send("CAN_DO", "f");
	/** Submits and has the worker take it: the handle. */
	const run = async (submit = "SUBMIT_JOB", unique = "", by = worker) => {
		client.send(submit, "f", unique, "12345");
		const [, handle] = await client.next();
		by.send("GRAB_JOB");
		t.is((await by.next())[1], handle);
		return handle;
	};
	t.deepEqual(await counted(admin), {});

	worker.send("WORK_COMPLETE", await run(), "result");
	await client.next();
	t.deepEqual(await counted(admin), { submitted: 1, completed: 1 });

	worker.send("WORK_FAIL", await run("SUBMIT_JOB_HIGH"));
	await client.next();
	t.deepEqual(await counted(admin), { submitted: 2, completed: 1, failed: 1 });

	worker.send("WORK_EXCEPTION", await run("SUBMIT_JOB_LOW"), "why");
	await client.next();
	t.deepEqual(await counted(admin), { submitted: 3, completed: 1, failed: 1, exceptions: 1 });

	const shared = await run("SUBMIT_JOB", "key");
	client.send("SUBMIT_JOB_BG", "f", "key", "");
	t.deepEqual(await client.next(), ["JOB_CREATED", shared]);
	t.deepEqual(await counted(admin), { submitted: 4, completed: 1, failed: 1, exceptions: 1, coalesced: 1 });

	// Cancelled while it runs: it ends with its worker's word, whatever that is.
	admin.raw(`cancel job ${shared}\n`);
	t.is(await admin.next(), "OK");
	t.is((await counted(admin)).cancelled, undefined);
	worker.send("WORK_COMPLETE", shared, "");
	await worker.settle();
	t.deepEqual(await counted(admin), {
		submitted: 4,
		completed: 1,
		failed: 1,
		exceptions: 1,
		coalesced: 1,
		cancelled: 1,
	});
	client.send("SUBMIT_JOB_EPOCH", "f", "", `${Math.round(Date.now() / 1000) + 1000}`, "");
	const [, waiting] = (await client.settle()).at(-1);
	t.is((await totals(admin)).gearman_jobs_delayed, 1);
	admin.raw(`cancel job ${waiting}\n`);
	t.is(await admin.next(), "OK");
	t.is((await counted(admin)).cancelled, 2);

	// Lost once: retried. Twice: given up.
	const unlucky = await run("SUBMIT_JOB_BG");
	for (const kind of ["retried", "given_up"]) {
		worker.send("CANT_DO", "f");
		worker.send("CAN_DO", "f");
		if (kind === "retried") worker.send("GRAB_JOB");
		if (kind === "retried") t.is((await worker.next())[1], unlucky);
		await worker.settle();
		t.is((await counted(admin))[kind], 1);
	}

	// Its client leaves before a worker comes.
	const leaving = await dial(t, port);
	leaving.send("SUBMIT_JOB", "f", "", "");
	await leaving.next();
	await leaving.close();
	t.is((await counted(admin)).abandoned, 1);

	const slow = await dial(t, port);
	slow.send("CAN_DO_TIMEOUT", "f", "1");
	await run("SUBMIT_JOB_BG", "", slow);
	await until(async () => (await counted(admin)).timed_out === 1);
	t.is((await counted(admin)).retried, 2);

	const all = await scrape(admin);
	const at = (name, priority) => all.get(`${name}${JSON.stringify({ function: "f", priority })}`);
	t.deepEqual(
		["high", "normal", "low"].map((priority) => at("gearman_jobs_submitted_total", priority)),
		[1, 6, 1],
	);
	t.is(at("gearman_jobs_failed_total", "high"), 1);
	t.is(at("gearman_jobs_exceptions_total", "low"), 1);
	t.is(at("gearman_jobs_queued", "normal"), 1);
	t.is((await totals(admin)).gearman_workload_bytes_total, 5 * 6);
	t.is((await totals(admin)).gearman_result_bytes_total, "result".length);
	// Grabs, and ends by the worker.
	t.is((await totals(admin)).gearman_job_wait_seconds_count, 7);
	t.is((await totals(admin)).gearman_job_run_seconds_count, 4);
});

test("whatever happens, no counter goes down, and what was submitted is what ended and what is there", async (t) => {
	const { server, port } = await startServer(t, { jobRetries: 3, metricsFunctions: 3 });
	const { next } = random(t);
	const admin = await dial(t, port);
	const pick = (list) => list[next(list.length)];
	const functions = ["a", "b", "c", "d", "e"];
	const clients = await Promise.all([0, 1, 2].map(() => dial(t, port)));
	const workers = await Promise.all([0, 1, 2].map(() => dial(t, port)));
	/** Jobs each worker has. */
	const held = workers.map(() => []);
	const handles = new Set();
	const seen = { completed: 0, failed: 0, exceptions: 0 };
	let submits = 0;
	let before = new Map();
	for (let step = 0; step < 600; step++) {
		const i = next(3);
		switch (next(12)) {
			case 0:
			case 1:
			case 2:
			case 3: {
				const name = pick(["SUBMIT_JOB", "SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH", "SUBMIT_JOB_LOW_BG"]);
				clients[i].send(name, pick(functions), pick(["", "", "k1", "k2"]), "x".repeat(next(50)));
				for (const [packet, handle] of await clients[i].settle()) if (packet === "JOB_CREATED") handles.add(handle);
				submits++;
				break;
			}
			case 4:
				workers[i].send("CAN_DO", pick(functions));
				break;
			case 5:
				workers[i].send("CANT_DO", pick(functions));
				break;
			case 6:
			case 7:
			case 8:
				workers[i].send("GRAB_JOB");
				for (const [packet, handle] of await workers[i].settle()) if (packet === "JOB_ASSIGN") held[i].push(handle);
				break;
			case 9: {
				const handle = held[i].shift();
				if (handle === undefined) break;
				const [packet, kind] = pick([
					["WORK_COMPLETE", "completed"],
					["WORK_FAIL", "failed"],
					["WORK_EXCEPTION", "exceptions"],
				]);
				const job = server.jobs.find(handle);
				const counts = job?.worker !== undefined && !job.isCancelled && server.jobs.find(handle) !== undefined;
				const isMine = counts && held.every((list) => !list.includes(handle));
				if (!isMine) break;
				workers[i].send(packet, handle, ...(packet === "WORK_FAIL" ? [] : ["result"]));
				const answers = await workers[i].settle();
				if (!answers.some(([name]) => name === "ERROR")) seen[kind]++;
				break;
			}
			case 10:
				admin.raw(next(2) ? `drop function ${pick(functions)}\n` : `cancel job H:test:${next(handles.size + 1)}\n`);
				await admin.next();
				break;
			case 11:
				if (next(4) > 0) break;
				// A connection goes: a client's jobs are abandoned, a worker's are lost.
				if (next(2)) {
					await clients[i].close();
					clients[i] = await dial(t, port);
				} else {
					await workers[i].close();
					held[i] = [];
					workers[i] = await dial(t, port);
				}
				break;
		}
		if (step % 20 !== 19) continue;
		for (const wire of [...clients, ...workers]) await wire.settle();
		const after = await scrape(admin);
		for (const [name, value] of before) {
			if (!/^\w+_(total|bucket|sum|count)\{/.test(name) || name.startsWith("gearman_store")) continue;
			// A dropped function may have lost its place; then its counts are the others'.
			if (after.has(name)) t.true(after.get(name) >= value || name.includes('"function"'), name);
		}
		const sums = await totals(admin);
		const past = {};
		for (const [name, value] of before) past[name.split("{")[0]] = (past[name.split("{")[0]] ?? 0) + value;
		for (const kind of KINDS) {
			const name = `gearman_jobs_${kind}_total`;
			t.true((sums[name] ?? 0) >= (past[name] ?? 0), name);
		}
		const ended = ENDINGS.reduce((sum, kind) => sum + sums[`gearman_jobs_${kind}_total`], 0);
		t.is(sums.gearman_jobs_submitted_total, handles.size);
		t.is(sums.gearman_jobs_submitted_total + sums.gearman_jobs_coalesced_total, submits);
		t.is(
			ended + sums.gearman_jobs_queued + sums.gearman_jobs_running + sums.gearman_jobs_delayed,
			sums.gearman_jobs_submitted_total,
		);
		t.is(sums.gearman_jobs_queued + sums.gearman_jobs_running, server.jobs.size);
		for (const kind of Object.keys(seen)) t.is(sums[`gearman_jobs_${kind}_total`], seen[kind], kind);
		t.is(sums.gearman_job_run_seconds_count >= seen.completed + seen.failed + seen.exceptions, true);
		before = after;
	}
	t.true(handles.size > 50 && seen.completed > 0, `${handles.size} ${JSON.stringify(seen)}`);
});

test("functions beyond the limit, and names that are no text, are counted as one", async (t) => {
	const { port } = await startServer(t, { metricsFunctions: 2 });
	const peer = await dial(t, port);
	const submitted = async () => {
		const samples = readMetrics(await peer.list("metrics"));
		const mine = samples.filter(({ name }) => name === "gearman_jobs_submitted_total");
		return Object.fromEntries(mine.map(({ labels, value }) => [labels.function, value]));
	};
	for (const name of ["one", "two", "three", "four", "one"]) peer.send("SUBMIT_JOB_BG", name, "", "");
	await peer.settle();
	t.deepEqual(await submitted(), { one: 2, two: 1, "(other)": 2 });
	// A dropped function keeps its numbers until another needs the place; the sum stays.
	peer.raw("drop function two\n");
	t.is(await peer.next(), "OK");
	t.deepEqual(await submitted(), { one: 2, two: 1, "(other)": 2 });
	peer.send("SUBMIT_JOB_BG", "five", "", "");
	await peer.settle();
	t.deepEqual(await submitted(), { one: 2, five: 1, "(other)": 3 });
	peer.send("SUBMIT_JOB_BG", "two", "", "");
	await peer.settle();
	t.deepEqual(await submitted(), { one: 2, five: 1, "(other)": 4 });
});

test("a name with any bytes is one label, and never another's", async (t) => {
	const { server, port } = await startServer(t);
	const peer = await dial(t, port);
	const names = ['quo"ted', "back\\slash\\n", "line\nbreak", "blanks and\ttabs", "ünïcödé", "(other)", "}{,=", ""];
	for (const name of names) peer.send("SUBMIT_JOB_BG", Buffer.from(name), "", "");
	peer.send("SUBMIT_JOB_BG", Buffer.from([0xff, 0xfe]), "", "");
	await peer.settle();
	const rows = readMetrics(expose(server, "prometheus").toString().split("\n"));
	const found = rows.filter(({ name }) => name === "gearman_jobs_submitted_total");
	t.deepEqual(
		found.map(({ labels, value }) => [labels.function, value]),
		[...names.filter((name) => name !== "(other)").map((name) => [name, 1]), ["(other)", 2]],
	);
});

test("the answer to metrics is a list that ends with its dot", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	peer.send("CAN_DO", ".");
	const lines = await peer.list("metrics");
	t.true(lines.length > 100);
	t.true(lines.includes('gearman_workers{function="."} 1'));
	t.false(lines.includes("."));
	t.true(lines.includes('gearman_connections{role="worker"} 1'));
});

test("packets, bytes, errors, connections and commits are counted", async (t) => {
	const { server, port } = await startServer(t, { maxConnections: 2 });
	const peer = await dial(t, port);
	peer.send("ECHO_REQ", "12345678");
	await peer.next();
	peer.send("WORK_COMPLETE", "H:none:1", "");
	await peer.next();
	peer.send("SUBMIT_JOB_BG", "f", "", "");
	await peer.next();
	const second = await dial(t, port);
	await second.settle();
	const third = await dial(t, port);
	t.is(await third.next(), "closed");
	const samples = readMetrics(expose(server, "prometheus").toString().split("\n"));
	const value = (name, labels = {}) =>
		samples.find((sample) => sample.name === name && JSON.stringify(sample.labels) === JSON.stringify(labels))?.value;
	t.is(value("gearman_packets_total", { packet: "WORK_COMPLETE" }), 1);
	t.is(value("gearman_errors_total", { code: "JOB_NOT_FOUND" }), 1);
	t.is(value("gearman_connections", { role: "none" }), 2);
	t.is(value("gearman_connections_accepted_total"), 2);
	t.is(value("gearman_connections_refused_total"), 1);
	t.true(value("gearman_received_bytes_total") >= 12 + 8 + 12 + 9);
	t.true(value("gearman_sent_bytes_total") >= 12 + 8);
	t.is(value("gearman_build_info", { version: server.options.version, node: process.version, store: "builtin" }), 1);
	for (const { name } of metricTable)
		t.true(
			samples.some((sample) => sample.name.startsWith(name)),
			name,
		);
});

test("the store's batches are counted, and those it refuses", async (t) => {
	let isBroken = false;
	const store = {
		open: async () => 0,
		async *replay() {},
		close: async () => {},
		async write(changes) {
			if (isBroken && changes.some(({ kind }) => kind === "add")) throw new Error("no room");
		},
	};
	const { port } = await startServer(t, { store });
	const peer = await dial(t, port);
	peer.send("SUBMIT_JOB_BG", "f", "", "12345");
	t.is((await peer.next())[0], "JOB_CREATED");
	isBroken = true;
	peer.send("SUBMIT_JOB_BG", "f", "", "123");
	t.is((await peer.next())[0], "ERROR");
	const sums = await totals(peer);
	t.is(sums.gearman_store_failures_total, 1);
	t.is(sums.gearman_store_workload_bytes_total, 8);
	t.is(sums.gearman_store_changes_total, 3); // a reservation of handles, and two jobs
	t.is(sums.gearman_store_commit_seconds_count, 3);
	t.is(sums.gearman_jobs_refused_total, 1);
	t.is(sums.gearman_jobs_queued, 1);
});

test("Accept decides between the formats", (t) => {
	t.is(formatFor(""), "prometheus");
	t.is(formatFor("*/*"), "prometheus");
	t.is(formatFor("text/plain"), "prometheus");
	t.is(formatFor("application/openmetrics-text"), "openmetrics");
	t.is(formatFor("application/openmetrics-text;q=0, */*"), "prometheus");
	t.is(formatFor("application/openmetrics-text;q=0.3,text/plain;q=0.5"), "prometheus");
	const prometheus2 =
		"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
	t.is(formatFor(prometheus2), "openmetrics");
});

test("GET /metrics answers either format, as asked for", async (t) => {
	const { port, http } = await httpServer(t);
	const peer = await dial(t, port);
	peer.send("SUBMIT_JOB_BG", Buffer.from("jöb"), "", "");
	await peer.settle();
	const wire = await talk(t, http);
	const plain = await wire.get("/metrics");
	t.is(plain.status, 200);
	t.is(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
	const line = Buffer.from('gearman_jobs_queued{function="jöb",priority="normal"} 1\n').toString("latin1");
	t.true(plain.body.includes(line));
	t.true(plain.body.includes('gearman_connections{role="http"} 1\n'));
	wire.write("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/openmetrics-text;version=1.0.0\r\n\r\n");
	const open = await wire.answer();
	t.is(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
	t.true(open.body.endsWith("\n# EOF\n"));
	wire.write("HEAD /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
	t.true(Number((await wire.answer({ isHead: true })).headers["content-length"]) > 1000);
	wire.write("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n\r\n");
	t.is((await wire.answer()).status, 403);
});

/** Debian's python3 with python3-prometheus-client, the parsers the formats are defined by. */
const python = ["/usr/bin/python3", "python3"].find(
	(command) => spawnSync(command, ["-c", "import prometheus_client"]).status === 0,
);
const testWith = (program, isThere) =>
	isThere ? test : (title, ...rest) => test.skip(`${title} (no ${program} here)`, ...rest);

/** A server with everything in its text. */
async function busyServer(t) {
	const { server, port } = await startServer(t, { metricsFunctions: 4 });
	const peer = await dial(t, port);
	for (const name of ['a"\\', "ünï\n", "b", "c", "d", "e"]) {
		for (const submit of ["SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH_BG"]) peer.send(submit, Buffer.from(name), "", "12");
		peer.send("CAN_DO", Buffer.from(name));
		peer.send("GRAB_JOB");
	}
	peer.send("GET_STATUS");
	const assigned = (await peer.settle()).filter(([name]) => name === "JOB_ASSIGN");
	for (const [, handle] of assigned) peer.send("WORK_COMPLETE", handle, "result");
	await peer.settle();
	return server;
}

testWith("python3-prometheus-client", python)("the reference parsers take both texts", async (t) => {
	const server = await busyServer(t);
	const script = (module) => `
import json, sys
from prometheus_client.${module} import text_string_to_metric_families as parse
text = sys.stdin.buffer.read().decode("utf8")
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]] for f in parse(text)]))`;
	for (const [format, module] of [
		["prometheus", "parser"],
		["openmetrics", "openmetrics.parser"],
	]) {
		const text = expose(server, format);
		const { stdout, stderr, status } = spawnSync(python, ["-c", script(module)], { input: text, encoding: "utf8" });
		t.is(status, 0, stderr);
		const families = JSON.parse(stdout);
		t.deepEqual(
			families.map(([name]) => name.replace(/_(total|info)$/, "")),
			metricTable.map(({ name }) => name),
		);
		for (const [name, type, unit] of families) {
			const { type: expected } = metricTable.find((metric) => metric.name === name.replace(/_(total|info)$/, ""));
			t.is(type, expected === "info" && format === "prometheus" ? "gauge" : expected, name);
			if (format === "openmetrics") t.is(unit, /_(seconds|bytes)$/.exec(name)?.[1] ?? "", name);
		}
		// They read what ours reads.
		const theirs = families.flatMap(([, , , samples]) => samples);
		const mine = readMetrics(text.toString().split("\n"));
		t.deepEqual(
			mine.map(({ name, labels, value }) => [name, labels, value]),
			theirs,
		);
	}
});

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
testWith("promtool", hasPromtool)("promtool finds no fault", async (t) => {
	const server = await busyServer(t);
	const { stdout, stderr, status } = spawnSync("promtool", ["check", "metrics"], {
		input: expose(server, "prometheus"),
		encoding: "utf8",
	});
	t.deepEqual({ stdout, stderr, status }, { stdout: "", stderr: "", status: 0 });
});

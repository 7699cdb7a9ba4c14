// Jobs as server-sent events.

import test from "ava";
import { httpServer, talk } from "../helpers/http.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

async function setUp(t) {
	const { server, port, http } = await httpServer(t);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	const wire = await talk(t, http);
	wire.write(
		"POST /f HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nX-Gearman-Timeout: 9s\r\nContent-Length: 1\r\n\r\nw",
	);
	const head = await wire.head();
	worker.send("GRAB_JOB");
	const [, handle] = await worker.next();
	return { server, port, http, worker, wire, handle, head };
}

/** The next event: [name, data]. */
async function event(wire) {
	const text = Buffer.from(await wire.chunk(), "latin1").toString();
	const [, name, data] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(text);
	return [name, JSON.parse(data)];
}

test("what a job says comes as events, text as it is and other bytes as base64", async (t) => {
	const { worker, wire, handle, head } = await setUp(t);
	t.is(head.status, 200);
	t.is(head.headers["content-type"], "text/event-stream");
	t.is(head.headers["x-gearman-job-handle"], handle);
	t.deepEqual(await event(wire), ["created", { handle }]);
	for (const [packet, expected] of [
		[
			["WORK_DATA", handle, Buffer.from("zwei\nZeilen ü")],
			["data", { encoding: "utf-8", data: "zwei\nZeilen ü" }],
		],
		[
			["WORK_DATA", handle, Buffer.from([0, 255])],
			["data", { encoding: "base64", data: "AP8=" }],
		],
		[
			["WORK_WARNING", handle, "careful"],
			["warning", { encoding: "utf-8", data: "careful" }],
		],
		[
			["WORK_STATUS", handle, "1", "3"],
			["status", { numerator: 1, denominator: 3 }],
		],
		[
			["WORK_STATUS", handle, "half", "NaN"],
			["status", { numerator: 0, denominator: 0 }],
		],
		[
			["WORK_COMPLETE", handle, "done"],
			["complete", { encoding: "utf-8", data: "done" }],
		],
	]) {
		worker.send(...packet);
		t.deepEqual(await event(wire), expected);
	}
	t.is(await wire.chunk(), "");
});

for (const [title, packet, expected] of [
	["a failure", ["WORK_FAIL"], ["fail", {}]],
	["an exception", ["WORK_EXCEPTION", "why"], ["exception", { encoding: "utf-8", data: "why" }]],
]) {
	test(`${title} is the last event`, async (t) => {
		const { worker, wire, handle } = await setUp(t);
		await event(wire);
		worker.send(packet[0], handle, ...packet.slice(1));
		t.deepEqual(await event(wire), expected);
		t.is(await wire.chunk(), "");
	});
}

test("a large result comes in several events", async (t) => {
	const { worker, wire, handle } = await setUp(t);
	await event(wire);
	worker.send("WORK_COMPLETE", handle, Buffer.alloc((1 << 20) + 1, "x"));
	const events = [];
	let text = "";
	while (!text.includes("event: complete")) text += await wire.chunk();
	for (const part of text.trim().split("\n\n")) {
		const [name, data] = part.split("\n");
		events.push([name, JSON.parse(data.slice("data: ".length)).data.length]);
	}
	t.deepEqual(events, [
		["event: data", 1 << 20],
		["event: complete", 1],
	]);
});

test("a job that takes too long ends with a timeout", async (t) => {
	const { http } = await httpServer(t);
	const wire = await talk(t, http);
	wire.write(
		"POST /f HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nX-Gearman-Timeout: 20\r\nContent-Length: 0\r\n\r\n",
	);
	await wire.head();
	t.is((await event(wire))[0], "created");
	t.deepEqual(await event(wire), ["timeout", {}]);
	t.is(await wire.chunk(), "");
});

test("what is refused has its status, not an event", async (t) => {
	const { http, server } = await httpServer(t);
	const wire = await talk(t, http);
	server.jobs.functionOf("f").maxQueue[1] = 1;
	server.jobs.functionOf("f").total = 1;
	wire.write("POST /f HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n");
	t.is((await wire.answer()).status, 503);
	server.jobs.functionOf("f").total = 0;
});

test("a background job is followed by its handle, and goes on when nobody does", async (t) => {
	const { server, port, http } = await httpServer(t);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	worker.send("SUBMIT_JOB_BG", "f", "", "w");
	const [, handle] = await worker.next();
	const follower = async () => {
		const wire = await talk(t, http);
		wire.write(`GET /jobs/${handle} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
		t.is((await wire.head()).status, 200);
		t.deepEqual(await event(wire), ["created", { handle }]);
		return wire;
	};
	const [one, two] = [await follower(), await follower()];
	t.is(server.jobs.find(handle).attachments.length, 2);
	one.destroy();
	await until(() => server.jobs.find(handle).attachments.length === 1);
	worker.send("GRAB_JOB");
	await worker.next();
	worker.send("WORK_COMPLETE", handle, "done");
	t.deepEqual(await event(two), ["complete", { encoding: "utf-8", data: "done" }]);
	t.is(server.jobs.size, 0);
	two.write(`GET /jobs/${handle} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`);
	t.is(await two.chunk(), "");
	await two.read(/^\r\n/);
	t.is((await two.answer()).status, 404);
});

import test from "ava";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { dial, startServer } from "../helpers/server.js";

const JOBS = 20;

/** A client with 20 jobs under way, and the worker that has them all; `handles` in order. */
async function setUp(t) {
	const { server, port } = await startServer(t);
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	for (let i = 0; i < JOBS; i++) client.send("SUBMIT_JOB", "f", "", `${i}`);
	const handles = [];
	for (let i = 0; i < JOBS; i++) handles.push((await client.next())[1]);
	worker.send("CAN_DO", "f");
	for (let i = 0; i < JOBS; i++) worker.send("GRAB_JOB");
	for (const handle of handles) t.is((await worker.next())[1], handle);
	return { server, port, client, worker, handles };
}

test("a result does not wait for the client's other jobs", async (t) => {
	const { client, worker, handles } = await setUp(t);
	for (const handle of handles) {
		worker.send("WORK_DATA", handle, "part");
		t.deepEqual(await client.next(), ["WORK_DATA", handle, "part"]);
		worker.send("WORK_COMPLETE", handle, "whole");
		t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, "whole"]);
	}
});

test("nor for a pause of those who keep the server busy", async (t) => {
	const { port, client, worker, handles } = await setUp(t);
	const others = [await dial(t, port), await dial(t, port)];
	let isOver = false;
	const noise = others.map(async (other) => {
		while (!isOver) await other.settle();
	});
	for (const handle of handles) {
		worker.send("WORK_STATUS", handle, "1", "2");
		t.deepEqual(await client.next(), ["WORK_STATUS", handle, "1", "2"]);
	}
	isOver = true;
	await Promise.all(noise);
});

test("results and other answers of a client keep their order", async (t) => {
	const { client, worker, handles } = await setUp(t);
	for (const [i, handle] of handles.entries()) {
		worker.send("WORK_WARNING", handle, `${i}`);
		worker.send(i % 2 === 0 ? "WORK_COMPLETE" : "WORK_FAIL", ...(i % 2 === 0 ? [handle, ""] : [handle]));
	}
	client.send("GET_STATUS", "H:test:none");
	for (const [i, handle] of handles.entries()) {
		const warning = await client.next();
		// The status is asked for somewhere in between.
		t.deepEqual(warning[0] === "STATUS_RES" ? await client.next() : warning, ["WORK_WARNING", handle, `${i}`]);
		const end = await client.next();
		const ending = end[0] === "STATUS_RES" ? await client.next() : end;
		t.deepEqual(ending, i % 2 === 0 ? ["WORK_COMPLETE", handle, ""] : ["WORK_FAIL", handle]);
	}
});

test("JOB_CREATED of jobs submitted together does not wait for their results, however busy the server", async (t) => {
	const { server, port } = await startServer(t);
	const [client, ...others] = [await dial(t, port), await dial(t, port), await dial(t, port)];
	let isOver = false;
	const noise = others.map(async (other) => {
		while (!isOver) await other.settle();
	});
	for (let i = 0; i < 50; i++) {
		client.raw(Buffer.concat(Array.from({ length: 4 }, () => encodeRequest("SUBMIT_JOB", ["f", "", `${i}`]))));
		for (let j = 0; j < 4; j++) t.is((await client.next())[0], "JOB_CREATED");
	}
	isOver = true;
	await Promise.all(noise);
	t.is(server.jobs.size, 200);
});

test("what is held back at a stop is sent", async (t) => {
	const { server, client, worker, handles } = await setUp(t);
	for (const handle of handles.slice(0, 5)) worker.send("WORK_COMPLETE", handle, "last");
	await worker.settle();
	await server.stop();
	for (const handle of handles.slice(0, 5)) t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, "last"]);
	t.is(await client.next(), "closed");
});

/** A client that has submitted many jobs, each when the one before was done, and its worker. */
async function setUpInARow(t) {
	const { server, port } = await startServer(t);
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	worker.send("CAN_DO", "f");
	for (let i = 0; i < 100; i++) {
		client.send("SUBMIT_JOB", "f", "", `${i}`);
		let assigned = ["NO_JOB"];
		while (assigned[0] === "NO_JOB") {
			worker.send("GRAB_JOB");
			assigned = await worker.next();
		}
		const [, handle] = assigned;
		worker.send("WORK_COMPLETE", handle, `${i}`);
		t.deepEqual(await client.next(), ["JOB_CREATED", handle]);
		t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, `${i}`]);
	}
	return { server, client, worker };
}

test("JOB_CREATED does not wait for a result that takes its time", async (t) => {
	const { client } = await setUpInARow(t);
	for (let i = 0; i < 20; i++) {
		client.send("SUBMIT_JOB", "f", "", "");
		t.is((await client.next())[0], "JOB_CREATED");
	}
});

test("nor for its result, when the client asks for something else", async (t) => {
	const { client } = await setUpInARow(t);
	client.send("SUBMIT_JOB", "f", "", "");
	const [created, ...others] = await client.settle();
	t.is(created[0], "JOB_CREATED");
	t.deepEqual(others, []);
	client.send("SUBMIT_JOB", "f", "", "");
	client.send("SUBMIT_JOB_BG", "f", "", "");
	t.deepEqual(
		(await client.settle()).map(([name]) => name),
		["JOB_CREATED", "JOB_CREATED"],
	);
});

test("JOB_CREATED that waits at a stop is sent", async (t) => {
	const { server, client, worker } = await setUpInARow(t);
	client.send("SUBMIT_JOB", "f", "", "");
	let size = 0;
	while (size === 0) {
		await worker.settle();
		size = server.jobs.size;
	}
	await server.stop();
	t.is((await client.next())[0], "JOB_CREATED");
	t.is(await client.next(), "closed");
});

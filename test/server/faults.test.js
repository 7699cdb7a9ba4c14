// Faults of the C server that this one must not have: each test fails on gearmand's behaviour.

import { once } from "node:events";
import { connect } from "node:net";
import test from "ava";
import { dial, startServer } from "../helpers/server.js";

async function created(client, ...fields) {
	client.send(...fields);
	const [name, handle] = await client.next();
	if (name !== "JOB_CREATED") throw new Error(`${name} ${handle}`);
	return handle;
}

async function workerWith(t, port, handleWanted, name = "f") {
	const worker = await dial(t, port);
	worker.send("CAN_DO", name);
	worker.send("GRAB_JOB");
	const [type, handle] = await worker.next();
	t.deepEqual([type, handle], ["JOB_ASSIGN", handleWanted]);
	return worker;
}

test("a timeout of 20 digits harms nobody", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	for (const digits of ["9".repeat(20), "-9999999999999999999", "99999999999999999999"]) {
		peer.send("CAN_DO_TIMEOUT", "f", digits);
	}
	t.deepEqual(await peer.settle(), []);
	t.deepEqual(await peer.list("status"), ["f\t0\t0\t3"]);
});

test("the WORK_FAIL of a suppressed exception is the handle, without a NUL", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handle = await created(client, "SUBMIT_JOB", "f", "", "");
	const worker = await workerWith(t, port, handle);
	worker.send("WORK_EXCEPTION", handle, "x");
	t.deepEqual(await client.next(), ["WORK_FAIL", handle]);
});

test("a WORK_FAIL sent with a NUL reaches the client without it", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handle = await created(client, "SUBMIT_JOB", "f", "", "");
	const worker = await workerWith(t, port, handle);
	worker.send("WORK_FAIL", `${handle}\0`);
	t.deepEqual(await client.next(), ["WORK_FAIL", handle]);
});

test("a background job outlives the foreground clients that joined it, and those it joined", async (t) => {
	const { port } = await startServer(t);
	const admin = await dial(t, port);
	for (const [first, second] of [
		["SUBMIT_JOB_BG", "SUBMIT_JOB"],
		["SUBMIT_JOB", "SUBMIT_JOB_BG"],
	]) {
		const client = await dial(t, port);
		const handle = await created(client, first, "f", "u", "work");
		t.is(await created(client, second, "f", "u", "work"), handle);
		await client.close();
		t.deepEqual(await admin.list("show jobs"), [`${handle}\t0\t0\t1`]);
		const worker = await workerWith(t, port, handle);
		worker.send("WORK_COMPLETE", handle, "");
		await worker.settle();
	}
});

test("a submit never joins a job that was abandoned or cancelled", async (t) => {
	const { port } = await startServer(t);
	const [client, admin] = [await dial(t, port), await dial(t, port)];
	const abandoned = await created(client, "SUBMIT_JOB", "f", "u", "");
	await client.close();
	const second = await dial(t, port);
	const cancelled = await created(second, "SUBMIT_JOB", "f", "u", "");
	t.not(cancelled, abandoned);
	admin.raw(`cancel job ${cancelled}\n`);
	t.is(await admin.next(), "OK");
	t.deepEqual(await second.next(), ["WORK_FAIL", cancelled]);
	const third = await created(second, "SUBMIT_JOB", "f", "u", "");
	t.not(third, cancelled);
	// Neither while it runs: its result is for nobody.
	const worker = await workerWith(t, port, third);
	admin.raw(`cancel job ${third}\n`);
	t.is(await admin.next(), "OK");
	t.deepEqual(await second.next(), ["WORK_FAIL", third]);
	const fourth = await created(second, "SUBMIT_JOB", "f", "u", "");
	t.not(fourth, third);
	worker.send("WORK_COMPLETE", third, "late");
	t.deepEqual(await worker.settle(), []);
	t.deepEqual(await second.settle(), []);
});

test("each job of a worker is timed, a finished one no more, and no counter goes wrong", async (t) => {
	const { port } = await startServer(t);
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	worker.send("CAN_DO_TIMEOUT", "f", "1"); // raised to one second
	const handles = [];
	for (let i = 0; i < 3; i++) handles.push(await created(client, "SUBMIT_JOB_BG", "f", "", `${i}`));
	for (const handle of handles) {
		worker.send("GRAB_JOB");
		t.is((await worker.next())[1], handle);
	}
	worker.send("WORK_COMPLETE", handles[0], "");
	worker.send("PRE_SLEEP");
	t.deepEqual(await worker.next(), ["NOOP"]); // the first timeout has requeued a job
	for (const handle of handles.slice(1)) {
		worker.send("PRE_SLEEP");
		t.deepEqual(await worker.next(), ["NOOP"]);
		worker.send("GRAB_JOB");
		t.deepEqual((await worker.next()).slice(0, 2), ["JOB_ASSIGN", handle]);
	}
	t.deepEqual(await worker.list("status"), ["f\t2\t2\t1"]);
	t.deepEqual(
		await worker.list("show jobs"),
		handles.slice(1).map((handle) => `${handle}\t1\t0\t1`),
	);
});

test("a result that comes after its timeout is refused", async (t) => {
	const { port } = await startServer(t);
	const [client, slow, next] = [await dial(t, port), await dial(t, port), await dial(t, port)];
	const handle = await created(client, "SUBMIT_JOB", "f", "", "");
	slow.send("CAN_DO_TIMEOUT", "f", "1000");
	slow.send("GRAB_JOB");
	await slow.next();
	next.send("CAN_DO", "f");
	next.send("PRE_SLEEP");
	t.deepEqual(await next.next(), ["NOOP"]);
	next.send("GRAB_JOB");
	t.is((await next.next())[1], handle);
	slow.send("WORK_COMPLETE", handle, "late");
	t.is((await slow.next())[1], "JOB_NOT_FOUND");
	next.send("WORK_COMPLETE", handle, "good");
	t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, "good"]);
});

test("an epoch job wakes a sleeper when it is due", async (t) => {
	const { port } = await startServer(t);
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	worker.send("CAN_DO", "f");
	worker.send("PRE_SLEEP");
	await worker.settle();
	const due = Math.floor(Date.now() / 1000) + 2;
	const handle = await created(client, "SUBMIT_JOB_EPOCH", "f", "", `${due}`, "x");
	t.deepEqual(await worker.settle(), []);
	t.deepEqual(await worker.next(), ["NOOP"]);
	t.true(Date.now() >= due * 1000);
	worker.send("GRAB_JOB");
	t.deepEqual(await worker.next(), ["JOB_ASSIGN", handle, "f", "x"]);
});

test("an epoch job that is not due hides nothing, and lets workers sleep", async (t) => {
	const { port } = await startServer(t);
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	await created(client, "SUBMIT_JOB_EPOCH", "f", "", "99999999999", "later");
	const low = await created(client, "SUBMIT_JOB_LOW_BG", "f", "", "low");
	worker.send("CAN_DO", "f");
	worker.send("GRAB_JOB");
	t.deepEqual(await worker.next(), ["JOB_ASSIGN", low, "f", "low"]);
	worker.send("PRE_SLEEP");
	t.deepEqual(await worker.settle(), []);
});

test("create function keeps the last letter, whatever ends the line", async (t) => {
	const { port } = await startServer(t);
	const admin = await dial(t, port);
	admin.raw("create function abc\ncreate function def\r\n");
	t.deepEqual([await admin.next(), await admin.next()], ["OK", "OK"]);
	t.deepEqual(await admin.list("status"), ["abc\t0\t0\t0", "def\t0\t0\t0"]);
});

test("maxqueue holds for a function nobody has named before", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	client.raw("maxqueue new 1\n");
	t.is(await client.next(), "OK");
	await created(client, "SUBMIT_JOB_BG", "new", "", "");
	client.send("SUBMIT_JOB_BG", "new", "", "");
	t.is((await client.next())[1], "QUEUE_ERROR");
});

test("six words and blanks in front are a command like any other", async (t) => {
	const { port } = await startServer(t, { version: "1" });
	const admin = await dial(t, port);
	admin.raw("version a b c d e f\n  version\n");
	t.deepEqual([await admin.next(), await admin.next()], ["OK 1", "OK 1"]);
});

test("drop function cancels what is queued instead of losing it", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handle = await created(client, "SUBMIT_JOB", "f", "", "");
	await created(client, "SUBMIT_JOB_BG", "f", "", "");
	client.raw("drop function f\n");
	t.deepEqual(await client.next(), ["WORK_FAIL", handle]);
	t.is(await client.next(), "OK");
	t.deepEqual(await client.list("show jobs"), []);
	t.deepEqual(await client.list("status"), []);
	client.send("CAN_DO", "f");
	client.raw("drop function f\n");
	t.is(await client.next(), "ERR there are still connected workers or executing clients");
});

test("arguments may be longer than 8 KB", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	const name = "f".repeat(20_000);
	peer.send("CAN_DO", name);
	const handle = await created(peer, "SUBMIT_JOB", name, "", "x");
	peer.send("GRAB_JOB");
	t.deepEqual(await peer.next(), ["JOB_ASSIGN", handle, name, "x"]);
});

test("a WORK_FAIL after a WORK_EXCEPTION for the same job is taken in silence, once", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handle = await created(client, "SUBMIT_JOB", "f", "", "");
	const worker = await workerWith(t, port, handle);
	worker.send("WORK_FAIL", "");
	t.is((await worker.next())[1], "JOB_NOT_FOUND");
	worker.send("WORK_EXCEPTION", handle, "x");
	worker.send("WORK_FAIL", handle);
	t.deepEqual(await worker.settle(), []);
	worker.send("WORK_FAIL", handle);
	t.is((await worker.next())[1], "JOB_NOT_FOUND");
	worker.send("WORK_FAIL", "");
	t.is((await worker.next())[1], "JOB_NOT_FOUND");
});

test("random bytes on hundreds of connections harm nobody", async (t) => {
	const { port } = await startServer(t, { maxPacketBytes: 100_000 });
	const witness = await dial(t, port);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	let seed = 20_260_101;
	const random = () => {
		seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
		return seed >>> 8;
	};
	for (let round = 0; round < 10; round++) {
		const sockets = Array.from({ length: 50 }, () => connect(port, "127.0.0.1").on("error", () => {}));
		for (const socket of sockets) {
			for (let packet = 0; packet < 20; packet++) {
				const bytes = Buffer.from(Array.from({ length: random() % 60 }, () => random() & 0xff));
				const header = Buffer.alloc(12);
				header.write(random() % 8 === 0 ? "\0RES" : "\0REQ", "latin1");
				header.writeUInt32BE(random() % 44, 4);
				header.writeUInt32BE(bytes.length, 8);
				socket.write(random() % 2 === 0 ? bytes : Buffer.concat([header, bytes]));
			}
		}
		for (const socket of sockets) {
			socket.resume();
			socket.end();
		}
		await Promise.all(sockets.map((socket) => (socket.closed ? undefined : once(socket, "close"))));
		t.deepEqual(await witness.settle(), []);
	}
	const handle = await created(witness, "SUBMIT_JOB_HIGH", "f", "", "still works");
	worker.send("GRAB_JOB");
	t.is((await worker.next())[1], handle);
	const counters = (await witness.list("status")).flatMap((line) => line.split("\t").slice(1).map(Number));
	t.true(counters.every((counter) => counter >= 0 && counter < 1e6));
});

test("jobs without a unique, and with the same unique in two functions, are all kept", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handles = new Set();
	for (let i = 0; i < 500; i++) handles.add(await created(client, "SUBMIT_JOB_BG", "f", "", `${i}`));
	for (const name of ["f", "g", "h"]) handles.add(await created(client, "SUBMIT_JOB_BG", name, "same", name));
	t.is(handles.size, 503);
	t.is((await client.list("show jobs")).length, 503);
});

test("words that JavaScript objects know are commands nobody knows", async (t) => {
	const { port } = await startServer(t);
	const admin = await dial(t, port);
	for (const word of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
		admin.raw(`${word} a b\n`);
		t.is(await admin.next(), `ERR UNKNOWN_COMMAND Unknown+server+command${word}`);
	}
});

test("a listing as large as peers can make it is answered", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	const name = "f".repeat(60_000);
	for (let i = 0; i < 500; i++) peer.send("CAN_DO", name);
	await peer.settle();
	const admin = await dial(t, port);
	admin.raw("workers\n");
	// Named a hundred times at most: text of the whole would have no end.
	t.regex(await admin.next(), /over 8192 bytes/);
});

test("statuses asked for with NULs inside are answered with the right number of fields", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handle = await created(client, "SUBMIT_JOB_BG", "f", "u", "");
	client.send("GET_STATUS", `${handle}\0x`);
	t.deepEqual(await client.next(), ["STATUS_RES", handle, "1", "0", "0", "0"]);
	client.send("GET_STATUS_UNIQUE", "u\0");
	t.deepEqual(await client.next(), ["STATUS_RES_UNIQUE", "u", "1", "0", "0", "0", "0"]);
});

test("workers that hang do not delay a job one after the other", async (t) => {
	const { port } = await startServer(t, { wakeTimeoutMs: 20 });
	const hanging = [];
	for (let i = 0; i < 60; i++) hanging.push(await dial(t, port));
	const lively = await dial(t, port);
	for (const worker of [...hanging, lively]) {
		worker.send("CAN_DO", "f");
		worker.send("PRE_SLEEP");
		await worker.settle();
	}
	const client = await dial(t, port);
	const handle = await created(client, "SUBMIT_JOB_BG", "f", "", "");
	t.deepEqual(await lively.next(), ["NOOP"]);
	lively.send("GRAB_JOB");
	t.is((await lively.next())[1], handle);
});

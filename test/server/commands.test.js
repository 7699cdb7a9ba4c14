import test from "ava";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { dial, startServer } from "../helpers/server.js";

/** A worker that can do the functions and sleeps. */
async function sleepingWorker(t, port, ...functions) {
	const worker = await dial(t, port);
	for (const name of functions) worker.send("CAN_DO", name);
	worker.send("PRE_SLEEP");
	await worker.settle();
	return worker;
}

/** Submits and returns the handle. */
async function submit(client, name = "SUBMIT_JOB", ...fields) {
	client.send(name, ...fields);
	const [type, handle] = await client.next();
	if (type !== "JOB_CREATED") throw new Error(`${type} ${handle}`);
	return handle;
}

async function grab(worker, how = "GRAB_JOB") {
	worker.send(how);
	return worker.next();
}

test("a job goes from client to worker and its result back", async (t) => {
	const { port } = await startServer(t);
	const worker = await sleepingWorker(t, port, "reverse");
	const client = await dial(t, port);
	const handle = await submit(client, "SUBMIT_JOB", "reverse", "u", "a\0b");
	t.is(handle, "H:test:1");
	t.deepEqual(await worker.next(), ["NOOP"]);
	t.deepEqual(await grab(worker), ["JOB_ASSIGN", handle, "reverse", "a\0b"]);
	worker.send("WORK_DATA", handle, "part");
	worker.send("WORK_WARNING", handle, "careful");
	worker.send("WORK_STATUS", handle, "1", "2");
	worker.send("WORK_COMPLETE", handle, "b\0a");
	t.deepEqual(await client.next(), ["WORK_DATA", handle, "part"]);
	t.deepEqual(await client.next(), ["WORK_WARNING", handle, "careful"]);
	t.deepEqual(await client.next(), ["WORK_STATUS", handle, "1", "2"]);
	t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, "b\0a"]);
	t.deepEqual(await grab(worker), ["NO_JOB"]);
});

test("GRAB_JOB_UNIQ and GRAB_JOB_ALL tell the unique, the latter the reducer where there is one", async (t) => {
	const { port } = await startServer(t);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	const client = await dial(t, port);
	const plain = await submit(client, "SUBMIT_JOB", "f", "u1", "x");
	const also = await submit(client, "SUBMIT_JOB", "f", "u2", "x");
	const reduced = await submit(client, "SUBMIT_REDUCE_JOB", "f", "u3", "sum", "0", "x\0y");
	const queued = await submit(client, "SUBMIT_REDUCE_JOB_BACKGROUND", "f", "u4", "sum", "1", "");
	t.deepEqual(await grab(worker, "GRAB_JOB_UNIQ"), ["JOB_ASSIGN_UNIQ", plain, "f", "u1", "x"]);
	t.deepEqual(await grab(worker, "GRAB_JOB_ALL"), ["JOB_ASSIGN_UNIQ", also, "f", "u2", "x"]);
	t.deepEqual(await grab(worker, "GRAB_JOB_ALL"), ["JOB_ASSIGN_ALL", reduced, "f", "u3", "sum", "x\0y"]);
	t.deepEqual(await grab(worker, "GRAB_JOB_ALL"), ["JOB_ASSIGN_ALL", queued, "f", "u4", "sum", ""]);
	const unreduced = await submit(client, "SUBMIT_REDUCE_JOB", "f", "u5", "", "0", "x");
	t.deepEqual(await grab(worker, "GRAB_JOB_ALL"), ["JOB_ASSIGN_UNIQ", unreduced, "f", "u5", "x"]);
});

test("bad packets are answered with gearmand's codes and sentences, and the connection goes on", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	const answers = async (...fields) => {
		peer.send(...fields);
		return peer.next();
	};
	t.deepEqual(await answers("ALL_YOURS"), ["ERROR", "INVALID_COMMAND", "Command not expected"]);
	for (const name of ["NOOP", "NO_JOB"]) {
		t.deepEqual(await answers(name), ["ERROR", "INVALID_COMMAND", "Command not expected"]);
	}
	t.deepEqual(await answers("SUBMIT_JOB_SCHED", "f", "u", "1", "2", "3", "4", "5", "data"), [
		"ERROR",
		"INVALID_COMMAND",
		"Command not expected",
	]);
	t.deepEqual(await answers("WORK_COMPLETE", "H:x:1", ""), [
		"ERROR",
		"JOB_NOT_FOUND",
		"Job given in work result not found",
	]);
	t.deepEqual(await answers("WORK_STATUS", "H:x:1", "1", "2"), [
		"ERROR",
		"JOB_NOT_FOUND",
		"Job given in work result not found",
	]);
	t.deepEqual(await answers("WORK_FAIL", "H:x:1"), ["ERROR", "JOB_NOT_FOUND", "Job given in work result not found"]);
	t.deepEqual(await answers("WORK_DATA", "H:x:1", ""), ["ERROR", "JOB_NOT_FOUND", "Job does not exist on server"]);
	t.deepEqual(await answers("WORK_WARNING", "H:x:1", ""), ["ERROR", "JOB_NOT_FOUND", "Job does not exist on server"]);
	t.deepEqual(await answers("WORK_EXCEPTION", "H:x:1", ""), [
		"ERROR",
		"JOB_NOT_FOUND",
		"An exception was received for a job that does not exist",
	]);
	t.deepEqual(await answers("WORK_FAIL", "H".repeat(64)), [
		"ERROR",
		"ARGUMENT_TOO_LARGE",
		"Error occurred due to GEARMAND_JOB_HANDLE_SIZE being too small from snprintf",
	]);
	t.deepEqual(await answers("SUBMIT_JOB", "f", "u".repeat(65), ""), [
		"ERROR",
		"ARGUMENT_TOO_LARGE",
		"Unique value too large",
	]);
	t.deepEqual(await answers("SUBMIT_REDUCE_JOB", "f", "", "r".repeat(65), "0", ""), [
		"ERROR",
		"ARGUMENT_TOO_LARGE",
		"Unique value too large",
	]);
	t.deepEqual(await answers("OPTION_REQ", "colours"), [
		"ERROR",
		"UNKNOWN_OPTION",
		"Server does not recognize given option",
	]);
	t.deepEqual(await answers("OPTION_REQ", "Exceptions"), ["OPTION_RES", "Exceptions"]);
	peer.raw("\0RES\0\0\0\x06\0\0\0\0");
	t.deepEqual(await peer.next(), ["ERROR", "INVALID_MAGIC", "Request magic expected"]);
	peer.raw("\0REQ\0\0\0\x05\0\0\0\0");
	t.deepEqual(await peer.next(), ["ERROR", "INVALID_COMMAND", "Command not expected"]);
	t.deepEqual(await answers("SUBMIT_JOB", "f"), ["ERROR", "INVALID_PACKET", "SUBMIT_JOB has 1 of its 3 arguments"]);
	for (const fields of [
		["GET_STATUS", "H".repeat(64)],
		["GET_STATUS_UNIQUE", "u".repeat(65)],
		["CAN_DO_TIMEOUT", "f", "9".repeat(21)],
		["SUBMIT_JOB_EPOCH", "f", "", "9".repeat(20), ""],
		["CAN_DO", "f".repeat(65_537)],
	]) {
		t.deepEqual((await answers(...fields)).slice(0, 2), ["ERROR", "ARGUMENT_TOO_LARGE"]);
	}
	t.deepEqual(await answers("ECHO_REQ", "still\0here"), ["ECHO_RES", "still\0here"]);
});

test("numbers that are not Gearman and wrong magics close the connection, nobody else's", async (t) => {
	const { port } = await startServer(t);
	const witness = await dial(t, port);
	for (const bytes of ["\0REQ\0\0\0\x00\0\0\0\0", "\0REQ\0\0\0\x2b\0\0\0\0", "\0XXX\0\0\0\x01\0\0\0\0"]) {
		const peer = await dial(t, port);
		peer.raw(bytes);
		t.is(await peer.next(), "closed");
	}
	t.deepEqual(await witness.settle(), []);
});

test("a packet over --max-packet-size is answered and skipped", async (t) => {
	const { port } = await startServer(t, { maxPacketBytes: 1000 });
	const peer = await dial(t, port);
	peer.send("SUBMIT_JOB", "f", "", "x".repeat(2000));
	t.deepEqual(await peer.next(), ["ERROR", "ARGUMENT_TOO_LARGE", "Packet of 2003 bytes is over the limit of 1000"]);
	t.deepEqual(await peer.settle(), []);
});

test("priorities hold across functions, first in first out within one", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	for (const [name, functionName, workload] of [
		["SUBMIT_JOB_LOW_BG", "b", "low b"],
		["SUBMIT_JOB_BG", "a", "normal a 1"],
		["SUBMIT_JOB_HIGH_BG", "a", "high a"],
		["SUBMIT_JOB_BG", "a", "normal a 2"],
		["SUBMIT_JOB_HIGH", "a", "high a foreground"],
		["SUBMIT_JOB_LOW", "b", "low b foreground"],
	]) {
		await submit(client, name, functionName, "", workload);
	}
	const worker = await dial(t, port);
	worker.send("CAN_DO", "a");
	worker.send("CAN_DO", "b");
	const order = [];
	for (let i = 0; i < 6; i++) order.push((await grab(worker))[3]);
	t.deepEqual(order, ["high a", "high a foreground", "normal a 1", "normal a 2", "low b", "low b foreground"]);
});

test("functions of a worker take turns, the last registered first", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	for (const name of ["A", "A", "B", "B", "C", "C"]) await submit(client, "SUBMIT_JOB_BG", name, "", "");
	const worker = await dial(t, port);
	for (const name of ["A", "B", "C"]) worker.send("CAN_DO", name);
	const order = [];
	for (let i = 0; i < 6; i++) order.push((await grab(worker))[2]);
	t.is(order.join(""), "CBACBA");
});

test("jobs with the same function and unique are one job, with every client told", async (t) => {
	const { port } = await startServer(t);
	const [one, two] = [await dial(t, port), await dial(t, port)];
	const unique = "k".repeat(64);
	const handle = await submit(one, "SUBMIT_JOB", "f", unique, "first");
	t.is(await submit(two, "SUBMIT_JOB_HIGH", "f", unique, "second"), handle);
	t.not(await submit(two, "SUBMIT_JOB_BG", "g", unique, ""), handle);
	one.send("GET_STATUS_UNIQUE", unique);
	t.is((await one.next())[2], "1");
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	t.deepEqual(await grab(worker), ["JOB_ASSIGN", handle, "f", "first"]);
	t.is(await submit(two, "SUBMIT_JOB", "f", unique, "third"), handle);
	worker.send("WORK_COMPLETE", handle, "done");
	t.deepEqual(await one.next(), ["WORK_COMPLETE", handle, "done"]);
	// Attached twice, told twice.
	t.deepEqual(await two.next(), ["WORK_COMPLETE", handle, "done"]);
	t.deepEqual(await two.next(), ["WORK_COMPLETE", handle, "done"]);
	t.deepEqual(await two.settle(), []);
});

test("the unique - coalesces by workload; no unique, and - without workload, never do", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const same = await submit(client, "SUBMIT_JOB_BG", "f", "-", "workload");
	t.is(await submit(client, "SUBMIT_JOB_BG", "f", "-", "workload"), same);
	t.not(await submit(client, "SUBMIT_JOB_BG", "f", "-", "another"), same);
	t.not(await submit(client, "SUBMIT_JOB_BG", "g", "-", "workload"), same);
	for (const unique of ["", "-"]) {
		const first = await submit(client, "SUBMIT_JOB_BG", "f", unique, "");
		t.not(await submit(client, "SUBMIT_JOB_BG", "f", unique, ""), first);
	}
});

test("GET_STATUS and GET_STATUS_UNIQUE follow a job through its life", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const status = async (...fields) => {
		client.send(...fields);
		return client.next();
	};
	t.deepEqual(await status("GET_STATUS", "H:test:1"), ["STATUS_RES", "H:test:1", "0", "0", "0", "0"]);
	t.deepEqual(await status("GET_STATUS_UNIQUE", "u"), ["STATUS_RES_UNIQUE", "u", "0", "0", "0", "0", "0"]);
	const handle = await submit(client, "SUBMIT_JOB", "f", "u", "");
	t.deepEqual(await status("GET_STATUS", handle), ["STATUS_RES", handle, "1", "0", "0", "0"]);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	await grab(worker);
	worker.send("WORK_STATUS", handle, "-1", "5abc");
	t.deepEqual(await client.next(), ["WORK_STATUS", handle, "-1", "5abc"]);
	t.deepEqual(await status("GET_STATUS", handle), ["STATUS_RES", handle, "1", "1", "4294967295", "5"]);
	t.deepEqual(await status("GET_STATUS_UNIQUE", "u"), ["STATUS_RES_UNIQUE", "u", "1", "1", "4294967295", "5", "1"]);
	// More than 32 bits: as in gearmand it passes with up to 11 digits.
	worker.send("WORK_STATUS", handle, "1", "12345678901");
	t.deepEqual(await client.next(), ["WORK_STATUS", handle, "1", "12345678901"]);
	worker.send("WORK_STATUS", handle, "1", "123456789012");
	t.deepEqual(await worker.next(), ["ERROR", "ARGUMENT_TOO_LARGE", "Denominator too large"]);
	worker.send("WORK_COMPLETE", handle, "");
	t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, ""]);
	t.deepEqual(await status("GET_STATUS", handle), ["STATUS_RES", handle, "0", "0", "0", "0"]);
});

test("jobs of a worker that leaves, gives up the function or resets go to the next", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handle = await submit(client, "SUBMIT_JOB", "f", "", "work");
	for (const leave of [
		(worker) => worker.end(),
		(worker) => worker.send("CANT_DO", "f"),
		(worker) => worker.send("RESET_ABILITIES"),
	]) {
		const worker = await dial(t, port);
		worker.send("CAN_DO", "f");
		t.deepEqual(await grab(worker), ["JOB_ASSIGN", handle, "f", "work"]);
		const other = await sleepingWorker(t, port, "f");
		leave(worker);
		t.deepEqual(await other.next(), ["NOOP"]);
		await other.close();
	}
	t.deepEqual(await client.list("show jobs"), [`${handle}\t3\t0\t0`]);
	t.deepEqual(await client.settle(), []);
});

test("--job-retries N fails a job when its Nth worker is lost; 0 is as 1", async (t) => {
	for (const [jobRetries, attempts] of [
		[2, 2],
		[1, 1],
		[0, 1],
	]) {
		const { port } = await startServer(t, { jobRetries });
		const client = await dial(t, port);
		const handle = await submit(client, "SUBMIT_JOB", "f", "", "");
		for (let i = 0; i < attempts; i++) {
			t.deepEqual(await client.settle(), []);
			const worker = await dial(t, port);
			worker.send("CAN_DO", "f");
			t.is((await grab(worker))[0], "JOB_ASSIGN");
			worker.end();
		}
		t.deepEqual(await client.next(), ["WORK_FAIL", handle]);
		t.deepEqual(await client.list("status"), ["f\t0\t0\t0"]);
	}
});

test("only the worker a job is assigned to may report on it", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const handle = await submit(client, "SUBMIT_JOB", "f", "", "");
	const [worker, stranger] = [await dial(t, port), await dial(t, port)];
	stranger.send("CAN_DO", "f");
	worker.send("CAN_DO", "f");
	await grab(worker);
	stranger.send("WORK_COMPLETE", handle, "mine");
	t.is((await stranger.next())[1], "JOB_NOT_FOUND");
	worker.send("WORK_COMPLETE", handle, "ours");
	t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, "ours"]);
});

test("exceptions go to the clients that asked for them, the others get WORK_FAIL", async (t) => {
	const { port } = await startServer(t);
	const [asks, plain] = [await dial(t, port), await dial(t, port)];
	asks.send("OPTION_REQ", "exceptions");
	await asks.next();
	const handle = await submit(asks, "SUBMIT_JOB", "f", "u", "");
	await submit(plain, "SUBMIT_JOB", "f", "u", "");
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	await grab(worker);
	worker.send("WORK_EXCEPTION", handle, "why");
	t.deepEqual(await asks.next(), ["WORK_EXCEPTION", handle, "why"]);
	t.deepEqual(await plain.next(), ["WORK_FAIL", handle]);
});

test("--exceptions sends them to everybody", async (t) => {
	const { port } = await startServer(t, { exceptions: true });
	const client = await dial(t, port);
	const handle = await submit(client, "SUBMIT_JOB", "f", "u", "");
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	await grab(worker);
	worker.send("WORK_EXCEPTION", handle, "why");
	t.deepEqual(await client.next(), ["WORK_EXCEPTION", handle, "why"]);
});

test("one job wakes one sleeper, not the herd, and no one who cannot do it", async (t) => {
	const { port } = await startServer(t);
	const workers = [await sleepingWorker(t, port, "f"), await sleepingWorker(t, port, "f")];
	const other = await sleepingWorker(t, port, "g");
	const client = await dial(t, port);
	await submit(client, "SUBMIT_JOB_BG", "f", "", "1");
	t.deepEqual(await workers[0].next(), ["NOOP"]);
	t.is((await grab(workers[0]))[0], "JOB_ASSIGN");
	t.deepEqual(await workers[1].settle(), []);
	await submit(client, "SUBMIT_JOB_BG", "f", "", "2");
	t.deepEqual(await workers[1].next(), ["NOOP"]);
	t.deepEqual(await other.settle(), []);
});

test("a woken worker that does not grab passes the wake on", async (t) => {
	const { port } = await startServer(t);
	const [frozen, lively] = [await sleepingWorker(t, port, "f"), await sleepingWorker(t, port, "f")];
	const client = await dial(t, port);
	await submit(client, "SUBMIT_JOB_BG", "f", "", "");
	t.deepEqual(await frozen.next(), ["NOOP"]);
	t.deepEqual(await lively.next(), ["NOOP"]);
	t.is((await grab(lively))[0], "JOB_ASSIGN");
});

test("--worker-wakeup 0 wakes all sleepers, N wakes N and goes on with the next", async (t) => {
	for (const workerWakeup of [0, 1]) {
		const { port } = await startServer(t, { workerWakeup });
		const workers = [];
		for (let i = 0; i < 3; i++) workers.push(await sleepingWorker(t, port, "f"));
		const client = await dial(t, port);
		await submit(client, "SUBMIT_JOB_BG", "f", "", "");
		t.deepEqual(await workers[0].next(), ["NOOP"]);
		const others = workerWakeup === 0 ? [["NOOP"]] : [];
		t.deepEqual(await workers[1].settle(), others);
		await submit(client, "SUBMIT_JOB_BG", "f", "", "");
		t.deepEqual(await workers[1].settle(), workerWakeup === 0 ? [] : [["NOOP"]]);
	}
});

test("PRE_SLEEP with work at hand is answered with NOOP, and CAN_DO wakes a sleeper it gives work to", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	await submit(client, "SUBMIT_JOB_BG", "f", "", "");
	const worker = await sleepingWorker(t, port, "g");
	worker.send("CAN_DO", "f");
	t.deepEqual(await worker.next(), ["NOOP"]);
	worker.send("PRE_SLEEP");
	t.deepEqual(await worker.next(), ["NOOP"]);
});

test("maxqueue refuses new jobs of a priority, never coalescing ones", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	client.raw("maxqueue f 3 1 2\n");
	t.is(await client.next(), "OK");
	const full = ["ERROR", "QUEUE_ERROR", "Job queue is full"];
	const handle = await submit(client, "SUBMIT_JOB_BG", "f", "u", "");
	client.send("SUBMIT_JOB_BG", "f", "", "");
	t.deepEqual(await client.next(), full);
	t.is(await submit(client, "SUBMIT_JOB_BG", "f", "u", ""), handle);
	await submit(client, "SUBMIT_JOB_LOW_BG", "f", "", "");
	client.send("SUBMIT_JOB_LOW", "f", "", "");
	t.deepEqual(await client.next(), full);
	await submit(client, "SUBMIT_JOB_HIGH", "f", "", "");
	client.send("SUBMIT_JOB_HIGH_BG", "f", "", "");
	t.deepEqual(await client.next(), full);
});

test("a client that leaves takes its waiting jobs with it", async (t) => {
	const { port } = await startServer(t);
	const [client, admin] = [await dial(t, port), await dial(t, port)];
	await submit(client, "SUBMIT_JOB", "f", "", "");
	await submit(client, "SUBMIT_JOB_BG", "f", "kept", "");
	t.deepEqual(await admin.list("status"), ["f\t2\t0\t0"]);
	await client.close();
	t.deepEqual(await admin.list("status"), ["f\t1\t0\t0"]);
	t.deepEqual(await admin.list("show unique jobs"), ["kept"]);
});

test("a peer that half-closes gets what it is owed first", async (t) => {
	const { port } = await startServer(t);
	const peer = await dial(t, port);
	peer.send("SUBMIT_JOB_BG", "f", "", "");
	peer.raw("version\n");
	peer.end();
	t.is((await peer.next())[0], "JOB_CREATED");
	t.regex(await peer.next(), /^OK \d/);
	t.is(await peer.next(), "closed");
});

test("a job submitted and grabbed in one write is assigned, background or not", async (t) => {
	const { port } = await startServer(t);
	for (const name of ["SUBMIT_JOB_BG", "SUBMIT_JOB"]) {
		const peer = await dial(t, port);
		peer.raw(
			Buffer.concat([
				encodeRequest("CAN_DO", ["f"]),
				encodeRequest(name, ["f", "", "x"]),
				encodeRequest("GRAB_JOB"),
				Buffer.from("prioritystatus\n"),
			]),
		);
		const [created, handle] = await peer.next();
		t.is(created, "JOB_CREATED");
		t.deepEqual(await peer.next(), ["JOB_ASSIGN", handle, "f", "x"]);
		t.is(await peer.next(), "f\t0\t0\t0\t1");
		peer.send("WORK_COMPLETE", handle, "");
		peer.send("CANT_DO", "f");
		if (name === "SUBMIT_JOB") await peer.next();
		await peer.settle();
	}
});

test("nothing behind a packet that is not Gearman is obeyed, and its sender is hung up on", async (t) => {
	const { server, port } = await startServer(t);
	const peer = await dial(t, port);
	const bad = encodeRequest("SUBMIT_JOB_BG", ["f", "", ""]);
	bad.writeUInt32BE(99, 4);
	peer.raw(Buffer.concat([bad, encodeRequest("SUBMIT_JOB_BG", ["f", "", ""]), encodeRequest("ECHO_REQ", ["x"])]));
	t.is(await peer.next(), "closed");
	t.is(server.jobs.size, 0);
});

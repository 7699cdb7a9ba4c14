// Large packets are read into memory shared by all, and written from where they lie: nobody may see another's bytes.

import { once } from "node:events";
import { connect } from "node:net";
import test from "ava";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { dial, startServer } from "../helpers/server.js";

const SIZES = [16_384, 40_000, 65_536, 200_000, 262_132, 1 << 20, 3_000_000];

/** A workload that tells where it belongs, everywhere in it. */
const workloadOf = (name, size) => Buffer.alloc(size, `${name}/${size} `);

async function grab(worker) {
	worker.send("GRAB_JOB");
	const [name, handle, , workload] = await worker.next();
	return name === "JOB_ASSIGN" ? { handle, workload } : undefined;
}

async function workerOf(t, port, functionName) {
	const worker = await dial(t, port);
	worker.send("CAN_DO", functionName);
	await worker.settle();
	return worker;
}

/** Has echoes and results of all sizes go through the server. */
async function traffic(t, port, rounds) {
	const [client, worker] = [await dial(t, port), await workerOf(t, port, "other")];
	for (let round = 0; round < rounds; round++) {
		const workloads = SIZES.map((size) => workloadOf(`round ${round}`, size).toString("latin1"));
		for (const workload of workloads) {
			client.send("ECHO_REQ", Buffer.from(workload, "latin1"));
			client.send("SUBMIT_JOB", "other", "", Buffer.from(workload, "latin1"));
		}
		for (const workload of workloads) {
			t.true((await client.next())[1] === workload, "an echo");
			t.is((await client.next())[0], "JOB_CREATED");
		}
		for (const workload of workloads) {
			const job = await grab(worker);
			t.true(job.workload === workload, "a workload");
			worker.send("WORK_COMPLETE", job.handle, Buffer.from(job.workload, "latin1"));
			t.true((await client.next())[2] === workload, "a result");
		}
	}
}

test("a large workload goes to the next worker as it was when its worker is lost, whatever else flows meanwhile", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const wanted = SIZES.map((size) => workloadOf("kept", size).toString("latin1"));
	for (const workload of wanted) client.send("SUBMIT_JOB", "f", "", Buffer.from(workload, "latin1"));
	for (let i = 0; i < wanted.length; i++) t.is((await client.next())[0], "JOB_CREATED");
	for (let life = 0; life < 3; life++) {
		const worker = await workerOf(t, port, "f");
		const got = [];
		for (let i = 0; i < wanted.length; i++) got.push((await grab(worker)).workload);
		t.true(got.sort((a, b) => a.length - b.length).every((workload, i) => workload === wanted[i]));
		await traffic(t, port, 2);
		worker.destroy();
		await traffic(t, port, 1);
	}
});

test("several clients get one large result whole, the slow one too, whatever else flows meanwhile", async (t) => {
	const { port } = await startServer(t);
	const slow = connect(port, "127.0.0.1");
	await once(slow, "connect");
	t.teardown(() => slow.destroy());
	slow.pause();
	slow.write(encodeRequest("SUBMIT_JOB", ["f", "same", ""]));
	const worker = await workerOf(t, port, "f");
	let job = await grab(worker);
	while (job === undefined) job = await grab(worker);
	const clients = [await dial(t, port), await dial(t, port)];
	for (const client of clients) {
		client.send("SUBMIT_JOB", "f", "same", "");
		t.deepEqual(await client.next(), ["JOB_CREATED", job.handle]);
	}
	const pieces = [...SIZES, ...SIZES].map((size, i) => workloadOf(`piece ${i}`, size));
	for (const piece of pieces) worker.send("WORK_DATA", job.handle, piece);
	worker.send("WORK_COMPLETE", job.handle, "end");
	for (const client of clients) {
		for (const piece of pieces) t.true((await client.next())[2] === piece.toString("latin1"));
		t.deepEqual(await client.next(), ["WORK_COMPLETE", job.handle, "end"]);
	}
	await traffic(t, port, 2);
	const whole = Buffer.concat([
		encodeResponseOf("JOB_CREATED", [job.handle]),
		...pieces.map((piece) => encodeResponseOf("WORK_DATA", [job.handle, piece])),
		encodeResponseOf("WORK_COMPLETE", [job.handle, "end"]),
	]);
	t.true((await readBytes(slow, whole.length)).equals(whole));
});

test("a worker that ends its jobs unread reads them whole all the same, whatever else flows meanwhile", async (t) => {
	const { port } = await startServer(t);
	const client = await dial(t, port);
	const workloads = [...SIZES, ...SIZES].map((size, i) => workloadOf(`unread ${i}`, size));
	const handles = [];
	for (const workload of workloads) {
		client.send("SUBMIT_JOB", "f", "", workload);
		handles.push((await client.next())[1]);
	}
	const worker = connect(port, "127.0.0.1");
	await once(worker, "connect");
	t.teardown(() => worker.destroy());
	worker.pause();
	worker.write(encodeRequest("CAN_DO", ["f"]));
	for (const handle of handles) {
		worker.write(encodeRequest("GRAB_JOB", []));
		worker.write(encodeRequest("WORK_COMPLETE", [handle, "unread"]));
	}
	t.deepEqual(await client.next(), ["WORK_COMPLETE", handles[0], "unread"]);
	await traffic(t, port, 2);
	const whole = Buffer.concat(
		workloads.map((workload, i) => encodeResponseOf("JOB_ASSIGN", [handles[i], "f", workload])),
	);
	const read = readBytes(worker, whole.length);
	for (const handle of handles.slice(1)) t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, "unread"]);
	await traffic(t, port, 1);
	t.true((await read).equals(whole));
});

test("a store that takes its time gets a large workload as it was, though the job has ended, whatever else flows", async (t) => {
	let letWrite;
	const permission = new Promise((resolve) => {
		letWrite = resolve;
	});
	const written = [];
	const store = {
		open: async () => 0,
		async *replay() {},
		async write(changes) {
			const jobs = changes.filter(({ kind }) => kind === "add").map(({ job }) => job);
			if (jobs.length > 0) await permission;
			for (const { workload } of jobs) written.push(workload.toString("latin1"));
		},
		close: async () => {},
	};
	const { port } = await startServer(t, { store });
	const [client, keeper, worker] = [await dial(t, port), await dial(t, port), await workerOf(t, port, "f")];
	const wanted = [];
	for (const size of SIZES) {
		const workload = workloadOf("stored", size);
		wanted.push(workload.toString("latin1"));
		client.send("SUBMIT_JOB", "f", `unique ${size}`, workload);
		const [, handle] = await client.next();
		// From now on the store has it too.
		keeper.send("SUBMIT_JOB_BG", "f", `unique ${size}`, "");
		t.deepEqual(await grab(worker), { handle, workload: workload.toString("latin1") });
		worker.send("WORK_COMPLETE", handle, "");
		t.deepEqual(await client.next(), ["WORK_COMPLETE", handle, ""]);
	}
	await traffic(t, port, 2);
	letWrite();
	for (let i = 0; i < SIZES.length; i++) t.is((await keeper.next())[0], "JOB_CREATED");
	t.true(written.every((workload, i) => workload === wanted[i]));
	t.is(written.length, wanted.length);
});

async function readBytes(socket, count) {
	const parts = [];
	let got = 0;
	for await (const bytes of socket) {
		parts.push(bytes);
		got += bytes.length;
		if (got >= count) break;
	}
	return Buffer.concat(parts);
}

function encodeResponseOf(name, fields) {
	const bytes = encodeRequest(name, fields);
	bytes.write("RES", 1, "latin1");
	return bytes;
}

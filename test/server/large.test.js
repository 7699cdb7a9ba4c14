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
	const parts = [];
	let got = 0;
	for await (const bytes of slow) {
		parts.push(bytes);
		got += bytes.length;
		if (got >= whole.length) break;
	}
	t.true(Buffer.concat(parts).equals(whole));
});

function encodeResponseOf(name, fields) {
	const bytes = encodeRequest(name, fields);
	bytes.write("RES", 1, "latin1");
	return bytes;
}

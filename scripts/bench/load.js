// Clients and workers over raw sockets, as light as JavaScript allows: the same load for any job server. Run in a thread
// by store.js: { port, kind, … } in, { seconds, count } or { latencies } out.

import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { encodeRequest } from "../../dist/protocol/packet.js";

const Type = { NOOP: 6, JOB_CREATED: 8, NO_JOB: 10, JOB_ASSIGN: 11, WORK_COMPLETE: 13, ERROR: 19 };
const GRAB_JOB = encodeRequest("GRAB_JOB", []);
const PRE_SLEEP = encodeRequest("PRE_SLEEP", []);
const PATIENCE_MS = 60_000;

async function dial(port) {
	for (const endMs = Date.now() + PATIENCE_MS; ; ) {
		const socket = connect(port, "127.0.0.1");
		try {
			await once(socket, "connect");
			return socket.setNoDelay();
		} catch (error) {
			if (Date.now() > endMs) throw error;
			await sleep(20);
		}
	}
}

/** Calls back for each packet: type, the bytes, where its body begins and ends. */
function onPackets(socket, take) {
	let kept = Buffer.alloc(0);
	socket.on("data", (bytes) => {
		const buffer = kept.length === 0 ? bytes : Buffer.concat([kept, bytes]);
		let at = 0;
		while (buffer.length - at >= 12) {
			const end = at + 12 + buffer.readUInt32BE(at + 8);
			if (end > buffer.length) break;
			const type = buffer.readUInt32BE(at + 4);
			if (type === Type.ERROR) throw new Error(buffer.toString("latin1", at + 12, end));
			take(type, buffer, at + 12, end);
			at = end;
		}
		kept = buffer.subarray(at);
		socket.uncork();
		socket.cork();
	});
	socket.cork();
}

const seconds = (startedMs) => (performance.now() - startedMs) / 1000;

/** Background jobs, `inFlight` on their way on each connection; each with a unique of its own, which C's tables need. */
async function submit({ port, connections, inFlight, count, size, functionName = "f" }) {
	const sockets = await Promise.all(Array.from({ length: connections }, () => dial(port)));
	const workload = Buffer.alloc(size, "x");
	let sent = 0;
	let answered = 0;
	const startedMs = performance.now();
	await new Promise((resolve) => {
		for (const socket of sockets) {
			const send = () =>
				socket.write(encodeRequest("SUBMIT_JOB_BG", [functionName, `${functionName}-${sent++}`, workload]));
			onPackets(socket, () => {
				if (++answered === count) resolve();
				else if (sent < count) send();
			});
			for (let i = 0; i < inFlight && sent < count; i++) send();
			socket.uncork();
			socket.cork();
		}
	});
	const taken = seconds(startedMs);
	for (const socket of sockets) socket.destroy();
	return { count, seconds: taken };
}

/** Workers that do `count` jobs, each with `inFlight` of them at once. Over when the server has said so. */
async function drain({ port, connections, inFlight, count, functionName = "f" }) {
	const sockets = await Promise.all(Array.from({ length: connections }, () => dial(port)));
	let done = 0;
	const startedMs = performance.now();
	await new Promise((resolve) => {
		for (const socket of sockets) {
			socket.write(encodeRequest("CAN_DO", [functionName]));
			onPackets(socket, (type, bytes, start) => {
				if (type !== Type.JOB_ASSIGN) return;
				const handle = bytes.toString("latin1", start, bytes.indexOf(0, start));
				socket.write(encodeRequest("WORK_COMPLETE", [handle, ""]));
				socket.write(GRAB_JOB);
				if (++done === count) resolve();
			});
			for (let i = 0; i < inFlight; i++) socket.write(GRAB_JOB);
			socket.uncork();
			socket.cork();
		}
	});
	// The answer to a submit comes behind the commits of what was done before.
	await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.end(resolve))));
	await submit({ port, connections: 1, inFlight: 1, count: 1, size: 1, functionName: "last" });
	return { count, seconds: seconds(startedMs) };
}

/** One foreground job after the other, done by one worker: microseconds each, sorted. For `count` jobs. */
async function pingPong({ port, count }) {
	const [client, worker] = await Promise.all([dial(port), dial(port)]);
	const latencies = [];
	worker.write(Buffer.concat([encodeRequest("CAN_DO", ["ping"]), GRAB_JOB]));
	onPackets(worker, (type, bytes, start) => {
		if (type === Type.NOOP) worker.write(GRAB_JOB);
		else if (type === Type.NO_JOB) worker.write(PRE_SLEEP);
		else if (type === Type.JOB_ASSIGN) {
			const handle = bytes.toString("latin1", start, bytes.indexOf(0, start));
			worker.write(Buffer.concat([encodeRequest("WORK_COMPLETE", [handle, "pong"]), GRAB_JOB]));
		}
	});
	worker.uncork();
	worker.cork();
	const job = encodeRequest("SUBMIT_JOB", ["ping", "", "ping"]);
	await new Promise((resolve) => {
		let startedMs = performance.now();
		onPackets(client, (type) => {
			if (type !== Type.WORK_COMPLETE) return;
			latencies.push(1000 * (performance.now() - startedMs));
			if (latencies.length === count) return resolve();
			startedMs = performance.now();
			client.write(job);
		});
		client.write(job);
		client.uncork();
		client.cork();
	});
	client.destroy();
	worker.destroy();
	return { latencies: latencies.sort((a, b) => a - b) };
}

const kinds = { submit, drain, pingPong };
parentPort.postMessage(await kinds[workerData.kind](workerData));

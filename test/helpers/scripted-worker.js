// A worker over the wire that says what a test wants of it, which no program of ours needs to be able to.

import { encodeRequest } from "../../dist/protocol/packet.js";
import { dial } from "./server.js";

/**
 * Does `functions` until the test ends: name → (workload, wire, handle) => packets to send, each [NAME, field, …] with the
 * handle left out. Workloads and fields are latin1, a character a byte. Resolves once registered.
 */
export async function startWorker(t, port, functions) {
	const wire = await dial(t, port);
	for (const name of Object.keys(functions)) wire.send("CAN_DO", name);
	await wire.settle();
	// A test may leave it without a job for longer than next() waits.
	void work(wire, functions).catch(() => wire.destroy());
	return wire;
}

async function work(wire, functions) {
	wire.send("GRAB_JOB");
	for (;;) {
		const item = await wire.next();
		if (item === "closed") return;
		if (item[0] === "NO_JOB") wire.send("PRE_SLEEP");
		else if (item[0] === "NOOP") wire.send("GRAB_JOB");
		else if (item[0] === "JOB_ASSIGN") {
			const [, handle, name, workload] = item;
			const packets = await functions[name](workload, wire, handle);
			const requests = packets.map(([packet, ...fields]) => encodeRequest(packet, [handle, ...fields]));
			// In one write: a second one would wait for the other side's ACK.
			wire.raw(Buffer.concat([...requests, encodeRequest("GRAB_JOB")]));
		}
	}
}

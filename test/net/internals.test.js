// The socket's inside and the documented way around it do the same: each test runs against a server of either kind.

import { once } from "node:events";
import { connect } from "node:net";
import test from "ava";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { startProgramServer } from "../helpers/program.js";
import { dial } from "../helpers/server.js";

/** As in a runtime that has no process.binding. */
const documentedOnly = "--import=data:text/javascript,process.binding=undefined";

const kinds = [
	["the socket's inside", {}],
	["documented calls only", { env: { NODE_OPTIONS: documentedOnly } }],
];

for (const [kind, options] of kinds) {
	test(`${kind}: packets cut anywhere, empty and large, come back as they were`, async (t) => {
		const { port } = await startProgramServer(t, [], options);
		const wire = await dial(t, port);
		const workloads = [0, 1, 100, 5000, 70_000, 3_000_000].map((size) => Buffer.alloc(size, `${size}`));
		const bytes = Buffer.concat(workloads.map((workload) => encodeRequest("ECHO_REQ", [workload])));
		for (let at = 0, step = 1; at < bytes.length; at += step, step = step * 2 + 1) {
			wire.raw(bytes.subarray(at, at + step));
			await new Promise(setImmediate);
		}
		for (const workload of workloads) {
			const [name, data] = await wire.next();
			t.is(name, "ECHO_RES");
			t.true(Buffer.from(data, "latin1").equals(workload));
		}
	});

	test(`${kind}: who reads late gets all, in order, and others are served meanwhile`, async (t) => {
		const { port } = await startProgramServer(t, [], options);
		const socket = connect(port, "127.0.0.1");
		t.teardown(() => socket.destroy());
		await once(socket, "connect");
		socket.pause();
		const count = 40;
		for (let i = 0; i < count; i++) socket.write(encodeRequest("ECHO_REQ", [Buffer.alloc(300_000, i)]));
		const other = await dial(t, port);
		for (let i = 0; i < 200; i++) t.deepEqual(await other.settle(), []);
		const parts = [];
		let got = 0;
		for await (const bytes of socket) {
			parts.push(bytes);
			got += bytes.length;
			if (got === count * 300_012) break;
		}
		const all = Buffer.concat(parts);
		for (let i = 0; i < count; i++) {
			t.true(all.subarray(i * 300_012 + 12, (i + 1) * 300_012).equals(Buffer.alloc(300_000, i)), `echo ${i}`);
		}
	});

	test(`${kind}: a connection that is reset, or ends its half, harms nobody`, async (t) => {
		const { port } = await startProgramServer(t, [], options);
		const other = await dial(t, port);
		for (let i = 0; i < 20; i++) {
			const socket = connect(port, "127.0.0.1");
			await once(socket, "connect");
			socket.on("error", () => {});
			for (let n = 0; n < 50; n++) socket.write(encodeRequest("ECHO_REQ", [Buffer.alloc(10_000)]));
			if (i % 2 === 0) socket.resetAndDestroy();
			else {
				socket.end();
				socket.resume();
			}
			await once(socket, "close");
			t.deepEqual(await other.settle(), []);
		}
	});
}

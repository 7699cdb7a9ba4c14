import { once } from "node:events";
import { connect } from "node:net";
import test from "ava";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { dial, startServer } from "../helpers/server.js";

const MEGABYTE = Buffer.alloc(1 << 20, "x");

test("a peer that never reads is not read from for long, and costs little", async (t) => {
	const { server, port } = await startServer(t);
	const socket = connect(port, "127.0.0.1");
	await once(socket, "connect");
	t.teardown(() => socket.destroy());
	socket.pause();
	const echo = encodeRequest("ECHO_REQ", [MEGABYTE]);
	for (let i = 0; i < 64; i++) socket.write(echo);
	const witness = await dial(t, port);
	while (server.blocked.size === 0) await witness.settle();
	const [peer] = server.blocked;
	for (let i = 0; i < 100; i++) await witness.settle();
	t.true(peer.pendingBytes < 4 << 20, `${peer.pendingBytes} bytes wait`);
	// Once it reads, it gets everything.
	let got = 0;
	for await (const bytes of socket) {
		got += bytes.length;
		if (got === 64 * echo.length) break;
	}
	t.is(got, 64 * echo.length);
});

test("a peer that asks for long listings without reading them is stopped in the middle of its requests", async (t) => {
	const { server, port } = await startServer(t);
	const admin = await dial(t, port);
	for (let i = 0; i < 1000; i++) admin.send("CAN_DO", `${i}-`.padEnd(1000, "x"));
	await admin.settle();
	const socket = connect(port, "127.0.0.1");
	await once(socket, "connect");
	t.teardown(() => socket.destroy());
	socket.pause();
	socket.write("status\n".repeat(5000)); // 5 GB of replies
	while (server.blocked.size === 0) await admin.settle();
	for (let i = 0; i < 20; i++) await admin.settle();
	const [peer] = server.blocked;
	t.true(peer.pendingBytes < 16 << 20, `${peer.pendingBytes} bytes wait`);
});

test("a peer that takes nothing for the stall time is dropped, and its worker goes on", async (t) => {
	const { server, port } = await startServer(t, { stallMs: 300 });
	const socket = connect(port, "127.0.0.1");
	await once(socket, "connect");
	t.teardown(() => socket.destroy());
	socket.on("error", () => {}); // it is reset
	socket.pause();
	socket.write(encodeRequest("SUBMIT_JOB", ["f", "", ""]));
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	worker.send("PRE_SLEEP");
	let [name] = await worker.next();
	t.is(name, "NOOP");
	worker.send("GRAB_JOB");
	let handle;
	[name, handle] = await worker.next();
	t.is(name, "JOB_ASSIGN");
	for (let i = 0; i < 64; i++) worker.send("WORK_DATA", handle, MEGABYTE);
	worker.send("WORK_COMPLETE", handle, "");
	t.deepEqual(await worker.settle(), []);
	t.is(server.blocked.size, 0);
	t.is(server.peers.size, 1);
	t.is(server.jobs.size, 0);
});

test("a large result arrives whole at a client that reads slowly", async (t) => {
	const { port } = await startServer(t);
	const client = connect(port, "127.0.0.1");
	await once(client, "connect");
	t.teardown(() => client.destroy());
	client.write(encodeRequest("SUBMIT_JOB", ["f", "", MEGABYTE]));
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	worker.send("PRE_SLEEP");
	await worker.next();
	worker.send("GRAB_JOB");
	const [, handle, , workload] = await worker.next();
	t.is(workload.length, MEGABYTE.length);
	for (let i = 0; i < 48; i++) worker.send("WORK_DATA", handle, MEGABYTE);
	worker.send("WORK_COMPLETE", handle, "end");
	const data = 12 + handle.length + 1 + MEGABYTE.length;
	const wanted = 12 + handle.length + 48 * data + 12 + handle.length + 1 + 3;
	let got = 0;
	let tail = "";
	for await (const bytes of client) {
		got += bytes.length;
		tail = (tail + bytes.toString("latin1")).slice(-3);
		if (got >= wanted) break;
	}
	t.is(got, wanted);
	t.is(tail, "end");
});

test("a large result that is still on its way when the server stops, or its client half-closes, arrives whole", async (t) => {
	const size = 20 * MEGABYTE.length;
	const { server, port } = await startServer(t);
	const client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	await once(client, "connect");
	t.teardown(() => client.destroy());
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	client.write(encodeRequest("SUBMIT_JOB", ["f", "", ""]));
	client.pause();
	worker.send("PRE_SLEEP");
	await worker.next();
	worker.send("GRAB_JOB");
	const [, handle] = await worker.next();
	server.requestStop("graceful");
	worker.send("WORK_COMPLETE", handle, Buffer.alloc(size, "y"));
	let got = 0;
	for await (const bytes of client) got += bytes.length;
	t.is(got, 12 + handle.length + 12 + handle.length + 1 + size);
	await server.stopped;

	const other = await startServer(t);
	const pipe = connect({ port: other.port, host: "127.0.0.1", allowHalfOpen: true });
	t.teardown(() => pipe.destroy());
	const echo = encodeRequest("ECHO_REQ", [MEGABYTE]);
	for (let i = 0; i < 20; i++) pipe.write(echo);
	pipe.end();
	got = 0;
	for await (const bytes of pipe) got += bytes.length;
	t.is(got, 20 * echo.length);
});

test("a peer that sends a flood is answered whole and in order, and others are served in between", async (t) => {
	const { port } = await startServer(t);
	const [flood, other] = [await dial(t, port), await dial(t, port)];
	const count = 5000;
	const packets = Array.from({ length: count }, (_, i) => encodeRequest("ECHO_REQ", [`${i}`]));
	const order = [];
	const echoes = (async () => {
		flood.raw(Buffer.concat(packets));
		for (let i = 0; i < count; i++) t.deepEqual(await flood.next(), ["ECHO_RES", `${i}`]);
		order.push("flood");
	})();
	await other.settle();
	order.push("other");
	await echoes;
	t.deepEqual(order, ["other", "flood"]);
});

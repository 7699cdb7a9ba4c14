// What connections that mean no good, or are broken, can take from the others: each limit, while somebody else is served.

import { once } from "node:events";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import test from "ava";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { dial, startServer, Wire } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const MEGABYTE = 1 << 20;

test("a connection that never speaks is closed in time; one that spoke once may be silent", async (t) => {
	const { port } = await startServer(t, { idleTimeoutMs: 200 });
	const worker = await dial(t, port);
	worker.send("CAN_DO", "f");
	worker.send("PRE_SLEEP");
	await worker.settle();
	for (let i = 0; i < 3; i++) t.is(await (await dial(t, port)).next(), "closed");
	t.deepEqual(await worker.settle(), []);
});

test("by default a connection may wait with its first word until its place is needed", async (t) => {
	const { server, port } = await startServer(t, { maxConnections: 3 });
	t.is(server.options.idleTimeoutMs, 0);
	const pooled = [await dial(t, port), await dial(t, port)];
	const client = await dial(t, port);
	await client.settle();
	// The first of them gives its place to another, once it has been silent for a while.
	const other = await until(async () => {
		const wire = await dial(t, port);
		return (await wire.settle()).length === 0 && wire;
	});
	t.is(await pooled[0].next(), "closed");
	t.deepEqual(await other.settle(), []);
	t.deepEqual(await pooled[1].settle(), []);
	t.deepEqual(await client.settle(), []);
});

test("packets and lines that were begun have to go on", async (t) => {
	const { server, port } = await startServer(t, { packetTimeoutMs: 200, maxPacketBytes: MEGABYTE });
	const other = await dial(t, port);
	await other.settle();
	const packet = encodeRequest("ECHO_REQ", [Buffer.alloc(100_000)]);
	const oversized = Buffer.from("\0REQ\0\0\0\x10\x10\0\0\0", "latin1");
	for (const begun of [packet.subarray(0, 1), packet.subarray(0, 11), packet.subarray(0, 5000), "stat", oversized]) {
		const slow = await dial(t, port);
		slow.raw(begun);
		let last = await slow.next();
		if (begun === oversized) {
			t.is(last[1], "ARGUMENT_TOO_LARGE");
			last = await slow.next();
		}
		t.is(last, "closed");
		t.deepEqual(await other.settle(), []);
	}
	t.is(server.patience.heldBytes, 0);
});

test("a byte now and then is no progress, a slow upload is", async (t) => {
	const { port } = await startServer(t, { packetTimeoutMs: 400 });
	const upload = await dial(t, port);
	const packet = encodeRequest("ECHO_REQ", [Buffer.alloc(MEGABYTE)]);
	let sent = 0;
	let dribble = await dial(t, port);
	const timer = setInterval(() => {
		dribble.raw("x");
		upload.raw(packet.subarray(sent, sent + 5000));
		sent += 5000;
	}, 20);
	t.teardown(() => clearInterval(timer));
	for (let round = 1; round <= 3; round++) {
		t.is(await dribble.next(), "closed");
		dribble = await dial(t, port);
	}
	clearInterval(timer);
	upload.raw(packet.subarray(sent));
	const [name, echoed] = await upload.next();
	t.is(name, "ECHO_RES");
	t.is(echoed.length, MEGABYTE);
});

test("all unfinished packets together have a limit; those who send on get through, one by one", async (t) => {
	const maxUnfinishedBytes = 4 * MEGABYTE;
	const { server, port } = await startServer(t, { maxUnfinishedBytes });
	const size = 2 * MEGABYTE;
	const packet = encodeRequest("ECHO_REQ", [Buffer.alloc(size)]);
	const senders = await Promise.all(Array.from({ length: 20 }, () => dial(t, port)));
	for (const sender of senders) sender.raw(packet.subarray(0, size - 1000));
	await until(() => server.patience.heldBytes > maxUnfinishedBytes, "the limit");
	const other = await dial(t, port);
	for (let i = 0; i < 5; i++) {
		other.send("ECHO_REQ", "x".repeat(30_000));
		t.is((await other.next())[1].length, 30_000);
		t.true(server.patience.heldBytes <= maxUnfinishedBytes + packet.length + senders.length * 3 * 65_536);
	}
	for (const sender of senders) sender.raw(packet.subarray(size - 1000));
	for (const sender of senders) {
		const answer = await sender.next();
		// Who held memory and did not move may have been dropped; here all move.
		t.is(answer[0], "ECHO_RES");
	}
	t.is(server.patience.heldBytes, 0);
});

test("who holds memory that others need, and does not move, is dropped", async (t) => {
	const { server, port } = await startServer(t, { maxUnfinishedBytes: 4 * MEGABYTE });
	const size = 2 * MEGABYTE;
	const packet = encodeRequest("ECHO_REQ", [Buffer.alloc(size)]);
	const holders = await Promise.all(Array.from({ length: 3 }, () => dial(t, port)));
	for (const holder of holders) holder.raw(packet.subarray(0, size - 1000));
	await until(() => server.patience.heldBytes > 4 * MEGABYTE, "the limit");
	const honest = await dial(t, port);
	honest.raw(packet);
	t.is((await honest.next())[0], "ECHO_RES");
	t.true(holders.some((holder) => holder.isClosed));
});

test("when all places are taken, one that never spoke makes room", async (t) => {
	const { server, port } = await startServer(t, { maxConnections: 5 });
	const worker = await dial(t, port);
	await worker.settle();
	const silent = await Promise.all(Array.from({ length: 4 }, () => dial(t, port)));
	await until(async () => {
		const late = await dial(t, port);
		late.raw("version\n");
		return (await late.next()) !== "closed";
	}, "a place");
	t.true(silent.some((wire) => wire.isClosed));
	t.true(server.connections <= 5);
	t.deepEqual(await worker.settle(), []);
});

test("when all places are taken by those who spoke, one more is closed at once", async (t) => {
	const { port } = await startServer(t, { maxConnections: 3 });
	const wires = await Promise.all([1, 2, 3].map(() => dial(t, port)));
	for (const wire of wires) await wire.settle();
	t.is(await (await dial(t, port)).next(), "closed");
	for (const wire of wires) t.deepEqual(await wire.settle(), []);
});

const outside = Object.values(networkInterfaces())
	.flat()
	.find(({ family, internal }) => family === "IPv4" && !internal)?.address;
(outside ? test : test.skip)("one address may have so many connections, loopback as many as there are", async (t) => {
	const { port } = await startServer(t, { listen: ["127.0.0.1", outside], maxConnectionsPerAddress: 3 });
	const wires = [];
	for (let i = 0; i < 3; i++) wires.push(await dial(t, port, outside));
	for (const wire of wires) await wire.settle();
	t.is(await (await dial(t, port, outside)).next(), "closed");
	for (let i = 0; i < 6; i++) t.deepEqual(await (await dial(t, port)).settle(), []);
	await wires[0].close();
	await until(async () => (await (await dial(t, port, outside)).settle()).length === 0, "the place");
});

test("a flood of connects does not keep the others from being served", async (t) => {
	const { server, port } = await startServer(t);
	const client = await dial(t, port);
	const sockets = new Set();
	t.teardown(() => {
		for (const socket of sockets) socket.destroy();
	});
	let opened = 0;
	const open = () => {
		const socket = connect(port, "127.0.0.1");
		sockets.add(socket);
		socket.on("error", () => {});
		socket.once("connect", () => socket.destroy());
		socket.once("close", () => {
			sockets.delete(socket);
			if (++opened < 5000) open();
		});
	};
	for (let i = 0; i < 200; i++) open();
	while (opened < 5000) t.deepEqual(await client.settle(), []);
	await until(() => server.peers.size === 1, "the end of the flood");
});

test("who sends and never reads is held, and others are served", async (t) => {
	const { port } = await startServer(t);
	const socket = connect(port, "127.0.0.1");
	await once(socket, "connect");
	t.teardown(() => socket.destroy());
	const deaf = new Wire(socket);
	socket.pause();
	const echo = encodeRequest("ECHO_REQ", [Buffer.alloc(MEGABYTE)]);
	for (let i = 0; i < 40; i++) deaf.raw(echo);
	const other = await dial(t, port);
	for (let i = 0; i < 20; i++) t.deepEqual(await other.settle(), []);
	t.true(socket.writableLength > 0);
});

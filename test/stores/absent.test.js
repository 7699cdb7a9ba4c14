// Databases that accept connections and never say a word, as behind a firewall that drops what it should refuse.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import test from "ava";
import { loadStore } from "../../dist/server/stores/index.js";
import { Remote } from "../../dist/server/stores/remote.js";
import { dial, startServer } from "../helpers/server.js";
import { services, startService } from "../helpers/services.js";
import { until } from "../helpers/until.js";
import { add, jobOf } from "./suite.js";

/** A port whose connections go to `port`, or nowhere; `stall()` stops all that moves. */
async function startRelay(t, port) {
	const sockets = new Set();
	let isStalled = port === undefined;
	const server = createServer((socket) => {
		const keep = (one) => sockets.add(one.on("error", () => {}).on("close", () => sockets.delete(one)));
		keep(socket.resume());
		if (isStalled) return;
		const other = connect(port, "127.0.0.1");
		keep(other);
		for (const [from, to] of [
			[socket, other],
			[other, socket],
		]) {
			from.on("data", (bytes) => isStalled || to.write(bytes));
			from.on("close", () => isStalled || to.destroy());
		}
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	t.teardown(() => {
		server.close();
		for (const socket of sockets) socket.destroy();
	});
	const stall = () => {
		isStalled = true;
	};
	return { port: server.address().port, sockets, stall };
}

test("redis: an address that is none is refused in a sentence, without the password in it", async (t) => {
	for (const address of ["redis://u:secret@[bad/", "http://u:secret@host/"]) {
		await t.throwsAsync(loadStore("redis", { port: 0, options: { "redis-server": address } }), {
			code: "BAD_ARGUMENT",
			message: "redis-server is a host, or an address such as redis://HOST:6379/0",
		});
	}
});

for (const kind of Object.keys(services)) {
	test(`${kind}: a server that takes connections and never answers stops the start, with a sentence`, async (t) => {
		const relay = await startRelay(t);
		const store = await loadStore(kind, { port: 0, options: services[kind].options(relay.port) });
		await t.throwsAsync(store.open(), { code: "STORE_FAILED", message: new RegExp(`127\\.0\\.0\\.1:${relay.port}`) });
		await store.close();
		await until(() => relay.sockets.size === 0, "the end of its connections");
		t.pass();
	});

	const testHere = services[kind].program === undefined ? test.skip : test;
	testHere(`${kind}: a server that falls silent while it is asked does not keep ours from stopping`, async (t) => {
		const service = await startService(kind, t);
		const relay = await startRelay(t, service.port);
		const store = await loadStore(kind, { port: 0, options: services[kind].options(relay.port) });
		const { server, port } = await startServer(t, { store });
		const client = await dial(t, port);
		client.send("SUBMIT_JOB_BG", "f", "", "before");
		t.is((await client.next())[0], "JOB_CREATED");
		relay.stall();
		client.send("SUBMIT_JOB_BG", "f", "", "never acknowledged");
		const admin = await dial(t, port);
		t.is((await admin.list("status"))[0], "f\t2\t0\t0");
		await server.stop();
		t.pass();
	});
}

test("what is under way when a store is closed has a little time, and is given up then", async (t) => {
	const calls = [];
	const backend = {
		name: "Silence at home",
		connect: async () => "connection",
		takeOver: async () => {},
		commit: () => new Promise(() => {}),
		disconnect: async () => calls.push("disconnect"),
		destroy: () => calls.push("destroy"),
	};
	const remote = new Remote(backend, { answerMs: 3_600_000, connectMs: 3_600_000, closeMs: 20 });
	await remote.open();
	const written = t.throwsAsync(remote.write([add(jobOf(1))]), {
		message: /^Silence at home: no answer for 0.02 seconds/,
	});
	await Promise.all([remote.close(), written]);
	t.is(calls[0], "destroy");
});

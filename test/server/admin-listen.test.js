// --admin-listen: commands that change something at an address of their own, in text and HTTP on one port.

import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import test from "ava";
import { temporaryFolder } from "../helpers/program.js";
import { DEADLINE_MS, dial, startServer, Wire } from "../helpers/server.js";

async function dialUnix(t, path) {
	const socket = connect(path);
	t.teardown(() => socket.destroy());
	await once(socket, "connect");
	return new Wire(socket);
}

async function ask(wire, line) {
	wire.raw(`${line}\n`);
	return wire.next();
}

/** HTTP's answer to a GET: [status, body]. */
function get(t, options) {
	return new Promise((resolve, reject) => {
		const asked = request({ timeout: DEADLINE_MS, ...options }, (response) => {
			let body = "";
			response.on("data", (bytes) => {
				body += bytes;
			});
			response.on("end", () => resolve([response.statusCode, body]));
		});
		t.teardown(() => asked.destroy());
		asked.on("error", reject);
		asked.end();
	});
}

const CHANGES = ["maxqueue f 5", "create function g", "drop function f", "cancel job H:test:1", "shutdown"];

test("changing commands move to the admin address; elsewhere one ERR line says where", async (t) => {
	const path = join(temporaryFolder(t), "admin");
	const { port, server } = await startServer(t, {
		adminListen: ["127.0.0.1:0", `unix:${path}`],
		allowShutdown: true,
	});
	const [{ port: adminPort }] = server.addressesOf("admin");
	const client = await dial(t, port);
	client.send("SUBMIT_JOB_BG", "f", "", "");
	await client.next();
	for (const line of CHANGES) {
		const expected = `ERR NOT_ALLOWED This+command+is+taken+at+127.0.0.1:${adminPort}+or+unix:${path}`;
		t.is(await ask(client, line), expected);
	}
	t.deepEqual(await client.list("status"), ["f\t1\t0\t0"]);
	t.regex(await ask(client, "version"), /^OK /);
	for (const admin of [await dial(t, adminPort), await dialUnix(t, path)]) {
		t.is(await ask(admin, "maxqueue f 5"), "OK");
		t.deepEqual(await admin.list("status"), ["f\t1\t0\t0"]);
	}
	const admin = await dial(t, adminPort);
	t.is(await ask(admin, "cancel job H:test:1"), "OK");
	t.is(await ask(admin, "shutdown"), "OK");
	t.is(await client.next(), "closed");
});

test("without an admin address changing commands are taken everywhere", async (t) => {
	const { port } = await startServer(t);
	t.is(await ask(await dial(t, port), "create function g"), "OK");
});

test("the admin address speaks HTTP too, and packets", async (t) => {
	const path = join(temporaryFolder(t), "admin");
	const { server } = await startServer(t, { adminListen: ["127.0.0.1:0", `unix:${path}`] });
	const [{ port }] = server.addressesOf("admin");
	t.is((await get(t, { host: "127.0.0.1", port, path: "/livez" }))[0], 200);
	t.is((await get(t, { socketPath: path, path: "/livez" }))[0], 200);
	// A request cut after its first byte.
	const socket = connect(port, "127.0.0.1");
	t.teardown(() => socket.destroy());
	socket.setNoDelay();
	socket.write("G");
	await (await dial(t, port)).settle();
	socket.write("ET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
	t.regex(String((await once(socket, "data"))[0]), /^HTTP\/1\.1 200 /);
});

test("an admin address needs a port, and a connection that says nothing is closed", async (t) => {
	await t.throwsAsync(startServer(t, { adminListen: ["127.0.0.1"] }), { message: /needs a port/ });
	const { server } = await startServer(t, { adminListen: ["127.0.0.1:0"], idleTimeoutMs: 200 });
	const silent = await dial(t, server.addressesOf("admin")[0].port);
	t.is(await silent.next(), "closed");
});

// Where the server listens, and whom it lets in.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import test from "ava";
import { Log } from "../../dist/log.js";
import { Access } from "../../dist/server/access.js";
import { parseEndpoint } from "../../dist/server/endpoint.js";
import { freePort } from "../helpers/free-port.js";
import { temporaryFolder } from "../helpers/program.js";
import { dial, startServer, Wire } from "../helpers/server.js";

async function dialUnix(t, path) {
	const socket = connect(path);
	t.teardown(() => socket.destroy());
	await once(socket, "connect");
	return new Wire(socket);
}

test("addresses are read with and without a port, Unix sockets by their path", (t) => {
	t.deepEqual(parseEndpoint("127.0.0.1"), { host: "127.0.0.1", port: undefined });
	t.deepEqual(parseEndpoint("queue:4731"), { host: "queue", port: 4731 });
	t.deepEqual(parseEndpoint("::1"), { host: "::1", port: undefined });
	t.deepEqual(parseEndpoint("[::1]:12"), { host: "::1", port: 12 });
	t.deepEqual(parseEndpoint("unix:/run/gearman"), { path: "/run/gearman" });
	for (const bad of ["", "a:b", "a:65536", "unix:", `unix:/${"x".repeat(110)}`, "a:1:2"]) {
		t.throws(() => parseEndpoint(bad), { code: "BAD_ARGUMENT" }, bad);
	}
});

test("several addresses, with ports of their own or the common one", async (t) => {
	const own = await freePort();
	const { server, port } = await startServer(t, { listen: ["127.0.0.1", "127.0.0.2", `127.0.0.3:${own}`] });
	t.deepEqual(
		server.addresses.map(({ address, port }) => [address, port]),
		[
			["127.0.0.1", port],
			["127.0.0.2", port],
			["127.0.0.3", own],
		],
	);
	for (const [host, at] of [
		["127.0.0.2", port],
		["127.0.0.3", own],
	]) {
		t.deepEqual(await (await dial(t, at, host)).settle(), []);
	}
});

test("a Unix socket has the file mode asked for, is served beside TCP, and is gone afterwards", async (t) => {
	const folder = temporaryFolder(t);
	const paths = ["one", "two"].map((name) => join(folder, name));
	for (const [at, socketMode] of [undefined, 0o600].entries()) {
		const { server, port } = await startServer(t, { listen: [`unix:${paths[at]}`, "127.0.0.1"], socketMode });
		t.is(statSync(paths[at]).mode & 0o777, socketMode ?? 0o660);
		t.true(port > 0);
		const worker = await dialUnix(t, paths[at]);
		worker.send("CAN_DO", "f");
		await worker.settle();
		const client = await dial(t, port);
		client.send("SUBMIT_JOB", "f", "", "hello");
		const [, handle] = await client.next();
		worker.send("GRAB_JOB");
		t.deepEqual(await worker.next(), ["JOB_ASSIGN", handle, "f", "hello"]);
		t.regex((await client.list("workers"))[0], /^\d+ - - : f$/);
		await server.stop();
		t.false(existsSync(paths[at]));
	}
});

test("the socket of a server that was killed is taken over; one in use, and what is no socket, is not", async (t) => {
	const folder = temporaryFolder(t);
	const path = join(folder, "socket");
	const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
	await once(spawn(process.execPath, ["-e", script], { stdio: "ignore" }), "exit");
	t.true(existsSync(path));
	await startServer(t, { listen: [`unix:${path}`] });
	t.deepEqual(await (await dialUnix(t, path)).settle(), []);
	const message = /the socket is in use, or the file is no socket$/;
	await t.throwsAsync(startServer(t, { listen: [`unix:${path}`] }), { code: "COULD_NOT_LISTEN", message });
	t.deepEqual(await (await dialUnix(t, path)).settle(), []);
	const file = join(folder, "file");
	writeFileSync(file, "precious");
	await t.throwsAsync(startServer(t, { listen: [`unix:${file}`] }), { code: "COULD_NOT_LISTEN", message });
	await t.throwsAsync(startServer(t, { listen: ["unix:/nowhere/socket"] }), {
		message: /no such directory|permission/,
	});
});

test("rules: a deny wins, and with any allow only what matches one comes in", (t) => {
	const admits = (allow, deny, address) => new Access(allow, deny).admits(address, []);
	for (const [allow, deny, address, expected] of [
		[[], [], "192.0.2.1", true],
		[[], [], undefined, true],
		[["10.0.0.0/8"], [], "10.1.2.3", true],
		[["10.0.0.0/8"], [], "11.1.2.3", false],
		[["10.0.0.0/8"], [], "::ffff:10.1.2.3", true],
		[["10.0.0.0/8, ::1"], [], "::1", true],
		[["10.0.0.0/8"], ["10.0.0.7"], "10.0.0.7", false],
		[["10.0.0.0/8"], ["10.0.0.7"], "10.0.0.8", true],
		[[], ["2001:db8::/32"], "2001:db8::5", false],
		[[], ["2001:db8::/32"], "2001:db9::5", true],
		[["127.0.0.1"], [], undefined, false],
		[["unix"], [], undefined, true],
		[["unix"], [], "127.0.0.1", false],
		[[], ["unix"], undefined, false],
		[["0.0.0.0/0"], [], "::1", false],
	]) {
		t.is(admits(allow, deny, address), expected, `${allow} ${deny} ${address}`);
	}
	for (const bad of ["10.0.0.0/33", "10.0.0", "host", "10.0.0.0/8/8", "name:", "::/129", ""]) {
		t.throws(() => new Access([bad]), { code: "BAD_ARGUMENT", message: /is no rule: expected an address/ }, bad);
	}
});

test("who is refused is closed with one line, others are served", async (t) => {
	const lines = [];
	const log = new Log("ERROR", "none", (_level, line) => lines.push(line));
	const { port } = await startServer(t, { log, listen: ["127.0.0.1"], allow: ["127.0.0.2"] });
	const from = async (localAddress) => {
		const socket = connect({ port, host: "127.0.0.1", localAddress });
		t.teardown(() => socket.destroy());
		await once(socket, "connect");
		return new Wire(socket);
	};
	const friend = await from("127.0.0.2");
	for (let i = 0; i < 5; i++) t.is(await (await from("127.0.0.1")).next(), "closed");
	t.deepEqual(await friend.settle(), []);
	t.deepEqual(lines, ["127.0.0.1 is refused by --allow or --deny"]);
});

test("to listen on all addresses without TLS or rules is worth a line, whatever the level", async (t) => {
	const cautionOf = async (options) => {
		const lines = [];
		const log = new Log("FATAL", "none", (level, line) => lines.push(`${level} ${line}`));
		await startServer(t, { log, ...options });
		return lines;
	};
	for (const listen of [[], ["0.0.0.0"], ["::"]]) {
		const lines = await cautionOf({ listen });
		t.is(lines.length, 1, listen.join());
		t.regex(lines[0], /^WARNING Anybody who reaches port \d+ of this machine may use this server/);
	}
	t.deepEqual(await cautionOf({ listen: ["127.0.0.1"] }), []);
	t.deepEqual(await cautionOf({ listen: [], deny: ["192.0.2.0/24"] }), []);
});

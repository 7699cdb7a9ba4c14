import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createTlsServer } from "node:tls";
import test from "ava";
import fc from "fast-check";
import { backoff, Connection, nameOf, parseServers } from "../../dist/net/connection.js";
import { Type } from "../../dist/protocol/commands.js";
import { encode, encodeRequest, MAGIC_RESPONSE } from "../../dist/protocol/packet.js";
import { certificates, testTls } from "../helpers/certificates.js";
import { freePort } from "../helpers/free-port.js";
import { startScripted } from "../helpers/scripted-server.js";

/** Events as they come: { packets, lines, closed }, and next(). */
function recorder(more = {}) {
	const items = [];
	const waiting = [];
	const put = (item) => {
		const resolve = waiting.shift();
		if (resolve) resolve(item);
		else items.push(item);
	};
	return {
		items,
		put,
		next: () => (items.length > 0 ? items.shift() : new Promise((resolve) => waiting.push(resolve))),
		onPacket: (packet) => put([packet.type, packet.text(0)]),
		onLine: (line) => put(line),
		onClose: (error) => put(error),
		...more,
	};
}

async function open(t, port, events = recorder(), more = {}) {
	const connection = new Connection({ host: "127.0.0.1", port, ...more }, events);
	t.teardown(() => connection.close());
	await connection.connect();
	return connection;
}

const rejects = (t, promise, code, message = /./) => t.throwsAsync(promise, { name: "GearmanError", code, message });

test("server lists are host or host:port, by comma or apart, with the default port where none is named", (t) => {
	t.deepEqual(parseServers("a, b:4731,[::1]:12,[fe80::1],::1,10.0.0.1:1"), [
		{ host: "a", port: 4730 },
		{ host: "b", port: 4731 },
		{ host: "::1", port: 12 },
		{ host: "fe80::1", port: 4730 },
		{ host: "::1", port: 4730 },
		{ host: "10.0.0.1", port: 1 },
	]);
	t.deepEqual(parseServers(["a,b", "c:1"], 9, { caFile: "ca" }), [
		{ host: "a", port: 9, tls: { caFile: "ca" } },
		{ host: "b", port: 9, tls: { caFile: "ca" } },
		{ host: "c", port: 1, tls: { caFile: "ca" } },
	]);
	t.deepEqual(parseServers("unix:/run/gearman/socket,a", 9), [
		{ host: "unix:/run/gearman/socket", port: 0 },
		{ host: "a", port: 9 },
	]);
});

test("a server may be a Unix socket, which has no port and speaks no TLS", (t) => {
	const servers = parseServers("unix:/run/a b, c", 9, { caFile: "ca" });
	t.deepEqual(servers, [
		{ host: "unix:/run/a b", port: 0 },
		{ host: "c", port: 9, tls: { caFile: "ca" } },
	]);
	t.deepEqual(servers.map(nameOf), ["unix:/run/a b", "c:9"]);
});

for (const bad of ["", " , ", "unix:", "a:b", "a:0", "a:65536", "a:1:", "[::1", "::1]:2", "a:1:2", "http://a:1"]) {
	test(`"${bad}" is refused as a server`, (t) => {
		t.throws(() => parseServers(bad), { name: "GearmanError", code: "BAD_ARGUMENT" });
	});
}

test("an address reads back from its own name", (t) => {
	fc.assert(
		fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
			t.deepEqual(parseServers(nameOf({ host, port })), [{ host, port }]);
		}),
	);
});

test("reconnects wait 0.1 to 10 seconds, at first hardly longer than the shortest", (t) => {
	for (let attempt = 0; attempt < 2000; attempt++) {
		const ms = backoff(attempt % 100);
		t.true(ms >= 100 && ms <= 10_000);
		t.true(backoff(0) <= 200);
	}
});

test("a port nobody listens on: one sentence names server and reason", async (t) => {
	const port = await freePort();
	for (const host of ["127.0.0.1", "localhost"]) {
		const connection = new Connection({ host, port }, recorder());
		await rejects(
			t,
			connection.connect(),
			"COULD_NOT_CONNECT",
			`could not connect to ${host}:${port}: connection refused`,
		);
		t.false(connection.isOpen);
	}
});

test("a host name that does not exist cannot be connected to", async (t) => {
	const connection = new Connection({ host: "no-such-host.invalid", port: 1 }, recorder());
	await rejects(
		t,
		connection.connect(),
		"COULD_NOT_CONNECT",
		/^could not connect to no-such-host\.invalid:1: .*host name/,
	);
});

test("localhost is reached where it listens on ::1 alone", async (t) => {
	const server = await startScripted(t, { host: "::1" }).catch(() => undefined);
	if (server === undefined) return t.pass("no IPv6 here");
	const connection = new Connection({ host: "localhost", port: server.port }, recorder());
	await connection.connect();
	t.true(connection.isOpen);
	connection.close();
});

test("a signal given before connects nothing", async (t) => {
	const server = await startScripted(t);
	const connection = new Connection({ host: "127.0.0.1", port: server.port }, recorder());
	await rejects(t, connection.connect(AbortSignal.abort()), "ABORTED");
	t.is(server.unaccepted, 0);
});

test("a signal ends a TLS handshake nobody answers", async (t) => {
	const server = await startScripted(t);
	const events = recorder();
	const connection = new Connection({ host: "127.0.0.1", port: server.port, tls: {} }, events);
	const abort = new AbortController();
	const connecting = connection.connect(abort.signal);
	const peer = await server.accept();
	abort.abort();
	await rejects(t, connecting, "ABORTED");
	for (let item = await peer.next(); item !== "closed"; item = await peer.next());
	t.deepEqual(events.items, []);
});

test("packets and lines come in order, however they were cut", async (t) => {
	const server = await startScripted(t);
	const events = recorder();
	await open(t, server.port, events);
	const peer = await server.accept();
	const bytes = Buffer.concat([
		encode(MAGIC_RESPONSE, "ECHO_RES", ["one"]),
		Buffer.from("a line\r\n"),
		encode(MAGIC_RESPONSE, "NOOP"),
	]);
	peer.raw(bytes.subarray(0, 14));
	peer.raw(bytes.subarray(14));
	t.deepEqual(await events.next(), [Type.ECHO_RES, "one"]);
	t.is(await events.next(), "a line");
	t.deepEqual(await events.next(), [Type.NOOP, ""]);
});

test("connections that read by turns have each their own packets, also one that was paused", async (t) => {
	const sizes = [100, 300_000, 70_000, 3_000_000];
	const wholes = await Promise.all(
		["a", "b", "c"].map(async (letter) => {
			const server = await startScripted(t);
			const events = recorder({ onPacket: (packet) => events.put(packet.keepData()) });
			const connection = await open(t, server.port, events);
			return { letter, events, connection, peer: await server.accept() };
		}),
	);
	const packets = wholes.map(({ letter }) =>
		Buffer.concat(sizes.map((size) => encode(MAGIC_RESPONSE, "ECHO_RES", [letter.repeat(size)]))),
	);
	wholes[2].connection.pause();
	const PIECE = 50_001;
	for (let at = 0; at < packets[0].length; at += PIECE) {
		for (const [i, { peer }] of wholes.entries()) peer.raw(packets[i].subarray(at, at + PIECE));
	}
	for (const { letter, events, connection } of wholes) {
		connection.resume();
		for (const size of sizes) t.true((await events.next()).equals(Buffer.alloc(size, letter)));
	}
});

test("with onBytes nothing is parsed", async (t) => {
	const server = await startScripted(t);
	const came = [];
	const done = new Promise((resolve) => {
		const events = recorder({
			onBytes: (bytes) => {
				came.push(bytes);
				if (Buffer.concat(came).length === 9) resolve();
			},
		});
		void open(t, server.port, events);
	});
	(await server.accept()).raw("\0\0any\r\n.\n");
	await done;
	t.is(Buffer.concat(came).toString(), "\0\0any\r\n.\n");
});

test("what is sent before the connection is there is written when it is", async (t) => {
	const server = await startScripted(t);
	const connection = new Connection({ host: "127.0.0.1", port: server.port }, recorder());
	t.teardown(() => connection.close());
	connection.send(encodeRequest("ECHO_REQ", ["early"]));
	await connection.connect();
	connection.send(encodeRequest("ECHO_REQ", ["late"]));
	const peer = await server.accept();
	t.deepEqual(await peer.next(), ["ECHO_REQ", "early"]);
	t.deepEqual(await peer.next(), ["ECHO_REQ", "late"]);
});

test("the end of a connection is told once, with the server's name", async (t) => {
	const server = await startScripted(t);
	const events = recorder();
	const connection = await open(t, server.port, events);
	(await server.accept()).end();
	const error = await events.next();
	t.is(error.code, "CONNECTION_LOST");
	t.is(error.message, `lost the connection to 127.0.0.1:${server.port}: it was closed by the server`);
	t.false(connection.isOpen);
	t.false(connection.send(encodeRequest("NOOP")));
	await connection.drained();
	connection.close();
	t.deepEqual(events.items, []);
});

test("close() sends what is left, and no event follows", async (t) => {
	const server = await startScripted(t);
	const events = recorder();
	const connection = await open(t, server.port, events);
	const peer = await server.accept();
	connection.send(encodeRequest("ECHO_REQ", ["last words"]));
	connection.close();
	peer.answer("ECHO_RES", "too late");
	t.deepEqual(await peer.next(), ["ECHO_REQ", "last words"]);
	t.is(await peer.next(), "closed");
	t.deepEqual(events.items, []);
});

for (const [title, bytes] of [
	["bytes that are no packet", "\0\0\0\0nonsense"],
	["a packet over the limit", Buffer.from([0, 0x52, 0x45, 0x53, 0, 0, 0, 13, 0xff, 0xff, 0xff, 0xff])],
]) {
	test(`${title} end the connection as INVALID_RESPONSE`, async (t) => {
		const server = await startScripted(t);
		const events = recorder();
		await open(t, server.port, events);
		const peer = await server.accept();
		peer.raw(bytes);
		const error = await events.next();
		t.is(error.code, "INVALID_RESPONSE");
		t.regex(error.message, new RegExp(`^127\\.0\\.0\\.1:${server.port} sent `));
		t.is(await peer.next(), "closed");
	});
}

test("drained() resolves also when the kernel takes all at once", async (t) => {
	const server = await startScripted(t);
	const connection = await open(t, server.port);
	await server.accept();
	for (const bytes of [300_000, 1_000_000, 8_000_000]) {
		const chunk = encodeRequest("ECHO_REQ", [Buffer.alloc(bytes)]);
		for (let i = 0; i < 5; i++) {
			t.false(connection.send(chunk));
			await connection.drained();
		}
	}
});

test("send() says when the socket is full, and drained() when it is not any more", async (t) => {
	const server = await startScripted(t);
	const connection = await open(t, server.port);
	const peer = await server.accept();
	peer.pause();
	const chunk = encodeRequest("ECHO_REQ", [Buffer.alloc(1_000_000)]);
	t.false(connection.send(chunk));
	// More than the kernel takes on both sides.
	for (let i = 0; i < 20; i++) connection.send(chunk);
	let isDrained = false;
	const drained = connection.drained().then(() => {
		isDrained = true;
	});
	await new Promise((resolve) => setImmediate(resolve));
	t.false(isDrained);
	peer.resume();
	await drained;
	t.true(connection.send(encodeRequest("NOOP")));
});

test("nothing comes while paused, and all of it afterwards", async (t) => {
	const server = await startScripted(t);
	const other = await startScripted(t);
	const events = recorder();
	const connection = await open(t, server.port, events);
	const peer = await server.accept();
	connection.pause();
	for (const name of ["one", "two"]) peer.answer("ECHO_RES", name);
	// Another connection's round trip: had the first read on, it would have been read by now.
	const otherEvents = recorder();
	await open(t, other.port, otherEvents);
	(await other.accept()).answer("ECHO_RES", "other");
	await otherEvents.next();
	t.deepEqual(events.items, []);
	connection.resume();
	t.deepEqual(await events.next(), [Type.ECHO_RES, "one"]);
	t.deepEqual(await events.next(), [Type.ECHO_RES, "two"]);
});

async function startTls(t, file, name = "server", more = {}) {
	const server = createTlsServer(
		{ cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}.key`)), ...more },
		(socket) => {
			socket.on("error", () => {});
			socket.pipe(socket);
		},
	);
	server.on("tlsClientError", () => {});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	t.teardown(() => server.close());
	return server.address().port;
}

testTls("TLS: a certificate of the given CA for the host that was named is trusted", async (t) => {
	const file = certificates(t);
	const port = await startTls(t, file);
	for (const host of ["127.0.0.1", "localhost"]) {
		const events = recorder();
		const connection = await open(t, port, events, { host, tls: { caFile: file("ca.pem") } });
		connection.send(encodeRequest("ECHO_REQ", ["secret"]));
		t.deepEqual(await events.next(), [Type.ECHO_REQ, "secret"]);
		connection.close();
	}
});

testTls("TLS: on this machine a certificate of the given CA is trusted whatever name is in it", async (t) => {
	const file = certificates(t);
	for (const [name, ca] of [
		["own", "own.pem"],
		["elsewhere", "ca.pem"],
	]) {
		const port = await startTls(t, file, name);
		for (const host of ["127.0.0.1", "localhost"]) {
			await open(t, port, recorder(), { host, tls: { caFile: file(ca) } });
		}
	}
	t.pass();
});

testTls("TLS: a certificate of another CA, of none that is known, or for another host is refused", async (t) => {
	const file = certificates(t);
	for (const [name, host, tls, message] of [
		[
			"server",
			"127.0.0.1",
			{ caFile: file("other.pem") },
			/its certificate is signed by a CA that is not trusted here/,
		],
		["server", "127.0.0.1", {}, /its certificate is signed by a CA that is not trusted here/],
		["own", "127.0.0.1", {}, /its certificate is signed by itself and not trusted here/],
		// 0.0.0.0 is no loopback address by its looks, and leads to one.
		[
			"elsewhere",
			"0.0.0.0",
			{ caFile: file("ca.pem") },
			/its certificate is not for 0\.0\.0\.0: it names DNS:elsewhere\.example$/,
		],
		["own", "0.0.0.0", { caFile: file("own.pem") }, /its certificate is not for 0\.0\.0\.0: it names CN:localhost$/],
	]) {
		const connection = new Connection({ host, port: await startTls(t, file, name), tls }, recorder());
		await rejects(t, connection.connect(), "COULD_NOT_CONNECT", message);
	}
});

testTls(
	"TLS: a server that misses our certificate says so only after the handshake: that is told in one sentence",
	async (t) => {
		const file = certificates(t);
		const port = await startTls(t, file, "server", {
			ca: readFileSync(file("ca.pem")),
			requestCert: true,
			rejectUnauthorized: true,
		});
		const events = recorder();
		await open(t, port, events, { tls: { caFile: file("ca.pem") } });
		const error = await events.next();
		t.is(error.code, "CONNECTION_LOST");
		const sentence = "it wants a certificate: see --ssl-certificate and --ssl-key";
		t.is(error.message, `lost the connection to 127.0.0.1:${port}: ${sentence}`);
	},
);

test("TLS: a certificate file that is not there, or holds none, is named", async (t) => {
	const connect = (tls) => new Connection({ host: "127.0.0.1", port: 1, tls }, recorder()).connect();
	await rejects(
		t,
		connect({ caFile: "/no/such/ca.pem" }),
		"BAD_ARGUMENT",
		"could not read /no/such/ca.pem: no such file",
	);
	await rejects(
		t,
		connect({ certificateFile: "package.json" }),
		"BAD_ARGUMENT",
		/^package\.json cannot be used for TLS: /,
	);
});

test("TLS to a port that speaks none: the sentence says that", async (t) => {
	for (const answer of ["ERR UNKNOWN_COMMAND\r\n", undefined]) {
		const server = await startScripted(t);
		const connecting = new Connection({ host: "127.0.0.1", port: server.port, tls: {} }, recorder()).connect();
		const peer = await server.accept();
		if (answer === undefined) peer.destroy();
		else peer.raw(answer);
		const message = answer === undefined ? /does this port speak TLS\?$/ : /it does not speak TLS: leave out -S/;
		await rejects(t, connecting, "COULD_NOT_CONNECT", message);
	}
});

test("a port that speaks TLS: the sentence says so, or that it may", async (t) => {
	for (const [answer, code, message] of [
		[Buffer.from([0x15, 3, 3, 0, 2, 2, 70]), "INVALID_RESPONSE", /its port speaks TLS, say -S/],
		[undefined, "CONNECTION_LOST", /closed by the server before it said anything: it may speak TLS \(-S\)/],
	]) {
		const server = await startScripted(t);
		const events = recorder();
		const connection = await open(t, server.port, events);
		connection.send(encodeRequest("ECHO_REQ", ["plain"]));
		const peer = await server.accept();
		await peer.next();
		if (answer === undefined) peer.end();
		else peer.raw(answer);
		const error = await events.next();
		t.is(error.code, code);
		t.regex(error.message, message);
	}
});

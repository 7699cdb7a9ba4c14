// TLS on the Gearman port, with certificates of openssl's and openssl's own client.

import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Log } from "../../dist/log.js";
import { certificates, testTls } from "../helpers/certificates.js";
import { said, start, temporaryFolder } from "../helpers/program.js";
import { dial, startServer, Wire } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A server in TLS, and what it logs. */
async function startTlsServer(t, tls = {}, options = {}) {
	const file = certificates();
	const lines = [];
	const log = new Log("NOTICE", "none", (_level, line) => lines.push(line));
	const { server, port } = await startServer(t, {
		log,
		tls: { certificateFile: file("server.pem"), keyFile: file("server.key"), ...tls },
		...options,
	});
	return { server, port, lines, file };
}

/** A Wire in TLS; rejects when the handshake fails. */
async function dialTls(t, port, name, options = {}) {
	const file = certificates();
	const own =
		name === undefined ? {} : { cert: readFileSync(file(`${name}.pem`)), key: readFileSync(file(`${name}.key`)) };
	const socket = connectTls({ port, host: "127.0.0.1", ca: readFileSync(file("ca.pem")), ...own, ...options });
	t.teardown(() => socket.destroy());
	socket.on("error", () => {});
	await once(socket, "secureConnect");
	const wire = new Wire(socket);
	wire.serial = socket.getPeerCertificate().serialNumber;
	return wire;
}

/** What happens to a client that shows this certificate: "served" or "closed". */
async function outcome(t, port, name, options) {
	const wire = await dialTls(t, port, name, options);
	wire.raw("version\n");
	const answer = await wire.next();
	return answer === "closed" ? answer : "served";
}

testTls("openssl's client is served in TLS 1.2 and 1.3 and refused below", async (t) => {
	const { port, file } = await startTlsServer(t);
	const ask = (...flags) => {
		const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", file("ca.pem"), "-ign_eof", ...flags];
		const child = start(t, args, { command: "openssl", stdin: "pipe" });
		child.stdin.on("error", () => {});
		child.stdin.write("version\n");
		return child;
	};
	for (const flag of ["-tls1_2", "-tls1_3"]) {
		const child = ask(flag, "-verify_return_error", "-verify_ip", "127.0.0.1");
		await said(child.stdout, /OK \d+\.\d+\.\d+/);
		child.kill();
	}
	const { stdout, stderr } = await ask("-tls1_1", "-cipher", "ALL@SECLEVEL=0");
	t.notRegex(stdout, /OK \d/);
	t.regex(stderr, /alert protocol version/);
});

testTls("nobody makes it shake hands again and again", async (t) => {
	const { port, file } = await startTlsServer(t);
	const flags = ["-CAfile", file("ca.pem"), "-tls1_2"];
	const child = start(t, ["s_client", "-connect", `127.0.0.1:${port}`, ...flags], {
		command: "openssl",
		stdin: "pipe",
	});
	child.stdin.on("error", () => {});
	await said(child.stdout, /Verify return code: 0/);
	child.stdin.write("R\n");
	const { stderr } = await child;
	t.regex(stderr, /no renegotiation/);
});

testTls("a certificate out of its time is said in the log, and used", async (t) => {
	const file = certificates();
	const { port, lines } = await startTlsServer(t, { certificateFile: file("past.pem"), keyFile: file("past.key") });
	t.regex(lines[0], /^TLS: .*past\.pem has expired: it was good until .* GMT$/);
	await t.throwsAsync(dialTls(t, port), { code: "CERT_HAS_EXPIRED" });
	t.is(await outcome(t, port, undefined, { rejectUnauthorized: false }), "served");
});

testTls("with a CA a client certificate of it is required, or only checked when there is one", async (t) => {
	const { file } = await startTlsServer(t);
	const caFile = file("ca.pem");
	const required = await startTlsServer(t, { caFile });
	t.is(await outcome(t, required.port, "client"), "served");
	t.is(await outcome(t, required.port, undefined), "closed");
	t.is(await outcome(t, required.port, "foreign"), "closed");
	t.is(required.lines.filter((line) => /^TLS: 127\.0\.0\.1 is refused/.test(line)).length, 1);
	const optional = await startTlsServer(t, { caFile, verify: "optional" });
	t.is(await outcome(t, optional.port, "client"), "served");
	t.is(await outcome(t, optional.port, undefined), "served");
	t.is(await outcome(t, optional.port, "foreign"), "closed");
});

testTls("rules about names let in who has one in its certificate", async (t) => {
	const caFile = certificates()("ca.pem");
	for (const [rules, expected] of [
		[{ allow: ["name:worker-1"] }, ["served", "closed"]],
		[{ allow: ["name:*.example.org"] }, ["served", "closed"]],
		[{ allow: ["name:worker-2"] }, ["closed", "closed"]],
		[{ allow: ["name:worker-2", "127.0.0.0/8"] }, ["served", "served"]],
		[{ deny: ["name:WEB1.example.org"] }, ["closed", "served"]],
		[{ allow: ["127.0.0.1"], deny: ["name:worker-1"] }, ["closed", "served"]],
	]) {
		const { port } = await startTlsServer(t, { caFile, verify: "optional" }, rules);
		t.deepEqual([await outcome(t, port, "client"), await outcome(t, port, undefined)], expected, JSON.stringify(rules));
	}
});

testTls("plain text to the TLS port is closed with one line, and others are served meanwhile", async (t) => {
	const { port, lines } = await startTlsServer(t);
	const other = await dialTls(t, port);
	for (const bytes of [
		"status\n",
		"GET / HTTP/1.1\r\n\r\n",
		Buffer.from("\0REQ\0\0\0\x10\0\0\0\x01x"),
		Buffer.alloc(100_000),
	]) {
		const wire = await dial(t, port);
		wire.raw(bytes);
		t.is(await wire.next(), "closed");
		t.deepEqual(await other.settle(), []);
	}
	// Once a second at most.
	t.true(lines.length > 0 && lines.every((line) => /^TLS: 127\.0\.0\.1 is refused: it does not speak TLS/.test(line)));
});

testTls("a TLS client on a plain port is closed", async (t) => {
	const { port } = await startServer(t);
	await t.throwsAsync(dialTls(t, port));
});

testTls("silent handshakes are cut off, count as connections, and hurt nobody", async (t) => {
	const { port, server } = await startTlsServer(t, { handshakeMs: 300 }, { maxConnections: 20 });
	const other = await dialTls(t, port);
	await other.settle();
	const silent = Array.from({ length: 40 }, () => connect(port, "127.0.0.1").on("error", () => {}));
	const closed = silent.map((socket) => new Promise((resolve) => socket.resume().on("close", resolve)));
	const half = connect(port, "127.0.0.1").on("error", () => {});
	half.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0]));
	t.deepEqual(await other.settle(), []);
	await Promise.all([...closed, new Promise((resolve) => half.resume().on("close", resolve))]);
	t.deepEqual(await other.settle(), []);
	t.is(server.peers.size, 1);
	t.is(await outcome(t, port, undefined), "served");
});

testTls(
	"reload() takes new certificates for new connections, and keeps the old when the new are not usable",
	async (t) => {
		const file = certificates();
		const folder = temporaryFolder(t);
		const [certificateFile, keyFile] = [join(folder, "a.pem"), join(folder, "a.key")];
		const install = (name) => {
			copyFileSync(file(`${name}.pem`), certificateFile);
			copyFileSync(file(`${name}.key`), keyFile);
		};
		install("server");
		const { port, server, lines } = await startTlsServer(t, { certificateFile, keyFile });
		const old = await dialTls(t, port);
		install("renewed");
		server.reload();
		const renewed = await dialTls(t, port);
		t.not(renewed.serial, old.serial);
		t.deepEqual(await old.settle(), []);
		for (const spoil of [
			() => writeFileSync(certificateFile, "no certificate"),
			() => copyFileSync(file("server.pem"), certificateFile),
		]) {
			spoil();
			lines.length = 0;
			server.reload();
			t.is(lines.length, 1);
			t.regex(lines[0], /^The old TLS certificates stay: .*a\.(pem|key) cannot be used for TLS: /);
			t.is((await dialTls(t, port)).serial, renewed.serial);
		}
	},
);

testTls("certificates that cannot be used keep it from starting, with the file's name", async (t) => {
	const file = certificates();
	for (const [tls, message] of [
		[{ certificateFile: "/nowhere.pem" }, "could not read /nowhere.pem: no such file"],
		[{ keyFile: file("client.key") }, /client\.key cannot be used for TLS: it does not belong to .*server\.pem$/],
		[{ caFile: file("ca.key") }, /ca\.key cannot be used for TLS/],
	]) {
		await t.throwsAsync(startTlsServer(t, tls), { code: "BAD_ARGUMENT", message });
	}
	await t.throwsAsync(startTlsServer(t, {}, { allow: ["name:x"] }), { message: /need --ssl and --ssl-ca-file/ });
});

testTls("a packet may be cut anywhere and be large, in TLS too", async (t) => {
	const { port } = await startTlsServer(t);
	const wire = await dialTls(t, port);
	const text = "x".repeat(3_000_000);
	wire.send("ECHO_REQ", text);
	const [name, echoed] = await wire.next();
	t.is(name, "ECHO_RES");
	t.true(echoed === text);
	wire.end();
	await until(() => wire.isClosed);
});

testTls("HTTP speaks TLS too, and knows the same rules", async (t) => {
	const file = certificates();
	const options = { protocols: ["http"], httpPort: 0, allow: ["name:worker-1"] };
	const { server } = await startTlsServer(t, { caFile: file("ca.pem"), verify: "optional" }, options);
	const [{ port }] = server.addressesOf("http");
	const get = (own) =>
		new Promise((resolve) => {
			const ca = readFileSync(file("ca.pem"));
			const asked = request({ host: "127.0.0.1", port, path: "/livez", ca, ...own }, (response) => {
				response.resume();
				resolve(response.statusCode);
			});
			asked.on("error", () => resolve("closed"));
			asked.end();
		});
	t.is(await get({ cert: readFileSync(file("client.pem")), key: readFileSync(file("client.key")) }), 200);
	t.is(await get({}), "closed");
});

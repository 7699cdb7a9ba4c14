// The job servers that -h names, as client, worker and admin reach them.

import { join } from "node:path";
import test from "ava";
import { certificates, testTls } from "../helpers/certificates.js";
import { start, startProgramServer, temporaryFolder } from "../helpers/program.js";

test("-h unix:PATH reaches a server by its Unix socket, with -S too, and says when there is none", async (t) => {
	const path = join(temporaryFolder(t), "socket");
	await startProgramServer(t, ["--listen", `unix:${path}`]);
	const address = ["-h", `unix:${path}`];
	start(t, ["-w", ...address, "-f", "upper", "--", "tr", "a-z", "A-Z"]);
	const done = await start(t, [...address, "-f", "upper", "hello"]);
	t.deepEqual([done.stdout, done.stderr, done.exitCode], ["HELLO", "", 0]);
	const { stdout } = await start(t, ["-h", `unix:${path}`, "--admin", "--status"]);
	t.is(stdout, "upper\t0\t0\t1\n.\n");
	const secure = await start(t, [...address, "-S", "-f", "upper", "hello"]);
	t.deepEqual([secure.stdout, secure.stderr], ["HELLO", ""]);

	const missing = `unix:${join(path, "not", "there")}`;
	const none = await start(t, ["-h", missing, "-f", "upper", "hello"]);
	t.regex(none.stderr, /^gearman: could not connect to unix:\S+: [a-z ]+\n$/i);
	t.is(none.exitCode, 69);
});

testTls("TLS that is half given, or without the certificate the server wants, is one sentence", async (t) => {
	const file = certificates();
	const tls = ["--ssl", "--ssl-certificate", file("server.pem"), "--ssl-key", file("server.key")];
	const { port } = await startProgramServer(t, [...tls, "--ssl-ca-file", file("ca.pem")]);
	const trusting = ["-h", `127.0.0.1:${port}`, "-S", "--ssl-ca-file", file("ca.pem")];
	for (const mode of [
		["-b", "-f", "f", "hello"],
		["--admin", "--status"],
	]) {
		const none = await start(t, [...trusting, ...mode]);
		t.regex(none.stderr, /^gearman: lost [^\n]*: it wants a certificate: see --ssl-certificate and --ssl-key[^\n]*\n$/);
		t.is(none.exitCode, 69);
		const keyless = await start(t, [...trusting, "--ssl-certificate", file("client.pem"), ...mode]);
		t.is(keyless.stderr, "gearman: --ssl-certificate is of no use without --ssl-key\n");
		t.is(keyless.exitCode, 1);
	}
});

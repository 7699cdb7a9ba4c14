// Certificates made by openssl, once a process: a CA (`ca`), another (`other`), and keys with certificates of the first
// for `server` (localhost, 127.0.0.1), `elsewhere` (another host), `client` (CN worker-1, DNS web1.example.org) and
// `renewed` (as server, another serial), `past` (as server, expired); `foreign` is a client of the other CA; `own` is signed by itself, for the CN
// localhost alone.

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";

function hasOpenssl() {
	try {
		execFileSync("openssl", ["version"], { stdio: "ignore" });
		return true;
	} catch {
		return false;
	}
}

/** `test`, or a skipped one where openssl is not installed. */
export const testTls = hasOpenssl() ? test : (title, ...rest) => test.skip(`${title} (no openssl here)`, ...rest);

let folder;

/** name → path, e.g. file("server.pem"), file("server.key"). */
export function certificates() {
	folder ??= make();
	return (name) => join(folder, name);
}

function make() {
	const made = mkdtempSync(join(tmpdir(), "gearman-tls-"));
	process.once("exit", () => rmSync(made, { recursive: true, force: true }));
	const run = (...args) => execFileSync("openssl", args, { cwd: made, stdio: "ignore" });
	const key = (name) => [
		"-newkey",
		"ec",
		"-pkeyopt",
		"ec_paramgen_curve:prime256v1",
		"-nodes",
		"-keyout",
		`${name}.key`,
	];
	for (const ca of ["ca", "other"]) {
		run("req", "-x509", ...key(ca), "-out", `${ca}.pem`, "-subj", `/CN=${ca}`, "-days", "2");
	}
	run("req", "-x509", ...key("own"), "-out", "own.pem", "-subj", "/CN=localhost", "-days", "2");
	for (const [ca, name, commonName, names] of [
		["ca", "server", "some-queue", "DNS:localhost,IP:127.0.0.1"],
		["ca", "renewed", "some-queue", "DNS:localhost,IP:127.0.0.1"],
		["ca", "past", "some-queue", "DNS:localhost,IP:127.0.0.1"],
		["ca", "elsewhere", "elsewhere", "DNS:elsewhere.example"],
		["ca", "client", "worker-1", "DNS:web1.example.org"],
		["other", "foreign", "worker-1", "DNS:web1.example.org"],
	]) {
		run("req", ...key(name), "-out", `${name}.csr`, "-subj", `/CN=${commonName}`, "-addext", `subjectAltName=${names}`);
		const signed = ["-in", `${name}.csr`, "-CA", `${ca}.pem`, "-CAkey", `${ca}.key`, "-CAcreateserial"];
		run(
			"x509",
			"-req",
			...signed,
			"-copy_extensions",
			"copy",
			"-out",
			`${name}.pem`,
			"-days",
			name === "past" ? "-1" : "2",
		);
	}
	return made;
}

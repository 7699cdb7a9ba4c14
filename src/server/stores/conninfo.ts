// libpq's connection strings ("host=db dbname=jobs sslmode=require", or a postgresql:// URI) as settings of the npm
// package pg. What is not said comes from libpq's environment variables, which pg reads too, then from libpq's defaults.

import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { ConnectionOptions } from "node:tls";
import type { ClientConfig } from "pg";
import { GearmanError } from "../../errors.ts";

/** Where Debian's and Red Hat's PostgreSQL put their sockets. */
const SOCKET_FOLDERS = ["/var/run/postgresql", "/tmp"];
const CONNECT_SECONDS = 10;

/** Settings to try one after the other: sslmode=prefer, the default, is with TLS and then without. */
export function readConninfo(conninfo: string): ClientConfig[] {
	const words = /^postgres(ql)?:\/\//.test(conninfo) ? wordsOfUri(conninfo) : wordsOf(conninfo);
	const from = (name: string, variable: string): string | undefined => words.get(name) || process.env[variable];
	const port = Number(from("port", "PGPORT") ?? 5432);
	if (!Number.isInteger(port)) throw new GearmanError("BAD_ARGUMENT", "libpq-conninfo: port is not a number");
	const socketFolder = SOCKET_FOLDERS.find((folder) => existsSync(`${folder}/.s.PGSQL.${port}`));
	const host = from("hostaddr", "PGHOSTADDR") ?? from("host", "PGHOST") ?? socketFolder ?? "localhost";
	if (host.includes(",")) throw new GearmanError("BAD_ARGUMENT", "libpq-conninfo: only one host is supported");
	const user = from("user", "PGUSER") ?? userInfo().username;
	const config: ClientConfig = {
		host,
		port,
		user,
		database: from("dbname", "PGDATABASE") ?? user,
		password: from("password", "PGPASSWORD"),
		options: from("options", "PGOPTIONS"),
		application_name: from("application_name", "PGAPPNAME") ?? "gearman",
		connectionTimeoutMillis: 1000 * Number(from("connect_timeout", "PGCONNECT_TIMEOUT") || CONNECT_SECONDS),
		keepAlive: true,
	};
	const mode = from("sslmode", "PGSSLMODE") ?? "prefer";
	const withoutTls = { ...config, ssl: false };
	if (host.startsWith("/") || mode === "disable") return [withoutTls];
	const file = (name: string, variable: string): Buffer | undefined => {
		const path = from(name, variable);
		return path === undefined ? undefined : readFileSync(path);
	};
	const ca = file("sslrootcert", "PGSSLROOTCERT");
	const isChecked = mode === "verify-full" || mode === "verify-ca" || (mode === "require" && ca !== undefined);
	const ssl: ConnectionOptions = {
		ca,
		cert: file("sslcert", "PGSSLCERT"),
		key: file("sslkey", "PGSSLKEY"),
		rejectUnauthorized: isChecked,
	};
	// As in libpq: only verify-full compares the host's name.
	if (mode !== "verify-full") ssl.checkServerIdentity = () => undefined;
	const withTls = { ...config, ssl };
	switch (mode) {
		case "allow":
			return [withoutTls, withTls];
		case "prefer":
			return [withTls, withoutTls];
		case "require":
		case "verify-ca":
		case "verify-full":
			return [withTls];
		default:
			throw new GearmanError("BAD_ARGUMENT", `libpq-conninfo: no such sslmode: ${mode}`);
	}
}

const KNOWN = new Set([
	...["host", "hostaddr", "port", "dbname", "user", "password", "options", "application_name", "connect_timeout"],
	...["sslmode", "sslrootcert", "sslcert", "sslkey"],
]);

/** `key = value`, separated by spaces; values with spaces are 'quoted', and \ takes the next character as it is. */
function wordsOf(conninfo: string): Map<string, string> {
	const words = new Map<string, string>();
	const word = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?:\s+|$)/sy;
	while (word.lastIndex < conninfo.trimEnd().length) {
		const at = word.lastIndex;
		const [, key = "", quoted, plain = ""] = word.exec(conninfo) ?? [];
		if (key === "") {
			throw new GearmanError("BAD_ARGUMENT", `libpq-conninfo: "key = value" expected at character ${at + 1}`);
		}
		set(words, key, (quoted ?? plain).replace(/\\(.)/gs, "$1"));
	}
	return words;
}

function wordsOfUri(uri: string): Map<string, string> {
	const words = new Map<string, string>();
	let url: URL;
	try {
		// A URL may have no empty host, which means the local socket here.
		url = new URL(uri.replace(/^postgres(ql)?:\/\/([^/?#]*@)?(?=[:/?#]|$)/, "postgresql://$2socket"));
	} catch (cause) {
		throw new GearmanError("BAD_ARGUMENT", "libpq-conninfo: this is no postgresql:// URI", { cause });
	}
	const parts = { user: url.username, password: url.password, port: url.port, dbname: url.pathname.slice(1) };
	for (const [key, value] of Object.entries(parts)) if (value !== "") set(words, key, decodeURIComponent(value));
	if (url.hostname !== "socket") set(words, "host", decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1"));
	for (const [key, value] of url.searchParams) set(words, key, value);
	return words;
}

function set(words: Map<string, string>, key: string, value: string): void {
	if (!KNOWN.has(key)) throw new GearmanError("BAD_ARGUMENT", `libpq-conninfo: ${key} is not supported`);
	words.set(key, value);
}

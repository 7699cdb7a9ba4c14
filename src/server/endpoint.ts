// Where to listen, as options say it: ADDRESS, ADDRESS:PORT, unix:/path; or a socket that whoever started us has opened
// already (systemd's socket activation). No socket is opened here.

import { lookup } from "node:dns/promises";
import { isIPv6 } from "node:net";
import { GearmanError } from "../errors.ts";

export type Endpoint =
	| { readonly host: string; readonly port: number | undefined }
	| { readonly path: string }
	| { readonly fd: number };

/** "unix:/path", "host", "host:port", "[::1]:port", "::1" → an endpoint. Throws GearmanError BAD_ARGUMENT. */
export function parseEndpoint(text: string): Endpoint {
	if (text.startsWith("unix:")) {
		const path = text.slice("unix:".length);
		// The kernel's own limit, which would cut the name off in silence.
		if (path === "" || Buffer.byteLength(path) > MAX_PATH) {
			throw new GearmanError("BAD_ARGUMENT", `"${text}" is no Unix socket: expected unix: and 1 to ${MAX_PATH} bytes`);
		}
		return { path };
	}
	const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
	const host = match === null ? text : (match[1] ?? match[2]);
	const port = match?.[3] === undefined ? undefined : Number(match[3]);
	if ((match === null && !isIPv6(text)) || (port !== undefined && port > 65_535)) {
		throw new GearmanError(
			"BAD_ARGUMENT",
			`could not listen on "${text}": expected ADDRESS, ADDRESS:PORT or unix:PATH`,
		);
	}
	return { host, port };
}

const MAX_PATH = 107;

/** Every address of every host name once; none given: all addresses there are. */
export async function resolveEndpoints(endpoints: readonly Endpoint[]): Promise<Endpoint[]> {
	if (endpoints.length === 0) return ["0.0.0.0", "::"].map((host) => ({ host, port: undefined }));
	const resolved = new Map<string, Endpoint>();
	for (const endpoint of endpoints) {
		if (!("host" in endpoint)) {
			resolved.set(nameOf(endpoint), endpoint);
			continue;
		}
		const { host, port } = endpoint;
		try {
			for (const { address } of await lookup(host, { all: true })) {
				resolved.set(nameOf({ host: address, port }), { host: address, port });
			}
		} catch (error) {
			throw new GearmanError("COULD_NOT_LISTEN", `could not listen on ${host}: no such host`, { cause: error });
		}
	}
	return [...resolved.values()];
}

/** As it is shown in the log: 127.0.0.1:4730, [::1]:4730, unix:/run/gearman/socket. */
export function nameOf(endpoint: Endpoint): string {
	if ("path" in endpoint) return `unix:${endpoint.path}`;
	if ("fd" in endpoint) return `descriptor ${endpoint.fd}`;
	const host = isIPv6(endpoint.host) ? `[${endpoint.host}]` : endpoint.host;
	return endpoint.port === undefined ? host : `${host}:${endpoint.port}`;
}

/** Descriptors from here on are handed over, with LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID in the environment. */
const FIRST_DESCRIPTOR = 3;

/**
 * The sockets systemd opened for this process, by name: those called `admin` and `http` (FileDescriptorName=) are for
 * these, any other for Gearman's own protocol.
 */
export function inheritedEndpoints(env: Readonly<Record<string, string | undefined>>): Record<string, Endpoint[]> {
	const inherited: Record<string, Endpoint[]> = {};
	if (env.LISTEN_PID !== String(process.pid)) return inherited;
	const names = (env.LISTEN_FDNAMES ?? "").split(":");
	for (let i = 0; i < Number(env.LISTEN_FDS); i++) {
		const name = names[i] === "admin" || names[i] === "http" ? names[i] : "gear";
		inherited[name] = [...(inherited[name] ?? []), { fd: FIRST_DESCRIPTOR + i }];
	}
	return inherited;
}

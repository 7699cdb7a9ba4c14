// Who may ask for what. The job server is often on the machine where its user browses: no web page may use it through
// his browser, nor by giving its own name our address (DNS rebinding). Programs that are no browser are not hindered.

import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { hostname } from "node:os";
import type { Server } from "../server.ts";

/** By these a proxy tells that it speaks for somebody else. */
const PROXY_HEADERS = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"];

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** A sentence when the request must not see what the server does; undefined when it may. */
export function whyNotRead(server: Server, request: IncomingMessage): string | undefined {
	if (isForeign(request)) return "A web page of another site may not ask this";
	const name = hostOf(request.headers.host);
	if (name === undefined || isOurName(server, name)) return undefined;
	return `"${name}" is not a name this server goes by: use its address, or start it with --http-host ${name}`;
}

/** A browser names the page's origin with each POST and PUT; who names none is no browser, whatever Host it calls. */
export function whyNotSubmit(server: Server, request: IncomingMessage): string | undefined {
	return request.headers.origin === undefined && !isForeign(request) ? undefined : whyNotRead(server, request);
}

/** For what changes more than the client's own jobs. */
export function whyNotChange(server: Server, request: IncomingMessage): string | undefined {
	const { method, headers } = request;
	// A page of another site could send a POST, were it not for what makes its browser ask first.
	const isSimple = method === "POST" && !/^application\/json\b/i.test(headers["content-type"] ?? "");
	if (isSimple && headers["x-requested-with"] === undefined) {
		return "This takes Content-Type: application/json or an X-Requested-With header";
	}
	if (!mayChange(server, request)) {
		return server.hasAdminListeners ? "Only at the server's admin address" : "Only from the machine the server runs on";
	}
	return whyNotRead(server, request);
}

/** For the dashboard and what it asks: by default it tells of jobs and workers on the server's own machine only. */
export function whyNotWatch(server: Server, request: IncomingMessage): string | undefined {
	const { dashboard } = server.options;
	if (dashboard === "off") return "The dashboard is turned off (--dashboard off)";
	if (dashboard === "all" || isLocal(request)) return whyNotRead(server, request);
	const { localPort } = request.socket;
	return (
		"The dashboard is shown on the machine the server runs on only. From elsewhere: " +
		`ssh -L ${localPort}:127.0.0.1:${localPort} HOST, then http://127.0.0.1:${localPort}/; ` +
		"or start the server with --dashboard all"
	);
}

/** Who may administer the server: who comes through an admin listener; where there is none, who is on its machine. */
function mayChange(server: Server, request: IncomingMessage): boolean {
	return server.hasAdminListeners ? server.mayChange(request.socket) : isLocal(request);
}

/** On the server's machine, and not speaking for others as a proxy does. */
function isLocal({ socket, headers }: IncomingMessage): boolean {
	if (PROXY_HEADERS.some((name) => headers[name] !== undefined)) return false;
	const address = (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
	// A Unix socket has no address.
	if (address === "") return !socket.destroyed;
	return loopback.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** Sent by a browser for a page that is not ours. */
function isForeign({ headers }: IncomingMessage): boolean {
	const site = headers["sec-fetch-site"];
	if (site !== undefined && site !== "same-origin" && site !== "none") return true;
	if (headers.origin === undefined) return false;
	return headers.origin.replace(/^https?:\/\//i, "").toLowerCase() !== headers.host?.toLowerCase();
}

/** The Host header's name without its port; undefined when there is none. */
function hostOf(host: string | undefined): string | undefined {
	if (host === undefined || host === "") return undefined;
	return /^(\[[^\]]*\]|[^:]*)/.exec(host)?.[1].toLowerCase().replace(/\.$/, "");
}

function isOurName(server: Server, name: string): boolean {
	if (isIP(name.replace(/^\[(.*)\]$/, "$1")) > 0) return true;
	if (name === "localhost" || name.endsWith(".localhost") || name === hostname().toLowerCase()) return true;
	const { listen, httpListen, httpHosts } = server.options;
	return [...listen, ...httpListen, ...httpHosts].some((own) => own === "*" || hostOf(own) === name);
}

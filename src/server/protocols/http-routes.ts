// The one table of what HTTP answers: method and path → who does it. Whoever adds a route adds a row.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { Server } from "../server.ts";
import { answerText, type Exchange } from "./http-answer.ts";
import { dropFunction, read, setMaxQueue } from "./http-api.ts";
import { asset, root } from "./http-dashboard.ts";
import { whyNotChange, whyNotRead, whyNotSubmit, whyNotWatch } from "./http-guard.ts";
import { livez, readyz } from "./http-health.ts";
import { cancelJob, runFunction, showJob } from "./http-jobs.ts";
import { metrics } from "./http-metrics.ts";
import { watch } from "./http-watch.ts";

export interface Route {
	/** HEAD is answered as GET, without the body. */
	readonly method: "GET" | "POST" | "PUT" | "DELETE";
	/** A path as it is, or, with "*" at its end, all that begin like it and go on. */
	readonly path: string;
	/**
	 * Who may ask. "everybody": it tells nothing of jobs. "read": no web page of somebody else. "change": changes what
	 * is not the client's own, so besides that only who may administer the server (mayChange). "submit": hands in a job.
	 * "watch": the dashboard, see --dashboard.
	 */
	readonly access: "everybody" | "read" | "change" | "submit" | "watch";
	/** Answers. What it throws, or rejects with, is our bug: 500, and a line in the log. */
	run(exchange: Exchange): void | Promise<void>;
}

/** The first that fits counts. What can be answered at once is: whoever has ended his side by then may still read. */
const routes: readonly Route[] = [
	{ method: "GET", path: "/livez", access: "everybody", run: livez },
	{ method: "GET", path: "/readyz", access: "everybody", run: readyz },
	{ method: "GET", path: "/metrics", access: "read", run: metrics },
	{ method: "GET", path: "/", access: "everybody", run: root },
	{ method: "GET", path: "/dashboard", access: "everybody", run: root },
	{ method: "GET", path: "/dashboard/", access: "watch", run: asset },
	{ method: "GET", path: "/dashboard/*", access: "watch", run: asset },
	{ method: "GET", path: "/api/events", access: "watch", run: watch },
	{ method: "GET", path: "/api/*", access: "watch", run: read },
	{ method: "DELETE", path: "/api/functions/*", access: "change", run: dropFunction },
	{ method: "PUT", path: "/api/functions/*", access: "change", run: setMaxQueue },
	{ method: "GET", path: "/jobs/*", access: "read", run: showJob },
	{ method: "DELETE", path: "/jobs/*", access: "change", run: cancelJob },
	{ method: "POST", path: "/*", access: "submit", run: runFunction },
	{ method: "PUT", path: "/*", access: "submit", run: runFunction },
];

/** Finds the route and runs it. Never rejects. */
export async function route(server: Server, request: IncomingMessage, response: ServerResponse): Promise<void> {
	// The other side, or we, may end at any time: the response's "close" tells whom it concerns.
	request.on("error", () => {});
	response.on("error", () => {});
	const { host } = request.headers;
	if (host === undefined ? request.httpVersion === "1.1" : host.includes(",")) {
		return answerText(response, 400, "A request has one Host header");
	}
	const { path, query } = splitTarget(request.url ?? "/");
	const method = request.method === "HEAD" ? "GET" : request.method;
	const fitting = routes.filter((route) => fits(route, path));
	const found = fitting.find((route) => route.method === method);
	if (found === undefined) {
		// Any path can be a function's, but who gets one that leads nowhere has not mistaken the method.
		if (method === "GET" || fitting.length === 0) return answerText(response, 404, "There is nothing here");
		const methods = fitting.flatMap((route) => (route.method === "GET" ? ["GET", "HEAD"] : [route.method]));
		response.setHeader("Allow", [...new Set(methods)].join(", "));
		return answerText(response, 405, `${method} means nothing here`);
	}
	const refusal = whyNot(found, server, request);
	if (refusal !== undefined) return answerText(response, 403, refusal);
	const rest = found.path.endsWith("*") ? percentDecode(path.slice(found.path.length - 1)) : "";
	if (rest === undefined) return answerText(response, 400, "The path is not percent-encoded as it should be");
	try {
		await found.run({ server, request, response, path, rest, query });
	} catch (error) {
		server.log.error(`HTTP: ${found.method} ${found.path}: ${error instanceof Error ? error.stack : error}`);
		if (response.headersSent) response.destroy();
		else answerText(response, 500, "Something is wrong here; the log says what");
	}
}

function whyNot({ access }: Route, server: Server, request: IncomingMessage): string | undefined {
	switch (access) {
		case "everybody":
			return undefined;
		case "read":
			return whyNotRead(server, request);
		case "submit":
			return whyNotSubmit(server, request);
		case "watch":
			return whyNotWatch(server, request);
		case "change":
			return whyNotChange(server, request);
	}
}

/** Path and query of a request's target, which may be a whole URL when a proxy sends it. Slashes in front are one. */
function splitTarget(target: string): { path: string; query: URLSearchParams } {
	const [, path = "", query] = /^(?:https?:\/\/[^/?]*)?([^?#]*)(?:\?([^#]*))?/i.exec(target) ?? [];
	return { path: path.replace(/^\/*/, "/"), query: new URLSearchParams(query) };
}

function fits(route: Route, path: string): boolean {
	if (!route.path.endsWith("*")) return path === route.path;
	return path.length >= route.path.length && path.startsWith(route.path.slice(0, -1));
}

/** Bytes as latin1; undefined when a % is not followed by two hexadecimal digits. */
function percentDecode(text: string): string | undefined {
	if (/%(?![0-9a-f]{2})/i.test(text)) return undefined;
	return text.replace(/%(..)/g, (_, digits) => String.fromCharCode(Number.parseInt(digits, 16)));
}

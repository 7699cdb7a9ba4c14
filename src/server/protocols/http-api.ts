// The dashboard's API: what the server is at, as JSON, and what an administrator may change. Functions are named in paths
// by their percent-encoded bytes; /api/functions gives them so as `id`. Errors are a sentence of text.
//
//   GET     /api/overview
//   GET     /api/functions?sort=&order=&filter=&offset=&limit=
//   GET     /api/functions/NAME
//   GET     /api/functions/NAME/jobs?filter=&cursor=&limit=
//   GET     /api/functions/NAME/workers?filter=&cursor=&limit=
//   GET     /api/workers?filter=&cursor=&limit=
//   GET     /api/workers/ID
//   DELETE  /api/functions/NAME
//   PUT     /api/functions/NAME/maxqueue      a number, or { "high": 10, "normal": 100, "low": 0 }; 0: no limit

import type { ServerResponse } from "node:http";
import type { FunctionQueue } from "../function-queue.ts";
import { HIGH, LOW, NORMAL } from "../job.ts";
import { jobPage } from "../job-page.ts";
import { nameOfId, textOf } from "../names.ts";
import type { Server } from "../server.ts";
import { functionsPage, functionView, overview, sortNames, workersPage, workerView } from "../snapshot.ts";
import { answerJson, answerText, type Exchange } from "./http-answer.ts";
import { readBody } from "./http-body.ts";
import { whyNotChange } from "./http-guard.ts";
import { PAGE, recentOf } from "./http-watch.ts";

const MAX_LIMIT = 1000;
const MAX_BODY = 4096;
const MAX_32 = 0xffffffff;

/** What is wrong with a request; the text is the answer. */
class Refusal extends Error {
	readonly status: number;

	constructor(status: number, text: string) {
		super(text);
		this.status = status;
	}
}

/** Runs it; a Refusal is an answer like any other. */
function answering(response: ServerResponse, run: () => unknown): void {
	try {
		const value = run();
		response.setHeader("Cache-Control", "no-store");
		if (value === undefined) {
			response.writeHead(204);
			response.end();
			return;
		}
		answerJson(response, 200, value);
	} catch (error) {
		if (!(error instanceof Refusal)) throw error;
		answerText(response, error.status, error.message);
	}
}

/** GET /api/… */
export function read(exchange: Exchange): void {
	const { server, request, response, path, query } = exchange;
	answering(response, () => {
		const [what, id, part, ...more] = path.split("/").slice(2);
		if (more.length > 0) throw nothing();
		if (what === "overview" && id === undefined) {
			return { ...overview(server), mayChange: whyNotChange(server, request) === undefined };
		}
		if (what === "functions") {
			if (id === undefined) return functions(server, query);
			const queue = functionOf(server, id);
			if (part === undefined) return functionView(queue, recentOf(server), server.nowMs());
			if (part === "jobs") return jobs(server, queue, query);
			if (part === "workers") return workers(server, query, queue);
		}
		if (what === "workers" && part === undefined) return id === undefined ? workers(server, query) : worker(server, id);
		throw nothing();
	});
}

function functions(server: Server, query: URLSearchParams) {
	const sort = query.get("sort") || PAGE.sort;
	if (!sortNames.includes(sort)) throw new Refusal(400, `sort is one of ${sortNames.join(", ")}`);
	return functionsPage(server, recentOf(server), {
		sort,
		isDescending: (query.get("order") || (sort === "name" ? "ascending" : "descending")) === "descending",
		filter: query.get("filter") ?? "",
		offset: number(query, "offset", 0, Number.MAX_SAFE_INTEGER),
		limit: number(query, "limit", PAGE.limit, MAX_LIMIT) || 1,
	});
}

function jobs(server: Server, queue: FunctionQueue, query: URLSearchParams) {
	const asked = {
		cursor: query.get("cursor") ?? "",
		filter: query.get("filter") ?? "",
		limit: number(query, "limit", 100, MAX_LIMIT) || 1,
	};
	return jobPage(server.jobs, queue, asked, server.nowMs());
}

function workers(server: Server, query: URLSearchParams, queue?: FunctionQueue) {
	return workersPage(server, {
		cursor: number(query, "cursor", 0, Number.MAX_SAFE_INTEGER),
		filter: query.get("filter") ?? "",
		limit: number(query, "limit", 100, MAX_LIMIT) || 1,
		queue,
	});
}

function worker(server: Server, id: string) {
	for (const peer of server.peers) {
		if (String(peer.id) === id && peer.worker !== undefined) return workerView(peer, peer.worker, server.nowMs());
	}
	throw new Refusal(404, "No such worker is connected");
}

/** DELETE /api/functions/NAME */
export function dropFunction({ server, response, path }: Exchange): void {
	answering(response, () => {
		const [id = "", ...more] = path.split("/").slice(3);
		if (more.length > 0) throw nothing();
		const queue = functionOf(server, id);
		if (!server.dropFunction(queue)) throw new Refusal(409, "The function has workers or running jobs");
		return undefined;
	});
}

/** PUT /api/functions/NAME/maxqueue */
export async function setMaxQueue(exchange: Exchange): Promise<void> {
	const { server, response, path } = exchange;
	const body = await readBody(exchange, MAX_BODY);
	if (body === undefined) return;
	answering(response, () => {
		const [id = "", part, ...more] = path.split("/").slice(3);
		if (part !== "maxqueue" || more.length > 0) throw nothing();
		const { maxQueue, name } = functionOf(server, id);
		const [high, normal, low] = limits(parse(body), maxQueue);
		maxQueue[HIGH] = high;
		maxQueue[NORMAL] = normal;
		maxQueue[LOW] = low;
		server.log.notice(`maxqueue of ${JSON.stringify(textOf(name))} is ${high} ${normal} ${low}`);
		return { high, normal, low };
	});
}

function limits(given: unknown, now: readonly number[]): [number, number, number] {
	const isLimit = (value: unknown) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_32;
	if (isLimit(given)) return [Number(given), Number(given), Number(given)];
	if (typeof given === "object" && given !== null && !Array.isArray(given)) {
		const { high = now[HIGH], normal = now[NORMAL], low = now[LOW], ...more } = given as Record<string, unknown>;
		if ([high, normal, low].every(isLimit) && Object.keys(more).length === 0) {
			return [Number(high), Number(normal), Number(low)];
		}
	}
	throw new Refusal(400, 'maxqueue is a whole number, or an object of "high", "normal" and "low"; 0: no limit');
}

function parse(body: Buffer): unknown {
	try {
		return JSON.parse(body.toString());
	} catch {
		throw new Refusal(400, "The body is not JSON");
	}
}

function functionOf(server: Server, id: string): FunctionQueue {
	const name = nameOfId(id);
	const queue = name === undefined ? undefined : server.jobs.functions.get(name);
	if (queue === undefined) throw new Refusal(404, "No such function");
	return queue;
}

function number(query: URLSearchParams, name: string, otherwise: number, most: number): number {
	const text = query.get(name);
	if (text === null || text === "") return otherwise;
	if (!/^\d{1,16}$/.test(text)) throw new Refusal(400, `${name} is a whole number`);
	return Math.min(most, Number(text));
}

function nothing(): Refusal {
	return new Refusal(404, "There is nothing here");
}

// GET /api/events: server-sent events for whoever watches. Once a second one snapshot is made for all viewers; when
// nobody watches nothing is made. A viewer that has not read the last one is left out, and in the end dropped, so that
// at most one snapshot waits for each.
//
//   event: hello      { mayChange, samples }                once: what the viewer may do, and the charts' last minutes
//   event: snapshot   { overview, functions, sample }       functions: as GET /api/functions without parameters

import type { ServerResponse } from "node:http";
import { Recent, type Sample } from "../recent.ts";
import type { Server } from "../server.ts";
import { functionsPage, overview } from "../snapshot.ts";
import { answerText, type Exchange } from "./http-answer.ts";
import { whyNotChange } from "./http-guard.ts";

const INTERVAL_MS = 1000;
const MAX_VIEWERS = 100;
/** Five minutes. */
const MAX_SAMPLES = 300;
/** Snapshots left out for a viewer before it is dropped. */
const MAX_SKIPPED = 30;
/** Functions of a snapshot: those that need a look most. The API has them all. */
export const PAGE = { sort: "need", isDescending: true, filter: "", offset: 0, limit: 100 } as const;

class Events {
	readonly recent: Recent;
	readonly #server: Server;
	/** → snapshots left out. */
	readonly #viewers = new Map<ServerResponse, number>();
	readonly #samples: Sample[] = [];
	#last = "";
	#timer: NodeJS.Timeout | undefined;

	constructor(server: Server) {
		this.#server = server;
		this.recent = new Recent(server.metrics);
	}

	get isFull(): boolean {
		return this.#viewers.size >= MAX_VIEWERS;
	}

	add(response: ServerResponse, mayChange: boolean): void {
		if (this.#timer === undefined) {
			this.#timer = setInterval(() => this.#tick(), INTERVAL_MS);
			this.#make();
		}
		this.#viewers.set(response, 0);
		response.write(event("hello", { mayChange, samples: this.#samples.slice(0, -1) }) + this.#last);
		response.once("close", () => this.#remove(response));
	}

	#remove(response: ServerResponse): void {
		this.#viewers.delete(response);
		if (this.#viewers.size > 0) return;
		clearInterval(this.#timer);
		this.#timer = undefined;
		this.#last = "";
	}

	#make(): void {
		const server = this.#server;
		const sample = this.recent.sample(server.nowMs());
		this.#samples.push(sample);
		if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
		this.#last = event("snapshot", {
			overview: overview(server),
			functions: functionsPage(server, this.recent, PAGE),
			sample,
		});
	}

	#tick(): void {
		if (this.#server.isStopping) {
			for (const response of this.#viewers.keys()) response.end();
			return;
		}
		this.#make();
		for (const [response, skipped] of this.#viewers) {
			if (response.writableLength === 0) {
				response.write(this.#last);
				if (skipped > 0) this.#viewers.set(response, 0);
			} else if (skipped < MAX_SKIPPED) this.#viewers.set(response, skipped + 1);
			else {
				this.#server.log.info("HTTP: a viewer of the dashboard does not read, dropping it");
				response.destroy();
			}
		}
	}
}

const events = new WeakMap<Server, Events>();

function eventsOf(server: Server): Events {
	let found = events.get(server);
	if (found === undefined) {
		found = new Events(server);
		events.set(server, found);
	}
	return found;
}

/** What has happened lately, as far as somebody watches. */
export function recentOf(server: Server): Recent {
	return eventsOf(server).recent;
}

export function watch({ server, request, response }: Exchange): void {
	const viewers = eventsOf(server);
	if (viewers.isFull) return answerText(response, 503, `More than ${MAX_VIEWERS} watch already`);
	response.writeHead(200, {
		"Content-Type": "text/event-stream",
		"Cache-Control": "no-store",
		// nginx would gather them.
		"X-Accel-Buffering": "no",
	});
	if (request.method === "HEAD") response.end();
	else viewers.add(response, whyNotChange(server, request) === undefined);
}

function event(name: string, data: unknown): string {
	// JSON has no newlines of its own.
	return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

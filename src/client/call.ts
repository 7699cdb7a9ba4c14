// One request on its way: through the servers it may go to, until one takes it, then to its answer.

import { GearmanError } from "../errors.ts";
import type { PacketType } from "../protocol/commands.ts";
import type { Packet } from "../protocol/parser.ts";
import type { Link, Request, TaskObserver } from "./link.ts";

const NO_FAILURES: Map<Link, GearmanError> = new Map();

/** Ends a wait early, by signal or for want of an answer. */
export type GiveUp = (code: "ABORTED" | "TIMED_OUT", message: string, cause?: unknown) => void;

/** Sends a call to the next server it may go to. */
interface Dispatcher {
	dispatch(call: Call): void;
}

/** One request on its way through the servers it may go to. */
export class Call implements Request {
	readonly order: readonly Link[];
	readonly parts: readonly Buffer[];
	readonly answer: PacketType;
	readonly task: TaskObserver | undefined;
	isCancelled = false;
	isWritten = false;
	/** Servers that could not be reached, and why. */
	failures: Map<Link, GearmanError> = NO_FAILURES;
	readonly #client: Dispatcher;
	readonly #onResult: ((result: Packet | GearmanError) => void) | undefined;

	constructor(
		client: Dispatcher,
		order: readonly Link[],
		parts: readonly Buffer[],
		answer: PacketType,
		task: TaskObserver | undefined,
		onResult?: (result: Packet | GearmanError) => void,
	) {
		this.#client = client;
		this.order = order;
		this.parts = parts;
		this.answer = answer;
		this.task = task;
		this.#onResult = onResult;
	}

	onAnswer(packet: Packet): void {
		this.#onResult?.(packet);
	}

	onError(error: GearmanError): void {
		if (this.task !== undefined) this.task.onError(error);
		else this.#onResult?.(error);
	}

	onUnsent(error: GearmanError, link: Link): void {
		if (this.failures === NO_FAILURES) this.failures = new Map();
		this.failures.set(link, error);
		this.#client.dispatch(this);
	}
}

/** The error of a request no server could be found for. */
export function couldNotConnect(failures: readonly GearmanError[]): GearmanError {
	if (failures.length === 1) return failures[0];
	return new GearmanError("COULD_NOT_CONNECT", failures.map((error) => error.message).join("; "), {
		cause: new AggregateError(failures),
	});
}

/** Calls `giveUp` at the signal, at once if it was given before, or after the time. Returns what ends the watch. */
export function limit(options: { signal?: AbortSignal; timeoutMs?: number }, giveUp: GiveUp): () => void {
	const { signal, timeoutMs } = options;
	let timer: NodeJS.Timeout | undefined;
	const forget = () => {
		signal?.removeEventListener("abort", onAbort);
		clearTimeout(timer);
	};
	const onAbort = () => {
		forget();
		giveUp("ABORTED", "the call was aborted", signal?.reason);
	};
	if (signal?.aborted) {
		onAbort();
		return forget;
	}
	signal?.addEventListener("abort", onAbort);
	if (timeoutMs !== undefined && timeoutMs >= 0) {
		timer = setTimeout(() => {
			forget();
			giveUp("TIMED_OUT", `no answer for ${timeoutMs} ms`);
		}, timeoutMs);
	}
	return forget;
}

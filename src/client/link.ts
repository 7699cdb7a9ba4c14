// A client's side of one job server: the connection, made when it is first needed, and who waits for what.
//
//   idle ──send()──▶ connecting ──▶ open ──▶ idle        a lost or refused connection is not tried again before
//                        └─refused──▶ idle               `downUntil`: each try in vain doubles the wait, roughly
//
// What must stay true: JOB_CREATED, STATUS_RES, ECHO_RES, OPTION_RES and ERROR answer in the order of the requests, so
// one FIFO matches them; WORK_* goes by handle; a request that was written is never written again.

import { GearmanError } from "../errors.ts";
import { backoff, Connection, nameOf, type ServerAddress } from "../net/connection.ts";
import { type PacketType, nameOf as packetName, Type } from "../protocol/commands.ts";
import { encodeRequest, fromName } from "../protocol/packet.ts";
import type { Packet } from "../protocol/parser.ts";
import { mix, murmur3 } from "./hash.ts";

/** Hears what becomes of one foreground job, in the order of the wire. Packets are valid during the call only. */
export interface TaskObserver {
	/** JOB_CREATED. `link` is where a foreground job is, to pause reading from. */
	onCreated(handle: string, link?: Link): void;
	/** WORK_DATA: field 1 is the data. */
	onData(packet: Packet): void;
	/** WORK_WARNING: field 1 is the data. */
	onWarning(packet: Packet): void;
	onStatus(numerator: number, denominator: number): void;
	/** WORK_COMPLETE: field 1 is the data. The last call. */
	onComplete(packet: Packet): void;
	/** JOB_FAILED, JOB_EXCEPTION, SERVER_ERROR, CONNECTION_LOST, COULD_NOT_CONNECT … The last call. */
	onError(error: GearmanError): void;
}

/** One packet to send, and who waits for its answer. */
export interface Request {
	/** The packet; a big workload is a part of its own. */
	readonly parts: readonly Buffer[];
	/** The type of the packet that answers it, if ERROR does not. */
	readonly answer: PacketType;
	/** A foreground job: called from JOB_CREATED on. */
	readonly task?: TaskObserver | undefined;
	/** All other requests. */
	onAnswer?(packet: Packet): void;
	/** Refused, or lost after it was written. */
	onError(error: GearmanError): void;
	/** Nobody could be reached and nothing was written: it may be sent elsewhere. */
	onUnsent(error: GearmanError, link: Link): void;
	/** Given up before it was written: it will not be. */
	isCancelled: boolean;
	isWritten: boolean;
}

export class Link {
	readonly address: ServerAddress;
	/** Where this server stands when jobs are spread by key. */
	readonly hash: number;
	readonly #wantsExceptions: boolean;
	#connection: Connection | undefined;
	#connecting: AbortController | undefined;
	#attempt = 0;
	#downUntil = 0;
	#isClosed = false;
	/** Requests that wait for a connection. */
	#unsent: Request[] = [];
	/** Requests that wait for an answer: #waiting[#first …]. */
	#waiting: (Request | undefined)[] = [];
	#first = 0;
	/** By handle. Several tasks of one handle (coalesced jobs) each get a copy of every packet. */
	readonly #tasks = new Map<string, TaskObserver | Shared>();
	#pauses = 0;

	constructor(address: ServerAddress, wantsExceptions: boolean) {
		this.address = address;
		this.hash = murmur3(Buffer.from(nameOf(address)));
		this.#wantsExceptions = wantsExceptions;
	}

	/** Lately lost or refused, and not to be tried again yet. */
	get isDown(): boolean {
		return this.#connection === undefined && this.#connecting === undefined && Date.now() < this.#downUntil;
	}

	/** How this server ranks for a key: the highest weight takes it (rendezvous hashing). */
	weightFor(keyHash: number): number {
		return mix(keyHash ^ this.hash);
	}

	/** Writes the request, after connecting if need be. False: the socket is full, see drained(). */
	send(request: Request): boolean {
		if (this.#connection?.isOpen) return this.#write(this.#connection, request);
		this.#unsent.push(request);
		if (this.#connecting === undefined) void this.#connect();
		return true;
	}

	drained(): Promise<void> {
		return this.#connection?.drained() ?? Promise.resolve();
	}

	/** Stops reading from this server until as many resume() calls came as pause() calls. */
	pause(): void {
		if (this.#pauses++ === 0) this.#connection?.pause();
	}

	resume(): void {
		if (this.#pauses > 0 && --this.#pauses === 0) this.#connection?.resume();
	}

	close(): void {
		this.#isClosed = true;
		this.#connecting?.abort();
		this.#connection?.close();
		this.#connection = undefined;
		const error = new GearmanError("ABORTED", "the client was closed", { mayHaveRun: true });
		this.#dropAll(error);
		const unsent = this.#unsent;
		this.#unsent = [];
		for (const request of unsent) request.onError(new GearmanError("ABORTED", "the client was closed"));
	}

	async #connect(): Promise<void> {
		const abort = new AbortController();
		this.#connecting = abort;
		const connection = new Connection(this.address, {
			onPacket: (packet) => this.#receive(packet),
			onLine: () => this.#refuse("a line of text"),
			onClose: (error) => this.#lose(error),
		});
		try {
			const waitMs = this.#downUntil - Date.now();
			if (waitMs > 0) await pass(waitMs, abort.signal);
			await connection.connect(abort.signal);
		} catch (error) {
			this.#connecting = undefined;
			if (this.#isClosed) return;
			this.#downUntil = Date.now() + backoff(this.#attempt++);
			const unsent = this.#unsent;
			this.#unsent = [];
			const reason = error instanceof GearmanError ? error : new GearmanError("COULD_NOT_CONNECT", String(error));
			for (const request of unsent) if (!request.isCancelled) request.onUnsent(reason, this);
			return;
		}
		this.#connecting = undefined;
		this.#connection = connection;
		if (this.#wantsExceptions) this.#write(connection, exceptionsRequest());
		const unsent = this.#unsent;
		this.#unsent = [];
		for (const request of unsent) if (!request.isCancelled) this.#write(connection, request);
	}

	#write(connection: Connection, request: Request): boolean {
		request.isWritten = true;
		this.#waiting.push(request);
		let hasRoom = true;
		for (const part of request.parts) hasRoom = connection.send(part);
		return hasRoom;
	}

	#receive(packet: Packet): void {
		this.#attempt = 0;
		if (!packet.isComplete || packet.isRequest) {
			this.#refuse(`a malformed ${packetName(packet.type) ?? "packet"}`);
			return;
		}
		switch (packet.type) {
			case Type.JOB_CREATED:
			case Type.STATUS_RES:
			case Type.STATUS_RES_UNIQUE:
			case Type.ECHO_RES:
			case Type.OPTION_RES:
				this.#answer(packet);
				return;
			case Type.ERROR:
				this.#refused(packet);
				return;
			case Type.WORK_DATA:
				this.#taskOf(packet, false)?.onData(packet);
				return;
			case Type.WORK_WARNING:
				this.#taskOf(packet, false)?.onWarning(packet);
				return;
			case Type.WORK_STATUS:
				this.#taskOf(packet, false)?.onStatus(numberIn(packet, 1), numberIn(packet, 2));
				return;
			case Type.WORK_COMPLETE:
				this.#taskOf(packet, true)?.onComplete(packet);
				return;
			case Type.WORK_FAIL:
				this.#taskOf(packet, true)?.onError(new GearmanError("JOB_FAILED"));
				return;
			case Type.WORK_EXCEPTION:
				this.#taskOf(packet, true)?.onError(new GearmanError("JOB_EXCEPTION", undefined, { data: packet.keepData() }));
				return;
			default:
				this.#refuse(packetName(packet.type) ?? `packet number ${packet.type}`);
		}
	}

	#answer(packet: Packet): void {
		const request = this.#shift();
		if (request === undefined || request.answer !== packet.type) {
			this.#refuse(`${packetName(packet.type)} that nobody asked for`, request);
		} else if (request.task === undefined) {
			request.onAnswer?.(packet);
		} else {
			const handle = packet.text(0);
			const other = this.#tasks.get(handle);
			if (other === undefined) this.#tasks.set(handle, request.task);
			else if (other instanceof Shared) other.tasks.push(request.task);
			else this.#tasks.set(handle, new Shared([other, request.task]));
			request.task.onCreated(fromName(handle), this);
		}
	}

	#refused(packet: Packet): void {
		const serverCode = packet.text(0);
		const text = fromName(packet.text(1));
		// Without a request it is a server's last word before it closes; the lost connection will tell.
		this.#shift()?.onError(
			new GearmanError("SERVER_ERROR", `the job server refused: ${text} (${serverCode})`, { serverCode }),
		);
	}

	#shift(): Request | undefined {
		const request = this.#waiting[this.#first];
		if (request === undefined) return undefined;
		this.#waiting[this.#first++] = undefined;
		if (this.#first === this.#waiting.length) {
			this.#waiting.length = 0;
			this.#first = 0;
		} else if (this.#first > 4096 && this.#first * 2 > this.#waiting.length) {
			this.#waiting = this.#waiting.slice(this.#first);
			this.#first = 0;
		}
		return request;
	}

	#taskOf(packet: Packet, isLast: boolean): TaskObserver | undefined {
		let handle = packet.text(0);
		// gearmand names a suppressed exception's job with a NUL behind the handle, and some workers do so too.
		if (handle.endsWith("\0")) handle = handle.slice(0, -1);
		const found = this.#tasks.get(handle);
		if (!(found instanceof Shared)) {
			if (isLast && found !== undefined) this.#tasks.delete(handle);
			return found;
		}
		const task = isLast ? found.tasks.shift() : found.next();
		if (found.tasks.length === 0) this.#tasks.delete(handle);
		return task;
	}

	#refuse(what: string, answered?: Request): void {
		this.#connection?.close();
		const error = new GearmanError("INVALID_RESPONSE", `${nameOf(this.address)} sent ${what}`, { mayHaveRun: true });
		answered?.onError(error);
		this.#lose(error);
	}

	#lose(reason: GearmanError): void {
		this.#connection = undefined;
		this.#pauses = 0;
		this.#downUntil = Date.now() + backoff(this.#attempt++);
		this.#dropAll(new GearmanError(reason.code, reason.message, { cause: reason, mayHaveRun: true }));
	}

	/** Tells all that waited for an answer or a result. */
	#dropAll(error: GearmanError): void {
		const waiting = this.#waiting.slice(this.#first);
		const tasks = [...this.#tasks.values()];
		this.#waiting = [];
		this.#first = 0;
		this.#tasks.clear();
		for (const request of waiting) request?.onError(error);
		for (const task of tasks) {
			if (task instanceof Shared) for (const each of task.tasks) each.onError(error);
			else task.onError(error);
		}
	}
}

/** The tasks of one handle. The server sends each packet once for each of them, one copy behind the other. */
class Shared {
	readonly tasks: TaskObserver[];
	#turn = 0;

	constructor(tasks: TaskObserver[]) {
		this.tasks = tasks;
	}

	next(): TaskObserver | undefined {
		if (this.#turn >= this.tasks.length) this.#turn = 0;
		return this.tasks[this.#turn++];
	}
}

/** Lets WORK_EXCEPTION through; a server that does not know the option answers ERROR, which harms nobody. */
function exceptionsRequest(): Request {
	return {
		parts: [encodeRequest("OPTION_REQ", ["exceptions"])],
		answer: Type.OPTION_RES,
		onError: () => {},
		onUnsent: () => {},
		isCancelled: false,
		isWritten: false,
	};
}

/** A number of a status. Workers choose them: what is none, negative or without end is 0. */
export function numberIn(packet: Packet, field: number): number {
	const number = Number.parseInt(packet.text(field), 10);
	return number > 0 && Number.isFinite(number) ? number : 0;
}

function pass(ms: number, signal: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(resolve, ms);
		signal.addEventListener("abort", () => {
			clearTimeout(timer);
			reject(new GearmanError("ABORTED"));
		});
	});
}

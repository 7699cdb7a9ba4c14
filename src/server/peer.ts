// One inbound connection: its parser, its outgoing bytes, its roles. A byte's journey through the server:
//
//   socket data
//   1  peer.ts      receive(bytes)            → parser.write(bytes)
//   2  parser.ts    a whole frame?            → onPacket(packet)      arguments are views, nothing copied
//   3  commands.ts  run(server, peer, packet)   switch (packet.type)
//   4  jobs.ts      create(…), release(…)       queue it, pick the sleeping workers to wake
//      (journal.ts  a background job: the reply waits for this turn's commit)
//   5  peer.ts      send(…)                     encoded into the outgoing slab
//   end of turn     flush(): one write a peer; sooner for who can go on meanwhile, a little later for who waits for more
//
// Nobody makes us buffer without a limit: a peer that does not read its replies is not read from, one whose replies do
// not move for the server's stallMs is dropped, sooner when a worker waits until it takes more data.

import type { Socket } from "node:net";
import { SERVER_ERRORS, type ServerErrorCode } from "../errors.ts";
import { type Reader, readInto } from "../net/internals.ts";
import { Type } from "../protocol/commands.ts";
import { encodeResponse } from "../protocol/packet.ts";
import { type Packet, type Receiver as PacketReceiver, Parser } from "../protocol/parser.ts";
import { run } from "./commands.ts";
import { Worker } from "./function-queue.ts";
import { Held } from "./held.ts";
import { type Blockable, Client, CONGESTED, HIGH_WATER, type Job, type Receiver } from "./job.ts";
import { Outgoing } from "./outgoing.ts";
import type { Server } from "./server.ts";
import { releaseCommitted, type Submitter, withdrawRefused } from "./submit.ts";
import { runLine } from "./text-commands.ts";

/**
 * Packets of one chunk of bytes that are dealt with at once: a chunk may hold a thousand, and who floods the server is not
 * to hold up the others. Ping-pong beside four floods of durable submits, p99 on a busy
 * machine: 14 to 66 ms without this, 3 to 4 with it, as with no flood at all.
 */
const MAX_PACKETS = 128;
/** A client with so many jobs under way does something else than wait for one of them. */
const MANY_JOBS = 2;
/** What leaves at the end of the turn, and what may wait for more as long as there is something to do. */
const CREATED = 0;
const RESULT = 1;
const NOW = 2;
/** By the clock's milliseconds. */
const RESULT_MS = 1;
const CREATED_MS = 3;
/** A client that has submitted so many jobs one after the other is taken to go on like that. */
const IN_A_ROW = 16;
/** A peer that is to be closed is, when it takes nothing of what it is owed for this long. */
const LINGER_MS = 1000;

export class Peer implements Reader, PacketReceiver, Receiver, Submitter, Blockable {
	/** Stands in for the descriptor in the admin command `workers`. */
	readonly id: number;
	readonly server: Server;
	/** As `workers` shows it, e.g. 127.0.0.1; "-" for what has no address. */
	readonly address: string;
	/** Address and port, for the log. */
	readonly name: string;
	/** SET_CLIENT_ID. */
	clientId = "-";
	/** The roles, once the peer has taken them. */
	client: Client | undefined;
	worker: Worker | undefined;
	/** Admin commands that change something are taken from it. */
	readonly mayChange: boolean;
	/** OPTION_REQ exceptions, or the server's --exceptions. */
	wantsExceptions: boolean;
	readonly connectedMs = Date.now();
	/** When bytes last moved out, while above HIGH_WATER. */
	movedAtMs = 0;
	/** In the server's list of peers to flush. */
	isDirty = false;
	/** How soon what has gathered is to leave: CREATED, RESULT or NOW. */
	#urgency = 0;
	/** Since when it has. */
	#dirtySinceMs = 0;
	/** Since when JOB_CREATED waits for something to leave with; 0: it does not. */
	#patientSinceMs = 0;
	isClosed = false;
	readonly #socket: Socket;
	readonly #parser: Parser;
	readonly #outgoing: Outgoing;
	/** Reasons not to read: its own replies do not leave, or its clients are congested. */
	#pauses = 0;
	#isBlocked = false;
	/** Packets in this chunk of bytes, and whether the rest of it waits for the next turn. */
	#packets = 0;
	/** The packet in hand is all that came. */
	#isAlone = false;
	#isResting = false;
	#onDrained: (() => void)[] = [];
	/** Answers that wait for commits; it is not read from while they are many. */
	readonly #held = new Held();
	readonly #sendHeld = (bytes: Buffer) => this.#outgoing.raw(bytes);
	#isHolding = false;
	#isEnded = false;
	#isClosing = false;
	#lingerTimer: NodeJS.Timeout | undefined;

	constructor(server: Server, accepted: Socket, id: number) {
		this.id = id;
		this.server = server;
		const socket = readInto(accepted, this);
		this.#socket = socket;
		this.address = socket.remoteAddress ?? "-";
		this.name = `${this.address}:${socket.remotePort ?? "-"}`;
		this.mayChange = server.mayChange(accepted);
		this.wantsExceptions = server.options.exceptions;
		this.#parser = new Parser(this, server.options.maxPacketBytes, server.patience.accountOf(this));
		this.#outgoing = new Outgoing(socket, (bytes) => this.#onWritten(bytes));
		socket.on("end", () => this.#end());
		socket.on("error", (error) => server.log.info(`${this.name} ${error.message}`, { peer: this.name }));
		socket.on("close", () => this.#leave());
	}

	receive(bytes: Buffer): void {
		this.server.metrics.receivedBytes += bytes.length;
		this.#packets = 0;
		this.server.holdClock();
		this.#parser.write(bytes);
		this.server.releaseClock();
	}

	get room(): Buffer | undefined {
		return this.#parser.room;
	}

	get isBulky(): boolean {
		return this.#parser.isBulky;
	}

	filled(count: number): void {
		this.server.metrics.receivedBytes += count;
		this.#parser.filled(count);
	}

	onPacket(packet: Packet): void {
		if (++this.#packets >= MAX_PACKETS) this.#rest();
		this.#isAlone = packet.isAlone;
		this.#closeGrab();
		run(this.server, this, packet);
	}

	/** Whatever is answered from here on comes behind the answer to its GRAB_JOB. */
	#closeGrab(): void {
		if (this.worker !== undefined && this.worker.openGrab > 0) this.server.grabs.close(this.worker);
	}

	/** The other peers have their turn before this one goes on. */
	#rest(): void {
		this.#packets = 0;
		if (this.#isResting) return;
		this.#isResting = true;
		this.pause();
		setImmediate(() => {
			this.#isResting = false;
			this.resume();
		});
	}

	onLine(line: string): void {
		this.#closeGrab();
		const reply = runLine(this.server, this, line);
		this.raw(typeof reply === "string" ? Buffer.from(reply, "latin1") : reply);
	}

	onOversized(type: number, size: number): void {
		this.#closeGrab();
		const limit = this.server.options.maxPacketBytes;
		this.error("ARGUMENT_TOO_LARGE", `Packet of ${size} bytes is over the limit of ${limit}`);
		this.server.log.warning(`${this.name} sent packet ${type} of ${size} bytes, over the limit of ${limit}: skipped`, {
			peer: this.name,
		});
	}

	onGarbage(reason: string): void {
		this.server.log.warning(`${this.name} ${reason}, closing`, { peer: this.name });
		void this.close();
	}

	/** Takes the client role. */
	asClient(): Client {
		this.client ??= new Client(this);
		this.client.wantsExceptions = this.wantsExceptions;
		return this.client;
	}

	/** Takes the worker role. */
	asWorker(): Worker {
		this.worker ??= new Worker(this);
		return this.worker;
	}

	send(type: number, text: string, data?: Buffer): void {
		if (this.isClosed) return;
		if (this.#held.length > 0) this.#hold(encodeResponse(type, text, data));
		else {
			this.server.metrics.sentBytes += this.#outgoing.packet(type, text, data);
			this.#sent();
		}
	}

	forward(type: number, packet: Packet): void {
		if (this.isClosed) return;
		if (this.#held.length > 0) this.#hold(encodeResponse(type, "", packet.keepBody()));
		else {
			this.server.metrics.sentBytes += this.#outgoing.forward(type, packet);
			// It gets no more in this turn, and can go on meanwhile: 4 at a time, 31,000 jobs/s instead of 27,000.
			if (type === Type.WORK_COMPLETE && this.client?.hasOneJob) this.flush();
			else this.#sent(RESULT);
		}
	}

	/** Bytes as they are: an admin reply, in one piece. */
	raw(bytes: Buffer): void {
		if (this.isClosed) return;
		if (this.#held.length > 0) this.#hold(bytes);
		else {
			this.#outgoing.raw(bytes);
			this.#sent();
		}
	}

	/** An ERROR packet. */
	error(code: ServerErrorCode, text: string = SERVER_ERRORS[code]): void {
		this.server.log.warning(`${this.name} GEARMAN_${code}:${text}`, { peer: this.name });
		this.server.metrics.countError(code);
		this.send(Type.ERROR, `${code}\0${text}`);
	}

	/** The answer to a submit waits for the journal; all later answers wait behind it. */
	awaitCommit(job: Job): void {
		this.#hold(job);
	}

	/**
	 * A client that submits one job after the other hears of each together with its result, if that comes soon. Now and then
	 * at once: it may have come to wait for JOB_CREATED alone. 8 such clients: 20.1 µs a job without this, 17.2 with it.
	 * One that submits several at once does not wait for the first JOB_CREATED: that may wait as results do. 8 such clients
	 * with 4 jobs of 1 KB each: 13.3 µs a job without this, 12.0 with it.
	 */
	accepted(handle: string): void {
		const client = this.asClient();
		if (client.attachments.length > 1) client.inARow = 0;
		const isPatient = ++client.inARow > IN_A_ROW && client.inARow % IN_A_ROW !== 0;
		const mayWait = isPatient || !this.#isAlone;
		if (!mayWait || this.#held.length > 0 || this.isClosed) return this.send(Type.JOB_CREATED, handle);
		this.#outgoing.packet(Type.JOB_CREATED, handle);
		if (!this.#isAlone) this.#sent(CREATED);
		else if (!this.isDirty && this.#patientSinceMs === 0) this.#patientSinceMs = this.server.turn.flushSoon(this);
	}

	/** What has waited since then leaves, unless it has already. */
	flushPatient(sinceMs: number): void {
		if (this.#patientSinceMs !== sinceMs) return;
		if (this.client !== undefined) this.client.inARow = 0;
		this.flush();
	}

	queued(handle: string): void {
		this.send(Type.JOB_CREATED, handle);
	}

	committed(job: Job): void {
		releaseCommitted(this.server, job);
		this.#answerHeld(job, Type.JOB_CREATED, job.handle);
	}

	refused(job: Job): void {
		withdrawRefused(this.server, job);
		this.#answerHeld(job, Type.ERROR, `QUEUE_ERROR\0${SERVER_ERRORS.QUEUE_ERROR}`);
	}

	get isCongested(): boolean {
		return this.#outgoing.pending > CONGESTED;
	}

	onceDrained(resume: () => void): void {
		this.#onDrained.push(resume);
	}

	/** Anything has come from it. */
	get hasSpoken(): boolean {
		return this.#parser.hasInput;
	}

	get isPaused(): boolean {
		return this.#pauses > 0;
	}

	/** Stops reading until resume() was called as often. */
	pause(): void {
		if (this.#pauses++ > 0) return;
		this.#parser.pause();
		this.#socket.pause();
	}

	resume(): void {
		if (--this.#pauses > 0 || this.isClosed) return;
		this.#socket.resume();
		this.#parser.resume();
	}

	/** There will be more: a client with many jobs under way gets several results at once, and JOB_CREATED with them. */
	mayWait(nowMs: number): boolean {
		if (this.#urgency === NOW || this.client === undefined || this.client.attachments.length < MANY_JOBS) return false;
		const waitedMs = nowMs - this.#dirtySinceMs;
		// Below 0: the clock was set back.
		return waitedMs >= 0 && waitedMs < (this.#urgency === RESULT ? RESULT_MS : CREATED_MS);
	}

	/** End of turn: what has gathered leaves in one write. */
	flush(): void {
		this.isDirty = false;
		this.#urgency = CREATED;
		this.#patientSinceMs = 0;
		if (this.isClosed) return;
		const bytes = this.#outgoing.flush();
		if (bytes > 0) this.#onWritten(bytes);
		else if (this.#isEnded) this.#endIfSent();
	}

	/** Ends the connection at once; what it was to get is lost. */
	destroy(): void {
		this.#socket.destroy();
	}

	/** Ends the connection once what it is owed has left, or does not move any more. Resolves when it is closed. */
	async close(): Promise<void> {
		if (this.isClosed) return;
		const closed = new Promise((resolve) => this.#socket.once("close", resolve));
		this.#isClosing = true;
		this.#parser.close();
		this.#end();
		await closed;
	}

	/** A worker waits until this peer takes more. */
	get holdsUpWorker(): boolean {
		return this.#onDrained.length > 0;
	}

	/** Bytes on their way out. */
	get pendingBytes(): number {
		return this.#outgoing.pending;
	}

	#sent(urgency = NOW): void {
		if (!this.isDirty || urgency > this.#urgency) {
			this.#urgency = urgency;
			this.#dirtySinceMs = this.server.nowMs();
		}
		if (!this.isDirty) this.server.turn.flushLater(this);
		if (!this.#isBlocked && this.#outgoing.pending > HIGH_WATER) {
			this.#isBlocked = true;
			this.movedAtMs = this.server.nowMs();
			this.server.blocked.add(this);
			this.pause();
		}
	}

	#hold(item: Buffer | Job): void {
		this.#held.push(item);
		if (this.#isHolding || !this.#held.isMuch) return;
		this.#isHolding = true;
		this.pause();
	}

	/** Answers a submit that waited, and sends what was held behind it alone. */
	#answerHeld(job: Job, type: number, text: string): void {
		if (this.isClosed) return;
		if (!this.#held.isNext(job)) return this.#held.replace(job, encodeResponse(type, text));
		this.#outgoing.packet(type, text);
		this.#held.shift(this.#sendHeld);
		if (this.#isHolding && this.#held.isLittle) {
			this.#isHolding = false;
			this.resume();
		}
		this.#sent();
	}

	#onWritten(bytes: number): void {
		this.server.metrics.sentBytes += bytes;
		if (this.#isEnded) this.#endIfSent();
		if (this.#outgoing.pending <= CONGESTED && this.#onDrained.length > 0) this.#release();
		if (!this.#isBlocked) return;
		this.movedAtMs = this.server.nowMs();
		if (this.#outgoing.pending > HIGH_WATER / 2) return;
		this.#isBlocked = false;
		this.server.blocked.delete(this);
		this.resume();
	}

	/** No more is read: the other side gets what it is owed, then the connection ends. */
	#end(): void {
		if (!this.#isEnded) {
			this.#closeGrab();
			this.#isEnded = true;
			this.#leaveRoles();
			this.#linger(-1);
		}
		if (!this.isDirty && !this.isClosed) this.server.turn.flushLater(this);
	}

	#endIfSent(): void {
		if (this.#held.length > 0 || this.#outgoing.pending > 0) return;
		// After its end a peer that sends no more is closed by itself; one that might is not waited for.
		if (this.#isClosing) this.#socket.destroySoon();
		else this.#socket.end();
	}

	/** Gives up on a peer that takes nothing of what it is owed. */
	#linger(pendingBefore: number): void {
		const pending = this.#outgoing.pending + this.#held.length;
		if (pending === pendingBefore) this.#socket.destroy();
		else {
			const lingerMs = this.#isClosing ? LINGER_MS : this.server.options.stallMs;
			this.#lingerTimer = setTimeout(() => this.#linger(pending), lingerMs);
		}
	}

	#leave(): void {
		if (this.isClosed) return;
		this.isClosed = true;
		clearTimeout(this.#lingerTimer);
		this.#held.clear();
		this.#parser.close();
		this.#leaveRoles();
		this.#release();
		this.server.blocked.delete(this);
		this.server.removePeer(this);
	}

	#leaveRoles(): void {
		// A restart is not a worker's fault: it must not cost its jobs an assignment.
		if (this.server.isStopping) return;
		if (this.worker !== undefined) this.server.jobs.removeWorker(this.worker, this.server.nowMs());
		if (this.client !== undefined) this.server.jobs.removeClient(this.client);
	}

	#release(): void {
		const waiting = this.#onDrained;
		this.#onDrained = [];
		for (const resume of waiting) resume();
	}
}

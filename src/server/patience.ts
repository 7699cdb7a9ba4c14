// How long, and with how much memory, the server waits for what connections have not sent yet: those that never spoke are
// closed, packets that were begun have to go on, and all unfinished packets together have a limit. Counted in ticks of a
// timer that runs only while there is somebody to wait for; no clock is read on a packet's way.
//
// Over the limit of memory one connection at a time may go on with a large packet, the others are not read from; who holds
// memory then and does not move is dropped soon. So the memory is at most the limit, one packet and a few chunks of each
// connection, and nobody who sends waits for ever.

import type { Account } from "../protocol/parser.ts";
import type { Peer } from "./peer.ts";

export interface PatienceOptions {
	/** For a connection that never said anything; 0: until its place is needed. */
	readonly idleTimeoutMs: number;
	/** For a packet that was begun, unless MIN_PROGRESS comes in that time; 0: for ever. */
	readonly packetTimeoutMs: number;
	/** Memory for unfinished packets. */
	readonly maxUnfinishedBytes: number;
}

/** A packet on its way has come so far in its time, or is given up: 16 KiB a minute by default. */
const MIN_PROGRESS = 16_384;
/** Packets that hold no more than this never wait for memory. */
const SMALL = 65_536;
/** Time for the same progress when memory is short. */
const CROWDED_MS = 2000;
/** A silent connection has this long before it may be closed to make room for another. */
const GRACE_MS = 2000;
const LONGEST_TICK_MS = 1000;

/** The unfinished packet of one connection; the parser reports to it. */
class Unfinished implements Account {
	readonly peer: Peer;
	readonly #patience: Patience;
	held = 0;
	/** Bytes that came since `sinceTick`. */
	moved = 0;
	sinceTick = 0;
	isListed = false;

	constructor(peer: Peer, patience: Patience) {
		this.peer = peer;
		this.#patience = patience;
	}

	grew(bytes: number, memory: number): void {
		this.moved += bytes;
		if (!this.isListed) this.#patience.list(this);
		if (memory > 0) this.#patience.hold(this, memory);
	}

	ended(): void {
		if (this.isListed) this.#patience.release(this);
	}
}

export class Patience {
	readonly #options: PatienceOptions;
	readonly #tickMs: number;
	/** Gives up on a connection, for this reason. */
	readonly #drop: (peer: Peer, why: string) => void;
	/** Connections that had not spoken when last looked at, in the order they came, with their tick. */
	readonly #silent = new Map<Peer, number>();
	readonly #unfinished = new Set<Unfinished>();
	#heldBytes = 0;
	/** Over the limit: the one that goes on, and those that wait to. */
	#favoured: Unfinished | undefined;
	readonly #waiting = new Set<Unfinished>();
	#isRelaxing = false;
	#tick = 0;
	#timer: NodeJS.Timeout | undefined;

	constructor(options: PatienceOptions, drop: (peer: Peer, why: string) => void) {
		this.#options = options;
		this.#drop = drop;
		const shortest = Math.min(
			options.idleTimeoutMs || LONGEST_TICK_MS * 4,
			options.packetTimeoutMs || LONGEST_TICK_MS * 4,
		);
		this.#tickMs = Math.max(10, Math.min(LONGEST_TICK_MS, shortest / 4));
	}

	/** Bytes of unfinished packets, over all connections. */
	get heldBytes(): number {
		return this.#heldBytes;
	}

	/** A connection has come. */
	watch(peer: Peer): void {
		this.#silent.set(peer, this.#tick);
		this.#start();
	}

	forget(peer: Peer): void {
		this.#silent.delete(peer);
	}

	accountOf(peer: Peer): Account {
		return new Unfinished(peer, this);
	}

	/** Closes the connection that has been silent for longest, for another to have its place. */
	makeRoom(): boolean {
		for (const [peer, tick] of this.#silent) {
			if (!peer.hasSpoken && !this.#isOver(tick, GRACE_MS)) return false;
			this.#silent.delete(peer);
			if (peer.hasSpoken) continue;
			this.#drop(peer, "never said anything and makes room");
			return true;
		}
		return false;
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	list(packet: Unfinished): void {
		packet.isListed = true;
		packet.sinceTick = this.#tick;
		this.#unfinished.add(packet);
		this.#start();
	}

	hold(packet: Unfinished, bytes: number): void {
		packet.held += bytes;
		this.#heldBytes += bytes;
		if (this.#heldBytes <= this.#options.maxUnfinishedBytes || packet.held <= SMALL) return;
		this.#favoured ??= packet;
		if (this.#favoured === packet || this.#waiting.has(packet)) return;
		this.#waiting.add(packet);
		packet.peer.pause();
	}

	release(packet: Unfinished): void {
		packet.isListed = false;
		packet.moved = 0;
		this.#unfinished.delete(packet);
		this.#heldBytes -= packet.held;
		packet.held = 0;
		if (this.#favoured === packet) this.#favoured = undefined;
		if (this.#waiting.delete(packet)) packet.peer.resume();
		if (this.#waiting.size > 0 && !this.#isRelaxing) {
			this.#isRelaxing = true;
			setImmediate(() => this.#relax());
		}
	}

	/** Memory is free again: all go on, or the next one does. */
	#relax(): void {
		this.#isRelaxing = false;
		for (const packet of this.#waiting) {
			const isFree = this.#heldBytes <= this.#options.maxUnfinishedBytes;
			if (!isFree && this.#favoured !== undefined) return;
			if (!isFree) this.#favoured = packet;
			this.#waiting.delete(packet);
			packet.moved = 0;
			packet.sinceTick = this.#tick;
			packet.peer.resume();
		}
	}

	#start(): void {
		this.#timer ??= setInterval(() => this.#lookAround(), this.#tickMs).unref();
	}

	#isOver(sinceTick: number, ms: number): boolean {
		return (this.#tick - sinceTick) * this.#tickMs >= ms;
	}

	#lookAround(): void {
		this.#tick++;
		const { idleTimeoutMs, packetTimeoutMs, maxUnfinishedBytes } = this.#options;
		for (const [peer, tick] of this.#silent) {
			if (!peer.hasSpoken && (idleTimeoutMs === 0 || !this.#isOver(tick, idleTimeoutMs))) break;
			this.#silent.delete(peer);
			if (!peer.hasSpoken) this.#drop(peer, `said nothing for ${idleTimeoutMs / 1000} s`);
		}
		const isCrowded = this.#heldBytes > maxUnfinishedBytes;
		for (const packet of this.#unfinished) {
			const isWanted = isCrowded && packet.held > SMALL;
			const limitMs = isWanted ? CROWDED_MS : packetTimeoutMs;
			if (limitMs === 0 || !this.#isOver(packet.sinceTick, limitMs)) continue;
			// Nobody is to blame for what we do not read.
			if (packet.moved < MIN_PROGRESS && !packet.peer.isPaused) {
				this.#drop(packet.peer, `did not go on with a packet, ${packet.held} bytes of it here`);
			}
			packet.sinceTick = this.#tick;
			packet.moved = 0;
		}
		if (this.#silent.size === 0 && this.#unfinished.size === 0) this.stop();
	}
}

// The clients and workers of the measurements, over raw sockets: a process of its own, started by processes.js, that takes
// one of `kinds` at a time by IPC. Lean, so that the server has the cores: packets are built once and copied, what arrives
// is read in place from one buffer, and a turn of a socket ends with one write. 5.7 µs a job with 8 × 32 in flight, 7 with
// 50 × 4, 20 with 8 × 1, kernel included, for client and worker together: about what the server takes. So jobs/s are
// bounded here too, and CPU per job tells two servers apart.
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { canWriteNow, writeNow } from "../../dist/net/internals.js";
import { Type } from "../../dist/protocol/commands.js";
import { encodeRequest } from "../../dist/protocol/packet.js";
import { cpuUs } from "./proc.js";

const HEADER = 12;
/** As much of a packet as anybody looks at: a handle, a function, the first bytes of a workload. */
const HEAD = 160;
const READ_BYTES = 262_144;
/** In front of what is read: room for what was left of the last read. */
const ROOM = 256;
const OUT_BYTES = 65_536;
/** Workloads from here on are written from where they are. */
const LARGE_BYTES = 16_384;
const UNIQUE_DIGITS = 10;
/** Of a run, at the beginning, which does not count. */
const WARM_UP = 0.2;
/** Connections made at once: no more than fit into a listener's backlog. */
const AT_ONCE = 16;
const NUL = 0;

const bytes = Buffer.allocUnsafeSlow(ROOM + READ_BYTES);
const GRAB_JOB = encodeRequest("GRAB_JOB", []);
const PRE_SLEEP = encodeRequest("PRE_SLEEP", []);

const u32 = (at) => ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;

/** One connection. Subclasses take(type, at, length) packets, whose first HEAD bytes are in `bytes`, and end a turn(). */
class Peer {
	#socket;
	#isQuick = false;
	#isWriting = false;
	#out = Buffer.allocUnsafeSlow(OUT_BYTES);
	#end = 0;
	/** The beginning of a packet that has not arrived in full, and how much of its end is to be passed over. */
	#head = Buffer.allocUnsafeSlow(ROOM);
	#headBytes = 0;
	#missing = 0;

	async dial(port) {
		const callback = (count) => {
			this.#receive(ROOM + count);
			return true;
		};
		const onread = { buffer: bytes.subarray(ROOM), callback };
		this.#socket = connect({ port, host: "127.0.0.1", noDelay: true, onread });
		await once(this.#socket, "connect");
		this.#isQuick = canWriteNow(this.#socket);
		this.#socket.on("error", fail);
		this.#socket.on("end", () => fail(new Error("the server closed the connection")));
		return this;
	}

	#receive(end) {
		let at = ROOM;
		if (this.#missing > 0) {
			if (end - at < this.#missing) {
				this.#missing -= end - at;
				return;
			}
			at += this.#missing;
			this.#missing = 0;
			this.#head.copy(bytes, 0, 0, HEADER + HEAD);
			this.take(bytes[7], HEADER, u32(8));
		} else if (this.#headBytes > 0) {
			at -= this.#headBytes;
			this.#head.copy(bytes, at, 0, this.#headBytes);
		}
		this.#headBytes = 0;
		while (end - at >= HEADER) {
			const length = u32(at + 8);
			const next = at + HEADER + length;
			if (next <= end) {
				this.take(bytes[at + 7], at + HEADER, length);
				at = next;
			} else if (length > HEAD && end - at >= HEADER + HEAD) {
				bytes.copy(this.#head, 0, at, at + HEADER + HEAD);
				this.#missing = next - end;
				at = end;
			} else break;
		}
		if (at < end && this.#missing === 0) {
			// Less than HEADER + HEAD, which ROOM has room for.
			bytes.copy(this.#head, 0, at, end);
			this.#headBytes = end - at;
		}
		this.turn();
		this.flush();
	}

	/** Room for so many bytes behind what is to be written: where it begins in `out`. */
	room(count) {
		const at = this.#end;
		this.#end += count;
		if (this.#end > this.#out.length) {
			const larger = Buffer.allocUnsafeSlow(2 * this.#end);
			this.#out.copy(larger, 0, 0, at);
			this.#out = larger;
		}
		return at;
	}

	get out() {
		return this.#out;
	}

	put(packet) {
		const at = this.room(packet.length);
		packet.copy(this.#out, at, 0, packet.length);
	}

	/** A large workload, behind what is there. */
	putLarge(workload) {
		this.#socket.cork();
		this.#socket.write(Buffer.from(this.#out.subarray(0, this.#end)));
		this.#socket.write(workload);
		this.#socket.uncork();
		this.#end = 0;
	}

	flush() {
		if (this.#end === 0 || this.#isWriting) return;
		const ready = this.#out.subarray(0, this.#end);
		this.#end = 0;
		// What is under way by the stream comes first.
		if (!this.#isQuick || this.#socket.writableLength > 0) {
			this.#socket.write(Buffer.from(ready));
			return;
		}
		if (writeNow(this.#socket, ready, this.#written)) return;
		this.#isWriting = true;
		this.#out = Buffer.allocUnsafeSlow(OUT_BYTES);
	}

	#written = () => {
		this.#isWriting = false;
		this.flush();
	};

	turn() {}

	/** What was written arrives; what comes from now on is of no interest. */
	hangUp() {
		this.#socket
			.removeAllListeners("error")
			.removeAllListeners("end")
			.on("error", () => {});
		this.take = () => {};
		this.turn = () => {};
		this.#socket.end(() => this.#socket.destroy());
	}
}

/** Ids of jobs: on the workload's first four bytes, and as uniques, different in all the life of the process. */
let lastNumber = 0;

class Client extends Peer {
	#run;
	#packet;
	#numberAt;
	#uniqueAt;
	#inFlight = 0;
	#sentMs;
	#sent = 0;
	#answered = 0;

	constructor(run) {
		super();
		this.#run = run;
		const { functionName, withUniques, isBackground, workload, depth } = run;
		const unique = withUniques ? "0".repeat(UNIQUE_DIGITS) : "";
		this.#packet = encodeRequest(isBackground ? "SUBMIT_JOB_BG" : "SUBMIT_JOB", [functionName, unique, workload]);
		this.#uniqueAt = HEADER + functionName.length + 1;
		this.#numberAt = this.#uniqueAt + unique.length + 1;
		if (workload.length >= LARGE_BYTES) this.#packet = this.#packet.subarray(0, this.#numberAt);
		this.#sentMs = new Float64Array(depth);
	}

	take(type, at, length) {
		const run = this.#run;
		if (type === Type.JOB_CREATED && !run.isBackground) return;
		if (type === Type.WORK_COMPLETE) {
			let end = at;
			while (bytes[end] !== NUL) end++;
			if (length - (end + 1 - at) !== run.workload.length) fail(new Error("a result of another length"));
			if (run.hasNumbers) run.received += u32(end + 1);
		} else if (type !== Type.JOB_CREATED) fail(new Error(`the client got packet ${type}`));
		this.#inFlight--;
		// In order for background jobs, and for foreground jobs one at a time: only those are asked for.
		if (run.latencies !== undefined) run.latencies.push(performance.now() - this.#sentMs[this.#answered++ % run.depth]);
		run.count();
	}

	turn() {
		const run = this.#run;
		if (this.#inFlight === run.depth || run.submitted === run.jobs) return;
		const nowMs = run.latencies === undefined ? 0 : performance.now();
		while (this.#inFlight < run.depth && run.submitted < run.jobs) {
			this.#submit();
			this.#inFlight++;
			run.submitted++;
			this.#sentMs[this.#sent++ % run.depth] = nowMs;
		}
	}

	#submit() {
		const packet = this.#packet;
		const number = ++lastNumber;
		const at = this.room(packet.length);
		const { out } = this;
		packet.copy(out, at, 0, packet.length);
		if (this.#numberAt - this.#uniqueAt > 1) {
			let digit = at + this.#numberAt - 2;
			for (let rest = number; rest > 0; rest = Math.floor(rest / 10)) out[digit--] = 48 + (rest % 10);
		}
		if (packet.length === this.#numberAt) this.putLarge(this.#run.workload);
		else if (this.#run.hasNumbers) {
			writeNumber(out, at + this.#numberAt, number);
			this.#run.sent += number;
		}
	}
}

class Worker extends Peer {
	#run;
	#grabs = 0;

	constructor(run) {
		super();
		this.#run = run;
		this.put(encodeRequest("CAN_DO", [run.functionName]));
		for (let i = 0; i < run.grabs; i++) this.#grab();
	}

	#grab() {
		this.put(GRAB_JOB);
		this.#grabs++;
	}

	take(type, at) {
		if (type === Type.JOB_ASSIGN) {
			this.#grabs--;
			this.#complete(at);
			this.#grab();
			if (this.#run.countsWorked) this.#run.count();
		} else if (type === Type.NO_JOB) {
			if (--this.#grabs === 0) this.put(PRE_SLEEP);
		} else if (type === Type.NOOP) {
			while (this.#grabs < this.#run.grabs) this.#grab();
		} else fail(new Error(`the worker got packet ${type}`));
	}

	/** The result is as long as the workload and begins with its number. */
	#complete(at) {
		const { workload, functionName } = this.#run;
		let end = at;
		while (bytes[end] !== NUL) end++;
		const handleBytes = end + 1 - at;
		const isLarge = workload.length >= LARGE_BYTES;
		const start = this.room(HEADER + handleBytes + (isLarge ? 0 : workload.length));
		const { out } = this;
		out[start] = 0;
		out[start + 1] = 82; // "\0REQ"
		out[start + 2] = 69;
		out[start + 3] = 81;
		writeNumber(out, start + 4, Type.WORK_COMPLETE);
		writeNumber(out, start + 8, handleBytes + workload.length);
		bytes.copy(out, start + HEADER, at, end + 1);
		if (isLarge) {
			this.putLarge(workload);
			return;
		}
		const resultAt = start + HEADER + handleBytes;
		workload.copy(out, resultAt, 0, workload.length);
		// Of the workload, behind the function's name.
		if (this.#run.hasNumbers) writeNumber(out, resultAt, u32(end + 2 + functionName.length));
	}
}

function writeNumber(out, at, number) {
	out[at] = number >>> 24;
	out[at + 1] = number >>> 16;
	out[at + 2] = number >>> 8;
	out[at + 3] = number;
}

let fail = () => {};

/** What the peers of one load have in common. */
class Run {
	submitted = 0;
	/** Sums of the numbers sent and received: equal when each result came once. */
	sent = 0;
	received = 0;
	done = 0;

	constructor(how) {
		this.functionName = how.functionName ?? "f";
		this.workload = Buffer.alloc(how.size ?? 64, "x");
		this.hasNumbers = this.workload.length >= 4 && this.workload.length < LARGE_BYTES;
		this.jobs = how.jobs ?? Number.POSITIVE_INFINITY;
		this.depth = how.depth ?? 1;
		this.grabs = how.grabs ?? 1;
		this.isBackground = how.isBackground === true;
		this.withUniques = how.withUniques === true;
		this.countsWorked = (how.clients ?? 0) === 0;
		this.pid = how.pid;
		this.latencies = how.latencies ? [] : undefined;
		this.warmUpJobs = Math.floor(this.jobs * WARM_UP);
		this.over = new Promise((resolve) => {
			this.end = resolve;
		});
	}

	begin = () => {
		if (this.from !== undefined) return;
		this.from = { ms: performance.now(), done: this.done, cpuUs: cpuUs(this.pid) };
		if (this.latencies !== undefined) this.latencies = [];
	};

	count() {
		this.done++;
		if (this.done === this.warmUpJobs) this.begin();
		if (this.done === this.jobs) this.end();
	}

	figures() {
		const jobs = this.done - this.from.done;
		const seconds = (performance.now() - this.from.ms) / 1000;
		const figures = { jobs, all: this.done, seconds, rate: jobs / seconds };
		figures.cpuUs = (cpuUs(this.pid) - this.from.cpuUs) / jobs;
		if (this.latencies !== undefined && jobs > 0) {
			const us = Float64Array.from(this.latencies).sort();
			const at = (part) => 1000 * us[Math.min(us.length - 1, Math.floor(us.length * part))];
			Object.assign(figures, { p50: at(0.5), p99: at(0.99), worst: at(1) });
		}
		return figures;
	}
}

const dialAll = async (port, count, make) => {
	const peers = [];
	while (peers.length < count) {
		const some = Math.min(AT_ONCE, count - peers.length);
		peers.push(...(await Promise.all(Array.from({ length: some }, () => make().dial(port)))));
	}
	return peers;
};

/** What is held until "release". */
let held = [];

const kinds = {
	/**
	 * Clients with `depth` jobs in flight each and workers, until `jobs` are done or `seconds` over, the first fifth of
	 * which does not count. Without clients the workers do what is queued. Resolves with figures: `cpuUs` is that of the
	 * process `pid` a job; `p50`, `p99` and `worst` µs from submit to answer with `latencies`.
	 */
	async jobs({ port, clients = 0, workers = 0, seconds = 10, ...how }) {
		const run = new Run({ ...how, clients });
		const doers = await dialAll(port, workers, () => new Worker(run));
		const askers = await dialAll(port, clients, () => new Client(run));
		const timers = [setTimeout(run.begin, seconds * WARM_UP * 1000), setTimeout(run.end, seconds * 1000)];
		if (run.warmUpJobs === 0) run.begin();
		for (const peer of doers) peer.flush();
		for (const peer of askers) {
			peer.turn();
			peer.flush();
		}
		await run.over;
		for (const timer of timers) clearTimeout(timer);
		run.begin();
		const figures = run.figures();
		if (run.done === run.jobs && workers > 0 && clients > 0 && run.sent !== run.received)
			throw new Error("a result came twice, or never");
		for (const peer of [...askers, ...doers]) peer.hangUp();
		return figures;
	},

	/** Workers that do what comes until "release". */
	async serve({ port, workers, ...how }) {
		const run = new Run(how);
		held = await dialAll(port, workers, () => new Worker(run));
		for (const peer of held) peer.flush();
	},

	/** Workers that sleep until "release". Resolves when the server has read what the last of them sent. */
	async sleepers({ port, workers }) {
		const packets = Buffer.concat([
			...[encodeRequest("CAN_DO", ["idle"]), PRE_SLEEP],
			encodeRequest("ECHO_REQ", [Buffer.from("there?")]),
		]);
		while (held.length < workers) {
			const some = await dialAll(port, Math.min(AT_ONCE, workers - held.length), () => new Sleeper());
			for (const peer of some) {
				peer.put(packets);
				peer.flush();
			}
			// A server slow to accept would let connections time out in its backlog.
			await Promise.all(some.map((peer) => peer.answered));
			held.push(...some);
		}
	},

	async release() {
		for (const peer of held) peer.hangUp();
		held = [];
		await sleep(50);
	},
};

class Sleeper extends Peer {
	answered = new Promise((resolve) => {
		this.take = resolve;
	});
}

process.on("message", async ({ kind, ...how }) => {
	try {
		const failed = new Promise((_, reject) => {
			fail = (error) => {
				reject(error);
				throw error;
			};
		});
		process.send({ figures: (await Promise.race([kinds[kind](how), failed])) ?? {} });
	} catch (error) {
		process.send({ error: `${error.message}` });
	}
});
process.on("disconnect", () => process.exit());

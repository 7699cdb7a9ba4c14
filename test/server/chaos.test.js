// Connections and workers that come and go at all the wrong moments: no job may be lost, none may be run that another
// worker holds, and nothing may stay behind. What is random is seeded: a failure comes again.

import { once } from "node:events";
import { connect } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import test from "ava";
import { ours, start, startGearmand, workersReady } from "../helpers/programs.js";
import { startServer, Wire } from "../helpers/server.js";
import { until } from "../helpers/until.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");

/** Numbers below `n`, the same at every run. */
function randomNumbers(seed) {
	let state = seed;
	return (n) => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * n);
	};
}

/** A connection whose packets leave at once: thousands of them are to go back and forth here. */
async function dial(port) {
	const socket = connect({ port, host: "127.0.0.1", noDelay: true });
	openSockets.add(socket);
	socket.once("close", () => openSockets.delete(socket));
	await once(socket, "connect");
	return new Wire(socket);
}
/** Not a teardown each, which would keep the socket. */
const openSockets = new Set();
test.afterEach.always(() => {
	for (const socket of openSockets) socket.destroy();
});

/** A worker that does every job it gets and tells `ran` of it, until its connection closes. */
async function steadyWorker(port, ran) {
	const worker = await dial(port);
	worker.send("CAN_DO", "f");
	worker.send("GRAB_JOB");
	void (async () => {
		for (;;) {
			const item = await worker.next();
			if (item === "closed") return;
			const [name, handle, , workload] = item;
			if (name === "NO_JOB") worker.send("PRE_SLEEP");
			else {
				if (name === "JOB_ASSIGN") {
					ran(workload);
					worker.send("WORK_COMPLETE", handle, workload);
				}
				worker.send("GRAB_JOB");
			}
		}
	})();
	return worker;
}

function nothingLeft(server) {
	for (const queue of server.jobs.functions.values()) {
		if (queue.total + queue.running + queue.delayed > 0) return false;
	}
	return server.jobs.size === 0 && server.blocked.size === 0;
}

test.serial(
	"1,000 connections come and go while jobs flow: each job runs once, and nothing stays behind",
	async (t) => {
		const { server, port } = await startServer(t);
		const random = randomNumbers(1);
		const runs = new Map();
		const ran = (workload) => runs.set(workload, (runs.get(workload) ?? 0) + 1);
		for (let i = 0; i < 4; i++) await steadyWorker(port, ran);
		let jobs = 0;

		// Queues jobs, waits for the answers, and leaves without a word.
		const hasty = async (peer) => {
			const names = ["SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_LOW_BG"];
			for (let i = 0; i < 5; i++) peer.send(names[i % 3], "f", i === 0 ? "" : `unique ${jobs}`, `job ${jobs++}`);
			for (let i = 0; i < 5; i++) t.is((await peer.next())[0], "JOB_CREATED");
			peer.destroy();
		};
		// Waits for its results, and gets each of them once.
		const patient = async (peer) => {
			const wanted = new Set();
			for (let i = 0; i < 3; i++) {
				wanted.add(`job ${jobs}`);
				peer.send("SUBMIT_JOB", "f", "", `job ${jobs++}`);
			}
			for (let left = 6; left > 0; left--) {
				const [name, , result] = await peer.next();
				if (name === "WORK_COMPLETE") t.true(wanted.delete(result), result);
				else t.is(name, "JOB_CREATED");
			}
			t.is(wanted.size, 0);
			t.deepEqual(await peer.settle(), []);
			await peer.close();
		};
		// Goes to sleep as a worker, and is gone when it is woken.
		const sleeper = async (peer) => {
			peer.send("CAN_DO", "f");
			peer.send("PRE_SLEEP");
			await peer.settle();
			if (random(2) === 0) await peer.close();
			else peer.destroy();
		};
		// Half a packet, or a question whose answer it does not wait for.
		const rude = async (peer) => {
			peer.raw(random(2) === 0 ? "status\nworkers\nshow jobs\n" : "\0REQ\0\0\0\x07\0\0\0\x20f\0u\0half");
			peer.destroy();
		};
		const kinds = [hasty, hasty, patient, patient, patient, sleeper, sleeper, rude];

		const heapAfter = [];
		for (let round = 0; round < 20; round++) {
			const before = jobs;
			await Promise.all(Array.from({ length: 50 }, async () => kinds[random(kinds.length)](await dial(port))));
			await until(() => server.peers.size === 4, "the connections to be gone");
			await until(() => nothingLeft(server), "the jobs to be done");
			t.is(runs.size, jobs - before);
			t.true([...runs.values()].every((times) => times === 1));
			runs.clear();
			collectGarbage();
			heapAfter.push(process.memoryUsage().heapUsed);
		}
		t.true(jobs > 2000, `${jobs} jobs`);

		const admin = await dial(port);
		t.deepEqual(await admin.list("status"), ["f\t0\t0\t4"]);
		t.deepEqual(await admin.list("prioritystatus"), ["f\t0\t0\t0\t4"]);
		t.deepEqual(await admin.list("show jobs"), []);
		t.deepEqual(await admin.list("show unique jobs"), []);
		// 750 connections and their jobs later: a kilobyte that each left behind would show.
		const grownBytes = heapAfter[19] - heapAfter[4];
		t.true(grownBytes < 700_000, `the heap grew by ${grownBytes} bytes: ${heapAfter}`);
	},
);

for (const seed of [1, 2, 3]) {
	test.serial(`workers that leave at any moment lose no job (seed ${seed})`, async (t) => {
		const { server, port } = await startServer(t);
		const random = randomNumbers(seed);
		const runs = new Map();
		const abandoned = new Map();
		const add = (counts, key) => counts.set(key, (counts.get(key) ?? 0) + 1);
		const JOBS = 400;
		let isOver = false;

		// Does some jobs, then leaves in one of five ways; returns then.
		const mortal = async () => {
			const worker = await dial(port);
			worker.send("CAN_DO", "f");
			for (let left = random(8); ; left--) {
				worker.send("GRAB_JOB");
				let item = await worker.next();
				while (item[0] === "NO_JOB" || item[0] === "NOOP") {
					worker.send(item[0] === "NO_JOB" ? "PRE_SLEEP" : "GRAB_JOB");
					if (left <= 0 && random(4) === 0) return worker.destroy(); // asleep, perhaps just woken
					item = await worker.next();
				}
				if (item === "closed") return;
				const [, handle, , workload] = item;
				add(runs, workload);
				if (left <= 0) {
					switch (random(4)) {
						case 0: // with the job
							add(abandoned, workload);
							return worker.destroy();
						case 1: // in the middle of its result
							add(abandoned, workload);
							worker.raw("\0REQ\0\0\0\x0d\0\0\x01\0H:test");
							worker.send("ECHO_REQ", ""); // the rest of what was announced does not come
							return worker.destroy();
						case 2: // takes the job's function back
							add(abandoned, workload);
							worker.send("CANT_DO", "f");
							await worker.settle();
							return worker.destroy();
						case 3: // right behind its result
							worker.send("WORK_COMPLETE", handle, workload);
							return worker.close();
					}
				}
				if (random(3) === 0) worker.send("WORK_STATUS", handle, "1", "2");
				if (random(3) === 0) worker.send("WORK_DATA", handle, "part");
				worker.send("WORK_COMPLETE", handle, workload);
			}
		};
		const posts = Array.from({ length: 6 }, async () => {
			while (!isOver) await mortal();
		});

		// Half of the jobs are waited for, half are not.
		const client = await dial(port);
		const results = new Map();
		for (let i = 0; i < JOBS; i++) {
			client.send(i % 2 === 0 ? "SUBMIT_JOB" : "SUBMIT_JOB_BG", "f", i % 3 === 0 ? "" : `${i}`, `${i}`);
		}
		for (let created = 0; created < JOBS || results.size < JOBS / 2; ) {
			const [name, , result] = await client.next();
			if (name === "JOB_CREATED") created++;
			if (name === "WORK_COMPLETE") add(results, result);
			t.not(name, "WORK_FAIL");
			t.not(name, "ERROR");
		}
		await until(() => nothingLeft(server), "the jobs to be done");
		isOver = true;
		t.true([...results.values()].every((times) => times === 1));
		t.is(runs.size, JOBS);
		// Run again only where a worker left with it.
		for (const [workload, times] of runs) t.is(times, 1 + (abandoned.get(workload) ?? 0), workload);
		t.true(abandoned.size > 5, `${abandoned.size} jobs were abandoned`);
		t.deepEqual(await client.settle(), []);
		await server.stop();
		await Promise.all(posts.map((post) => post.catch(() => {})));
	});
}

test.serial(
	"gearman -w processes are killed with -9, one after the other: all lines come back, in order",
	async (t) => {
		const { port } = await startGearmand(t, ours.gearmand);
		const random = randomNumbers(4);
		const server = ["-h", "127.0.0.1", "-p", `${port}`];
		const startWorker = () => start(t, ours.gearman, [...server, "-w", "-j", "4", "-f", "f", "--", "cat"]);
		const workers = [startWorker(), startWorker(), startWorker()];
		await workersReady(t, port, { f: 3 });

		const lines = Array.from({ length: 600 }, (_, i) => `line ${i}\n`);
		const client = start(t, ours.gearman, [...server, "-n", "-f", "f"], { stdin: "pipe" });
		const seen = () => client.output().split("\n").length - 1;
		for (let kill = 1; kill <= 6; kill++) {
			client.child.stdin.write(lines.slice((kill - 1) * 100, kill * 100).join(""));
			const count = (kill - 1) * 100 + random(90);
			await until(() => seen() >= count, `${count} lines`);
			const [worker] = workers.splice(random(workers.length), 1);
			worker.child.kill("SIGKILL");
			workers.push(startWorker());
		}
		client.child.stdin.end();
		await until(() => client.child.exitCode !== null, "the client's end");
		t.is(client.child.exitCode, 0);
		t.is(client.output(), lines.join(""));
		t.is(client.errors(), "");
		const admin = await dial(port);
		t.true((await admin.list("status"))[0].startsWith("f\t0\t0\t"));
	},
);

// What every store on another server has to stand, with that server for real: it dies and comes back, we die and come
// back, and two of us want the same queue.

import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Server } from "../../dist/server/server.js";
import { C, startGearmand } from "../helpers/programs.js";
import { startWorker } from "../helpers/scripted-worker.js";
import { dial, startServer } from "../helpers/server.js";
import { services, sharedService, startService } from "../helpers/services.js";
import { until } from "../helpers/until.js";
import { add, jobOf, remove, replay, testStore } from "./suite.js";

/** A store that is opened now, and closed when the test ends. */
export async function opened(t, store) {
	t.teardown(() => store.close());
	await store.open();
	return store;
}

/** The functions' jobs in the order a worker gets them, until `count` are done. */
async function workloadsOf(t, port, count) {
	const workloads = [];
	await startWorker(t, port, {
		f: (workload) => {
			workloads.push(workload);
			return [["WORK_COMPLETE", ""]];
		},
	});
	await until(() => workloads.length >= count, `${count} jobs`);
	return workloads;
}

function helpOf(program) {
	return spawnSync(program, ["--help"], { encoding: "utf8" }).stdout;
}

async function submit(client, workload) {
	client.send("SUBMIT_JOB_BG", "f", "", workload);
	return (await client.next())[0];
}

/**
 * Registers the tests for services[kind]. `create(options, more)` makes a store, not opened, of a queue named by `more`;
 * `queueOptions(name)` are the options that name the queue. `largest`: of a workload, in bytes.
 * `gearmand`: how C's comes to the same server: { option, arguments, options, hasEpoch, prepare }.
 * `forgets`: the server keeps nothing when it is restarted. `tooLarge`: of a workload it can never take, in bytes.
 */
export function testRemoteStore(ava, kind, { create, queueOptions, largest, tooLarge, gearmand, forgets = false }) {
	const skip = services[kind].program === undefined;
	const test = skip ? ava.serial.skip : ava.serial;
	const storeOf = (service, name) => create({ ...service.options, ...queueOptions(name) });
	const shared = sharedService(ava, kind);
	let queues = 0;
	const newQueue = async () => {
		const name = `n${++queues}`;
		const service = await shared();
		return { open: () => storeOf(service, name) };
	};
	testStore(ava, kind, newQueue, { skip });

	test(`${kind}: large workloads come back as they were, among small ones and beside the longest names`, async (t) => {
		const queue = await newQueue();
		const store = await opened(t, queue.open());
		const sizes = [10, 70_000, 300_000, largest, 0, 1_000_000];
		const jobs = sizes.map((size, i) => jobOf(i, { workload: randomBytes(size) }));
		jobs.push(
			jobOf(9, { functionName: "\xff'".repeat(32_768), reducer: "r".repeat(65_536), unique: "\xe9".repeat(64) }),
		);
		await store.write(jobs.map(add));
		await store.close();
		const left = await replay(await opened(t, queue.open()));
		t.is(left.length, jobs.length);
		for (const [i, job] of left.entries()) {
			t.true(job.workload.equals(jobs[i].workload), `${job.workload.length} bytes`);
			t.deepEqual({ ...job, workload: 0 }, { ...jobs[i], workload: 0 });
		}
	});

	test(`${kind}: a job that is too large is refused alone, those beside it are kept`, async (t) => {
		const service = await shared();
		const store = storeOf(service, "large");
		const { server, port } = await startServer(t, { store, maxPacketBytes: 2 ** 31 - 2 ** 20 });
		if (tooLarge > 64 << 20) {
			// Not sent through a socket: a length is all that is looked at.
			t.regex(store.refusal(jobOf(1, { workload: { length: tooLarge } })), /over .*limit/);
			t.is(store.refusal(jobOf(1, { workload: { length: tooLarge / 2 } })), undefined);
			return;
		}
		const client = await dial(t, port);
		for (const size of [1, tooLarge, 2]) client.send("SUBMIT_JOB_BG", "f", "", Buffer.alloc(size, "x"));
		client.send("SUBMIT_JOB_BG", "f", "", "3");
		t.is((await client.next())[0], "JOB_CREATED");
		t.deepEqual(await client.next(), ["ERROR", "QUEUE_ERROR", "QUEUE_ERROR"]);
		t.is((await client.next())[0], "JOB_CREATED");
		t.is((await client.next())[0], "JOB_CREATED");
		t.is(server.jobs.size, 3);
		t.is(server.metrics.store.failures, 0);
		await server.stop();
		const left = await replay(await opened(t, storeOf(service, "large")));
		t.deepEqual(
			left.map(({ workload }) => `${workload}`),
			["x", "xx", "3"],
		);
	});

	test(`${kind}: while its server is away submits are refused, running jobs end, and nothing acknowledged is lost`, async (t) => {
		const service = await startService(kind, t);
		const { server, port } = await startServer(t, { store: storeOf(service, "away") });
		const client = await dial(t, port);
		for (let i = 0; i < 20; i++) t.is(await submit(client, `before ${i}`), "JOB_CREATED");
		const worker = await dial(t, port);
		worker.send("CAN_DO", "f");
		worker.send("GRAB_JOB");
		const [, handle, , workload] = await worker.next();
		t.is(workload, "before 0");

		await service.kill();
		t.is(await submit(client, "meanwhile"), "ERROR");
		worker.send("WORK_COMPLETE", handle, "");
		t.deepEqual(await worker.settle(), []);
		t.is(await submit(client, "meanwhile"), "ERROR");

		await service.start();
		await until(async () => (await submit(client, "after")) === "JOB_CREATED");
		if (forgets) {
			worker.destroy();
			const workloads = await workloadsOf(t, port, 20);
			t.deepEqual(workloads, [...Array.from({ length: 19 }, (_, i) => `before ${i + 1}`), "after"]);
			return;
		}
		worker.destroy();
		await server.stop();
		const next = await startServer(t, { store: storeOf(service, "away") });
		await next.server.replayed;
		const workloads = await workloadsOf(t, next.port, 20);
		t.deepEqual(workloads, [...Array.from({ length: 19 }, (_, i) => `before ${i + 1}`), "after"]);
		await until(() => next.server.jobs.size === 0);
		await next.server.stop();
		t.deepEqual(await replay(await opened(t, storeOf(service, "away"))), []);
	});

	test(`${kind}: its server dies while a stream of jobs goes in: each one acknowledged is there afterwards`, async (t) => {
		const service = await startService(kind, t);
		const { server, port } = await startServer(t, { store: storeOf(service, "stream") });
		const client = await dial(t, port);
		const acknowledged = new Set();
		const count = 3000;
		let refused = 0;
		for (let i = 0; i < count; i++) {
			client.send("SUBMIT_JOB_BG", "f", "", `${i}`);
			if (i % 100 === 99) await new Promise(setImmediate);
		}
		for (let i = 0; i < count; i++) {
			const [answer] = await client.next();
			if (answer === "JOB_CREATED") acknowledged.add(`${i}`);
			else refused++;
			if (i === 300) await service.kill();
		}
		t.is(acknowledged.size + refused, count);
		await service.start();
		await until(async () => (await submit(client, "last")) === "JOB_CREATED");
		acknowledged.add("last");
		if (!forgets) await server.stop();
		const next = forgets ? { server, port } : await startServer(t, { store: storeOf(service, "stream") });
		await next.server.replayed;
		const workloads = await workloadsOf(t, next.port, acknowledged.size);
		t.deepEqual(workloads.sort(), [...acknowledged].sort());
	});

	test(`${kind}: a second job server on the same queue is refused, with a sentence; on another one it is not`, async (t) => {
		const service = await startService(kind, t);
		const first = await opened(t, storeOf(service, "one"));
		const second = new Server({ store: storeOf(service, "one"), port: 0, listen: ["127.0.0.1"] });
		await t.throwsAsync(second.start(), { code: "STORE_FAILED", message: /another job server/ });
		await opened(t, storeOf(service, "two"));
		await first.close();
		await opened(t, storeOf(service, "one"));
	});

	const hasModule = gearmand !== undefined && C.gearmand !== undefined && helpOf(C.gearmand).includes(gearmand.option);
	const testC = skip || !hasModule ? ava.serial.skip : ava.serial;
	testC(`${kind}: jobs that C's gearmand has left are taken over, once`, async (t) => {
		const service = await startService(kind, t);
		await gearmand.prepare?.(service);
		const old = await startGearmand(t, C.gearmand, gearmand.arguments(service));
		const client = await dial(t, old.port);
		const jobs = [
			["SUBMIT_JOB_HIGH_BG", "f", "u1", "high"],
			["SUBMIT_JOB_BG", "f", "it's", "a\0\xff'\\"],
			["SUBMIT_JOB_LOW_BG", "g", "u3", "low"],
			["SUBMIT_JOB_BG", "f", "", "no unique"],
			["SUBMIT_JOB_BG", "f", "empty", ""],
			["SUBMIT_JOB_BG", "two-words", "11111111-2222-3333-4444-555555555555", "dashes"],
			...(gearmand.hasEpoch ? [["SUBMIT_JOB_EPOCH", "f", "later", "2147483000", "2038"]] : []),
		];
		for (const job of jobs) {
			client.send(job[0], job[1], job[2], ...job.slice(3).map((text) => Buffer.from(text, "latin1")));
			t.is((await client.next())[0], "JOB_CREATED");
		}
		old.child.kill("SIGKILL");
		await once(old.child, "exit");

		const options = { ...service.options, ...gearmand.options };
		const first = await opened(t, create(options));
		const left = await replay(first);
		const priorities = { SUBMIT_JOB_HIGH_BG: 0, SUBMIT_JOB_LOW_BG: 2 };
		const expected = jobs.map(([packet, functionName, unique, ...rest]) => [
			...[functionName, unique, priorities[packet] ?? 1, rest.length > 1 ? 1000 * rest[0] : 0, rest.at(-1)],
		]);
		const found = left.map((job) => [
			...[job.functionName, job.unique, job.priority, job.dueMs, job.workload.toString("latin1")],
		]);
		t.deepEqual(found.map(String).sort(), expected.map(String).sort());
		t.is(new Set(left.map(({ handle }) => handle)).size, jobs.length);
		await first.write([remove(left[0])]);
		await first.close();
		const again = await opened(t, create(options));
		t.deepEqual(
			(await replay(again)).map(({ handle }) => handle),
			left.slice(1).map(({ handle }) => handle),
		);
	});

	test(`${kind}: a server that is not there stops the start, with a sentence that says where it was looked for`, async (t) => {
		const service = await startService(kind, t);
		await service.kill();
		const server = new Server({ store: storeOf(service, "none"), port: 0, listen: ["127.0.0.1"] });
		await t.throwsAsync(server.start(), {
			code: "STORE_FAILED",
			message: new RegExp(`127\\.0\\.0\\.1:${service.port}`),
		});
	});
}

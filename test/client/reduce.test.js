import test from "ava";
import { Client } from "../../dist/client/client.js";
import { GearmanError } from "../../dist/errors.js";
import { Worker } from "../../dist/worker/worker.js";
import { startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** A server, a worker with these functions, and a client. */
async function serve(t, functions, options) {
	const { server, port } = await startServer(t);
	const worker = new Worker(`127.0.0.1:${port}`, { concurrency: 4, ...options });
	for (const [name, run] of Object.entries(functions)) worker.add(name, run);
	const ran = worker.run();
	const client = new Client(`127.0.0.1:${port}`);
	t.teardown(async () => {
		client.close();
		worker.kill();
		await ran;
	});
	return { client, server, worker };
}

const length = (job) => String(job.workload.length);

test("reduce folds the results of one job a piece, in the order of the pieces", async (t) => {
	const { client } = await serve(t, {
		// The later, the sooner.
		slow: async (job) => {
			await new Promise((resolve) => setTimeout(resolve, 50 - 10 * Number(job.workload)));
			return job.workload;
		},
		length,
	});
	t.is(await client.reduce("length", ["a", "bb", Buffer.from("ccc")], (sum, result) => sum + Number(result), 0), 6);
	const seen = await client.reduce(
		"slow",
		["0", "1", "2", "3"],
		(list, result, index) => [...list, `${index}:${result}`],
		[],
	);
	t.deepEqual(seen, ["0:0", "1:1", "2:2", "3:3"]);
	t.is(await client.reduce("length", [], () => "never", "nothing"), "nothing");
});

test("the reducer may be a promise's, and a function of the workers'", async (t) => {
	const { client } = await serve(t, {
		length,
		sum: (job) => String([...String(job.workload)].reduce((sum, digit) => sum + Number(digit), 0)),
	});
	t.is(await client.reduce("length", ["a", "bb"], async (sum, result) => sum + Number(result), 0), 3);
	t.is(String(await client.reduce("length", ["a", "bb", "ccc"], "sum")), "6");
});

test("pieces are taken as there is room for them", async (t) => {
	const { client } = await serve(t, { length });
	let taken = 0;
	let done = 0;
	let most = 0;
	async function* pieces() {
		for (; taken < 500; taken++) {
			most = Math.max(most, taken - done);
			yield "x";
		}
	}
	const sum = await client.reduce("length", pieces(), (total, result) => total + Number(result), 0, {
		concurrency: 5,
		onProgress: (count) => {
			done = count;
		},
	});
	t.is(sum, 500);
	t.true(most <= 6, `${most} in flight`);
});

test("the first piece that fails ends it, and the servers forget the rest", async (t) => {
	const { client, server } = await serve(t, {
		fail: (job) => {
			if (String(job.workload) === "2") throw new GearmanError("JOB_FAILED");
			return new Promise(() => {});
		},
	});
	let isClosed = false;
	async function* pieces() {
		try {
			for (let i = 0; ; i++) yield String(i);
		} finally {
			isClosed = true;
		}
	}
	const error = await t.throwsAsync(client.reduce("fail", pieces(), () => 0, 0));
	t.is(error.code, "JOB_FAILED");
	t.is(error.message, "piece 3 (fail): The job failed");
	await until(() => isClosed);
	// Those that run are seen to their end, all that waited are gone.
	await until(() => server.jobs.size <= 4);
});

test("an exception of a piece is told with its bytes, and what the source or the reducer throws as it is", async (t) => {
	const { client } = await serve(t, {
		throws: () => {
			throw new Error("no such thing");
		},
		length,
	});
	const exception = await t.throwsAsync(client.reduce("throws", ["x"], () => 0, 0));
	t.is(exception.code, "JOB_EXCEPTION");
	t.is(String(exception.data), "no such thing");
	async function* source() {
		yield "x";
		throw new Error("the source broke");
	}
	await t.throwsAsync(
		client.reduce("length", source(), () => 0, 0),
		{ message: "the source broke" },
	);
	const reducer = () => {
		throw new Error("cannot add");
	};
	await t.throwsAsync(client.reduce("length", ["x"], reducer, 0), { message: "cannot add" });
});

test("a signal ends it while pieces run, while none comes, and before it begins", async (t) => {
	const { client, server } = await serve(t, { never: () => new Promise(() => {}), length });
	const abort = new AbortController();
	const running = client.reduce("never", ["x", "y"], () => 0, 0, { signal: abort.signal });
	await until(() => server.jobs.size === 2);
	abort.abort();
	t.is((await t.throwsAsync(running)).code, "ABORTED");

	const silent = new AbortController();
	async function* none() {
		setImmediate(() => silent.abort());
		await new Promise(() => {});
	}
	t.is((await t.throwsAsync(client.reduce("length", none(), () => 0, 0, { signal: silent.signal }))).code, "ABORTED");
	t.is(
		(await t.throwsAsync(client.reduce("length", ["x"], () => 0, 0, { signal: AbortSignal.abort() }))).code,
		"ABORTED",
	);
});

test("a concurrency that is none is refused", async (t) => {
	const { client } = await serve(t, { length });
	t.is((await t.throwsAsync(client.reduce("length", ["x"], () => 0, 0, { concurrency: 0 }))).code, "BAD_ARGUMENT");
});

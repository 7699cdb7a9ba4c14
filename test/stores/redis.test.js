// The Redis store, against a Redis or Valkey of its own.

import test from "ava";
import { Redis } from "ioredis";
import { RedisStore } from "../../dist/server/stores/redis.js";
import { services, startService } from "../helpers/services.js";
import { opened, testRemoteStore } from "./remote.js";
import { add, jobOf, replay } from "./suite.js";

const create = (options) => new RedisStore({ port: 0, options });
const testHere = services.redis.program === undefined ? test.serial.skip : test.serial;

testRemoteStore(test, "redis", {
	create,
	queueOptions: (name) => ({ "redis-prefix": `${name}_` }),
	largest: 100 << 20,
	tooLarge: 2 ** 29 + 1,
	gearmand: {
		option: "--redis-server",
		arguments: ({ port }) => ["--queue-type=redis", "--redis-server=127.0.0.1", `--redis-port=${port}`],
		options: {},
		hasEpoch: false,
	},
});

function clientOf(t, { port }) {
	const redis = new Redis(port, "127.0.0.1");
	t.teardown(() => redis.disconnect());
	return redis;
}

testHere(
	"redis: strings made by hand as gearmand wrote them before 1.1.16 are taken over; other keys stay",
	async (t) => {
		const service = await startService("redis", t);
		const redis = clientOf(t, service);
		await redis.set("[x]*-f-u", Buffer.from([0, 255]));
		await redis.hset("[x]*-g-v", "other", "1");
		await redis.lpush("[x]*-h-w", "1");
		await redis.set("xx-f-u", "another's");
		const store = await opened(t, create({ ...service.options, "redis-prefix": "[x]*" }));
		const jobs = await replay(store);
		t.deepEqual(
			jobs.map((job) => [job.functionName, job.unique, job.priority, job.workload.toString("latin1")]),
			[["f", "u", 1, "\0\xff"]],
		);
		t.is(await redis.exists("[x]*-f-u"), 0);
		t.is(await redis.exists("[x]*-g-v", "[x]*-h-w", "xx-f-u"), 3);
	},
);

testHere("redis: who has lost the lock writes no more", async (t) => {
	const service = await startService("redis", t);
	const store = await opened(t, create(service.options));
	await store.write([add(jobOf(1))]);
	const redis = clientOf(t, service);
	await redis.set("_gear_lock", "another");
	await t.throwsAsync(async () => store.write([add(jobOf(2))]), {
		code: "STORE_FAILED",
		message: /another job server uses the keys _gear_\* of Redis at 127\.0\.0\.1/,
	});
	t.is(await redis.zcard("_gear_jobs"), 1);
	// It waits for its turn: the other one is gone.
	await redis.del("_gear_lock");
	await store.write([add(jobOf(3))]);
	t.deepEqual(await redis.zrange("_gear_jobs", 0, -1), ["H:test:1", "H:test:3"]);
});

testHere("redis: short of memory a batch is refused whole", async (t) => {
	const service = await startService("redis", t);
	const store = await opened(t, create(service.options));
	await store.write([add(jobOf(1))]);
	const redis = clientOf(t, service);
	await redis.config("SET", "maxmemory", "1");
	await t.throwsAsync(async () => store.write([add(jobOf(2)), { kind: "remove", job: jobOf(1) }]), {
		code: "STORE_FAILED",
		message: /OOM/,
	});
	t.deepEqual(await redis.zrange("_gear_jobs", 0, -1), ["H:test:1"]);
	await redis.config("SET", "maxmemory", "0");
	await store.write([add(jobOf(3))]);
	t.deepEqual(await redis.zrange("_gear_jobs", 0, -1), ["H:test:1", "H:test:3"]);
});

testHere("redis: an address may be a redis:// URL; errors leave its password out", async (t) => {
	const service = await startService("redis", t);
	const url = `redis://127.0.0.1:${service.port}/3`;
	const store = await opened(t, create({ "redis-server": url, "redis-port": "1" }));
	await store.write([add(jobOf(1))]);
	await store.close();
	await service.kill();
	const error = await t.throwsAsync(create({ "redis-server": url.replace("127", "me:secret@127") }).open());
	t.notRegex(error.message, /secret/);
});

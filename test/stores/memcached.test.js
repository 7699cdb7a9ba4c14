// The memcached store, against a memcached of its own.

import { once } from "node:events";
import { connect, createServer } from "node:net";
import test from "ava";
import { MemcachedStore } from "../../dist/server/stores/memcached.js";
import { services, startService } from "../helpers/services.js";
import { opened, testRemoteStore } from "./remote.js";
import { add, jobOf, remove, replay } from "./suite.js";

const create = (options) => new MemcachedStore({ port: 0, options });
const testHere = services.memcached.program === undefined ? test.serial.skip : test.serial;

testRemoteStore(test, "memcached", {
	create,
	queueOptions: (name) => ({ "libmemcached-prefix": `${name}_` }),
	largest: 20 << 20,
	tooLarge: 32 << 20,
	gearmand: {
		option: "--libmemcached-servers",
		arguments: ({ port }) => ["--queue-type=libmemcached", `--libmemcached-servers=127.0.0.1:${port}`],
		options: {},
		hasEpoch: false,
	},
	forgets: true,
});

testHere(
	"memcached: a job too large for an item is refused with memcached's sentence, and the next batch goes in",
	async (t) => {
		const service = await startService("memcached", t);
		const store = await opened(t, create(service.options));
		const large = jobOf(1, { workload: Buffer.alloc(33 << 20) });
		await t.throwsAsync(async () => store.write([add(jobOf(2)), add(large)]), {
			code: "STORE_FAILED",
			message: /object too large for cache/,
		});
		await store.write([add(jobOf(3))]);
		await store.close();
		const left = await replay(await opened(t, create(service.options)));
		t.deepEqual(
			left.map(({ handle }) => handle),
			["H:test:3"],
		);
	},
);

testHere("memcached: 20,000 jobs come and go over many pages, and leave nothing behind", async (t) => {
	const service = await startService("memcached", t);
	const store = await opened(t, create(service.options));
	const jobs = Array.from({ length: 20_000 }, (_, i) => jobOf(i));
	for (let i = 0; i < jobs.length; i += 500) await store.write(jobs.slice(i, i + 500).map(add));
	await store.write(jobs.slice(5000, 15_000).map(remove));
	await store.close();
	const again = await opened(t, create(service.options));
	const left = (await replay(again)).map(({ handle }) => handle);
	t.deepEqual(
		left,
		[...jobs.slice(0, 5000), ...jobs.slice(15_000)].map(({ handle }) => handle),
	);
	await again.write(jobs.map(remove));
	await again.write([add(jobOf(99_999))]);
	await again.close();
	const last = await opened(t, create(service.options));
	t.deepEqual((await replay(last)).length, 1);
	await last.write([remove(jobOf(99_999))]);
	// What a run that was killed has left done is tidied up by the next one.
	const socket = connect(service.port, "127.0.0.1");
	t.teardown(() => socket.destroy());
	socket.write("lru_crawler metadump all\r\n");
	let listing = "";
	for await (const bytes of socket) {
		listing += bytes;
		if (listing.endsWith("END\r\n")) break;
	}
	const pages = listing.match(/^key=gear_page\S+/gm);
	t.is(pages.length, 1, listing);
	t.false(listing.includes("gear_job"));
});

test("memcached: something else that answers at its port stops the start", async (t) => {
	const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")).listen(0, "127.0.0.1");
	await once(server, "listening");
	t.teardown(() => server.close());
	const store = create({ "libmemcached-servers": `127.0.0.1:${server.address().port}` });
	await t.throwsAsync(store.open(), { code: "STORE_FAILED", message: /^memcached( at 127\.0\.0\.1:\d+)?: / });
});

test("memcached: one server is taken, and a prefix that fits into a key", (t) => {
	for (const servers of ["a,b", "a:x", "a b"]) {
		t.throws(() => create({ "libmemcached-servers": servers }), { code: "BAD_ARGUMENT" }, servers);
	}
	for (const prefix of ["a b", "é", "x".repeat(101)]) {
		t.throws(() => create({ "libmemcached-prefix": prefix }), { code: "BAD_ARGUMENT" }, prefix);
	}
});

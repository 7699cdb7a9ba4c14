// Narada crawls a site that is hard on it, with real processes and each database; and is killed while it does.

import test from "ava";
import { idOf } from "../../scripts/examples/narada/address.js";
import { untilIdle } from "../../scripts/examples/narada/ask.js";
import { openDocuments } from "../../scripts/examples/narada/documents/index.js";
import { askFetch } from "../../scripts/examples/narada/jobs.js";
import { DEPTH, found, STATES, startSite } from "../fixtures/site.js";
import { runExample } from "../helpers/examples.js";
import { startNarada, WORKERS } from "../helpers/narada.js";
import { random } from "../helpers/random.js";
import { dial } from "../helpers/server.js";
import { services, startService } from "../helpers/services.js";
import { until } from "../helpers/until.js";

/** Database → the service it needs and how it is named. */
const databases = {
	sqlite: {},
	postgres: { service: "postgres", url: (port) => `postgres://gearman@127.0.0.1:${port}/postgres` },
	mysql: { service: "mysql", url: (port) => `mysql://root@127.0.0.1:${port}/mysql` },
};
const path = (url) => new URL(url).pathname;

async function isAllFound(t, narada, site) {
	t.deepEqual(await narada.counts(), STATES);
	for (const [words, page] of Object.entries(found)) {
		const { hits } = await narada.search(words);
		t.deepEqual(
			hits.map(({ url }) => path(url)),
			page === undefined ? [] : [page],
			words,
		);
	}
	const { total, hits } = await narada.search("common even");
	t.is(total, 100);
	t.deepEqual(
		hits.filter(({ url }) => Number(url.split("/").at(-1)) % 2 !== 0),
		[],
	);
	t.is(site.elsewhere, 0, "no other site was asked");
	t.false(site.requests.has("/private/secret"));
}

for (const [name, { service: kind, url }] of Object.entries(databases)) {
	const isThere = kind === undefined || services[kind].program !== undefined;
	const testHere = isThere ? test.serial : test.serial.skip;
	testHere(`narada with ${name} finds what a site links to, nothing else, and asks for no page twice`, async (t) => {
		const service = kind === undefined ? undefined : await startService(kind, t);
		const site = await startSite(t);
		const narada = await startNarada(t, service === undefined ? [] : ["--database", url(service.port)]);
		await narada.command("submit", site.url, "--depth", `${DEPTH}`, "--wait");
		await isAllFound(t, narada, site);
		const again = [...site.requests].filter(
			([page, times]) => times > 1 && !["/flaky", "/broken", "/silent"].includes(page),
		);
		t.deepEqual(again, []);
		t.is(site.requests.get("/broken"), 4, "and then no more");
	});
}

test.serial(
	"narada that is killed again and again, each process and the job server, goes on where it was",
	async (t) => {
		const site = await startSite(t);
		const narada = await startNarada(t);
		await narada.command("submit", site.url, "--depth", `${DEPTH}`);
		const { next } = random(t);
		const names = ["server", ...WORKERS];
		const asked = () => [...site.requests.values()].reduce((sum, times) => sum + times, 0);
		const kills = 15;
		for (let killed = 0; killed < kills; killed++) {
			await until(() => asked() > 12 * killed, "the crawl to go on");
			await new Promise((resolve) => setTimeout(resolve, next(60)));
			await narada.restart(names[next(names.length)]);
		}
		await narada.command("submit", site.url, "--depth", "0", "--wait");
		await isAllFound(t, narada, site);
		// What was under way when a process was killed is asked for again, and that is all.
		t.true(asked() < site.requests.size + 12 + 20 * kills, `${asked()} requests`);
	},
);

test.serial("narada: a worker killed after it asked for a page's next try has not lost that try", async (t) => {
	const site = await startSite(t);
	const narada = await startNarada(t);
	const documents = await openDocuments(narada.database);
	t.teardown(() => documents.close());
	const url = new URL("/broken", site.url).href;
	const page = { id: idOf(url), depth: 0, started: Date.now() };
	await documents.add([{ id: page.id, url }], page.depth, 0);

	// The job exists, and the documents do not know: that is where it was killed.
	await askFetch(narada.client, { ...page, attempts: 1 });
	await untilIdle(narada.server);
	t.deepEqual(await narada.counts(), { failed: 1 });
	t.is(site.requests.get("/broken"), 3, "of four tries the last three");
});

test.serial("narada: a try that another has come after changes nothing", async (t) => {
	const site = await startSite(t);
	const narada = await startNarada(t);
	const documents = await openDocuments(narada.database);
	t.teardown(() => documents.close());
	const url = new URL("/page/1", site.url).href;
	const page = { id: idOf(url), depth: 0, started: Date.now() };
	await documents.add([{ id: page.id, url }], page.depth, 0);
	await documents.noteAttempt({ ...page, attempts: 2 });

	await askFetch(narada.client, { ...page, attempts: 1 });
	await untilIdle(narada.server);
	t.deepEqual(await narada.counts(), { new: 1 });
	t.is(site.requests.get("/page/1"), undefined);
	await askFetch(narada.client, { ...page, attempts: 2 });
	await untilIdle(narada.server);
	t.deepEqual(await narada.counts(), { indexed: 1 });
});

test.serial("narada fetches a page at most once a crawl, however old pages may be", async (t) => {
	const site = await startSite(t);
	const narada = await startNarada(t, ["--max-age", "0"]);
	const crawl = () => narada.command("submit", new URL("/page/60", site.url).href, "--depth", "1", "--wait");
	await crawl();
	const first = new Map(site.requests);
	t.deepEqual(new Set(first.values()), new Set([1]));
	await crawl();
	for (const [path, times] of site.requests) t.is(times, path === "/robots.txt" ? 1 : 2, path);
});

test.serial(
	"narada asks a host for one page at a time, however many workers fetch, and waits in the queue",
	async (t) => {
		const site = await startSite(t);
		const delayMs = 300;
		const narada = await startNarada(t, ["--delay", `${delayMs}`]);
		await narada.start("fetch");
		await narada.command("submit", new URL("/page/1", site.url).href, "--depth", "2", "--wait");
		// The first may have come late, and no other before its turn.
		const lateMs = 2000;
		t.true(site.times.length > 10);
		t.true(site.times.at(-1) - site.times[0] > (site.times.length - 1) * delayMs - lateMs);
		const counts = await narada.counts();
		t.deepEqual([counts.new, counts.queued, counts.fetched], [undefined, undefined, undefined]);
	},
);

const testCache = services.memcached.program === undefined ? test.serial.skip : test.serial;
testCache("narada answers equal searches from memcached until something is indexed, and works without", async (t) => {
	const service = await startService("memcached", t);
	const site = await startSite(t);
	const narada = await startNarada(t, ["--cache", `127.0.0.1:${service.port}`]);
	const crawl = (page) => narada.command("submit", new URL(page, site.url).href, "--depth", "0", "--wait");
	await crawl("/page/1");
	t.is((await narada.search("common")).total, 1);
	const wire = await dial(t, service.port);
	const hits = async () => Number((await statistics(wire)).get_hits);
	const before = await hits();
	t.is((await narada.search("common")).total, 1);
	t.is((await hits()) - before, 2, "the version and the answer");
	await crawl("/page/2");
	t.is((await narada.search("common")).total, 2);
	await service.stop();
	t.is((await narada.search("common")).total, 2);
	await crawl("/page/3");
	t.is((await narada.search("common")).total, 3);
});

/** memcached's own counts, by its text protocol. */
async function statistics(wire) {
	wire.raw("stats\r\n");
	const rows = {};
	for (let line = await wire.next(); line !== "END"; line = await wire.next()) {
		const [, name, value] = line.split(" ");
		rows[name] = value;
	}
	return rows;
}

test.serial("narada: the example's run script shows a crawl and a search, and stops all it has started", async (t) => {
	const stdout = await runExample(t, "narada");
	t.regex(stdout, /^indexed\t\d+$/m);
	t.regex(stdout, /The \*job server\*/);
});

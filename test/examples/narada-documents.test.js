// Narada's documents in each database: what has to hold when workers meet, without any.

import { join } from "node:path";
import test from "ava";
import { openDocuments } from "../../scripts/examples/narada/documents/index.js";
import { temporaryFolder } from "../helpers/program.js";
import { services, sharedService } from "../helpers/services.js";

const databases = {
	sqlite: async (t) => `sqlite:${join(temporaryFolder(t), "narada.db")}`,
	postgres: async (_, { port }) => `postgres://gearman@127.0.0.1:${port}/postgres`,
	mysql: async (_, { port }) => `mysql://root@127.0.0.1:${port}/mysql`,
};
let pages = 0;
/** A page no other test has. */
const newPage = () => ({ id: `id${++pages}`, url: `http://host/${pages}` });
const fetched = (text, title = "Title") => ({ state: "fetched", title, text });

for (const [name, addressOf] of Object.entries(databases)) {
	const kind = services[name];
	const isThere = kind === undefined || kind.program !== undefined;
	const shared = kind === undefined ? () => undefined : sharedService(test, name);
	const testHere = (title, run) => {
		const define = isThere ? test.serial : test.serial.skip;
		define(`narada's documents, ${name}: ${title}`, async (t) => {
			const documents = await openDocuments(await addressOf(t, await shared()));
			t.teardown(() => documents.close());
			await run(t, documents);
		});
	};

	testHere("a page is new until a job to fetch it exists", async (t, documents) => {
		const page = newPage();
		t.deepEqual(await documents.add([page], 2, 0), [{ id: page.id, depth: 2, attempts: 0 }]);
		t.is((await documents.add([page], 1, 0)).length, 1, "whoever adds it meanwhile asks for a job too");
		await documents.noteQueued([{ id: page.id, depth: 2 }]);
		t.deepEqual(await documents.add([page], 2, 0), []);
		t.like(await documents.get(page.id), { url: page.url, depth: 2, state: "queued", attempts: 0 });
		t.is(await documents.get("none"), undefined);
		t.deepEqual(await documents.add([], 2, 0), []);
		await documents.noteQueued([]);
	});

	testHere(
		"a page that is found nearer to the start is fetched again, and an older run changes nothing",
		async (t, documents) => {
			const page = newPage();
			const [first] = await documents.add([page], 1, 0);
			for (const attempts of [2, 1]) await documents.noteAttempt({ ...first, attempts });
			t.deepEqual(await documents.add([page], 1, 0), [{ id: page.id, depth: 1, attempts: 2 }]);
			t.deepEqual(await documents.add([page], 3, 0), [{ id: page.id, depth: 3, attempts: 0 }]);
			await documents.noteQueued([first]);
			await documents.noteAttempt({ ...first, attempts: 3 });
			await documents.settle(first, fetched("of the older run"));
			t.like(await documents.get(page.id), { depth: 3, state: "new", attempts: 0 });
		},
	);

	testHere("a page that was fetched long ago is fetched again", async (t, documents) => {
		const page = newPage();
		const [known] = await documents.add([page], 1, 0);
		await documents.settle(known, { state: "failed", reason: "HTTP 404" });
		t.deepEqual(await documents.add([page], 1, Date.now() - 1000), []);
		t.is((await documents.add([page], 0, Date.now() + 1000)).length, 1);
		t.like(await documents.get(page.id), { depth: 1, state: "new" });
	});

	testHere(
		"what was fetched is indexed once, replaced by what is fetched later, and goes when the page is gone",
		async (t, documents) => {
			const page = newPage();
			const find = async (...words) => (await documents.search([words], 10, 0)).hits.map(({ url }) => url);
			const again = async () => (await documents.add([page], 0, Date.now() + 1000))[0];
			await documents.settle(await again(), fetched("firstwords there"));
			t.deepEqual(await find("firstwords"), []);
			t.is(await documents.indexSome(10), 1);
			t.is(await documents.indexSome(10), 0);
			t.deepEqual(await find("firstwords", "there"), [page.url]);
			t.deepEqual(await find("there", "firstwords"), []);
			await documents.settle(await again(), fetched("otherwords", "Newtitle"));
			t.deepEqual(await find("firstwords"), [page.url], "until the new text is indexed");
			await documents.indexSome(10);
			t.deepEqual(
				[await find("firstwords"), await find("otherwords"), await find("newtitle")],
				[[], [page.url], [page.url]],
			);
			await documents.settle(await again(), { state: "failed", reason: "HTTP 410" });
			t.deepEqual(await find("otherwords"), []);
		},
	);

	testHere("a title counts more than the text, and all the words have to be there", async (t, documents) => {
		const texts = [
			["Other", `zebra ${"and more ".repeat(20)}`],
			["The zebra", "this and that, stripes"],
			["Horses", `stripes, and "quotes" % _ ' ; -- é`],
		];
		const [one, two] = await Promise.all(
			texts.map(async ([title, text]) => {
				const page = newPage();
				const [known] = await documents.add([page], 0, 0);
				await documents.settle(known, fetched(text, title));
				return page.url;
			}),
		);
		t.is(await documents.indexSome(2), 2);
		t.is(await documents.indexSome(2), 1);
		const find = async (...phrases) => await documents.search(phrases, 10, 0);
		t.deepEqual(
			(await find(["zebra"])).hits.map(({ url }) => url),
			[two, one],
		);
		t.deepEqual(
			(await find(["zebra"], ["stripes"])).hits.map(({ url }) => url),
			[two],
		);
		t.like(await documents.search([["zebra"]], 1, 1), { total: 2, hits: [{ url: one, title: "Other" }] });
		t.is((await find(["stripes"])).hits.find(({ title }) => title === "Horses").text, texts[2][1]);
	});

	testHere("a host's turns are one after another, whoever asks", async (t, documents) => {
		const host = newPage().url;
		const turns = await Promise.all([1, 2, 3].map(() => documents.takeTurn(host, 1_700_000_000_000, 200)));
		t.deepEqual(
			turns.toSorted(),
			[0, 200, 400].map((ms) => 1_700_000_000_000 + ms),
		);
		t.is(await documents.takeTurn(host, 1_700_000_005_000, 200), 1_700_000_005_000);
		t.is(await documents.takeTurn(newPage().url, 5, 200), 5);
	});
}

test("narada's documents: another database is refused in a sentence", async (t) => {
	await t.throwsAsync(openDocuments("oracle://x"), { message: /--database takes sqlite:FILE, postgres:/ });
});

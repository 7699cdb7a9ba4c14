// The page of the fan-out example, its parts made by a worker of the test that finishes them when told to.

import { once } from "node:events";
import { get } from "node:http";
import test from "ava";
import { Worker } from "gearman";
import { exampleFile, runExample } from "../helpers/examples.js";
import { start } from "../helpers/programs.js";
import { startServer } from "../helpers/server.js";
import { until } from "../helpers/until.js";

/** The page's address. */
async function startPage(t, port, env = {}) {
	const { output } = start(t, exampleFile("fan-out/page.js"), [], {
		env: { GEARMAN_SERVER: `127.0.0.1:${port}`, ...env },
	});
	return await until(() => /^(http:\S+)\n/.exec(output())?.[1], "the page's address");
}

/** Asks for the page; `text()` is what has come so far. */
async function open(t, url) {
	const request = get(url);
	t.teardown(() => request.destroy());
	const [response] = await once(request, "response");
	let text = "";
	response.setEncoding("utf8").on("data", (chunk) => {
		text += chunk;
	});
	return { text: () => text, response };
}

test("fan-out: the frame comes before any part is done, and the parts in the order they are", async (t) => {
	const { port } = await startServer(t);
	const finish = new Map();
	const worker = new Worker(`127.0.0.1:${port}`, { concurrency: 10 });
	t.teardown(() => worker.kill());
	for (const name of ["account", "recommended", "news", "weather"]) {
		worker.add(`page.${name}`, () => new Promise((resolve, reject) => finish.set(name, { resolve, reject })));
	}
	void worker.run();
	const { text, response } = await open(t, await startPage(t, port));

	await until(() => text().includes("</template>"), "the frame");
	t.notRegex(text(), /<p slot/);
	await until(() => finish.size === 4, "all jobs");
	finish.get("news").resolve("It is <news>");
	await until(() => text().endsWith('<p slot="news">It is &#60;news&#62;</p>\n'), "the news");
	finish.get("weather").reject(new Error("secret details"));
	await until(() => text().includes('<p slot="weather"><i>not available just now</i></p>'), "the weather");
	finish.get("account").resolve("");
	finish.get("recommended").resolve("last");
	await once(response, "end");
	t.regex(text(), /<p slot="recommended">last<\/p>\n<\/body>\n<\/html>\n$/);
	t.notRegex(text(), /secret/);
});

test("fan-out: a page without workers is complete after its longest wait", async (t) => {
	const { port } = await startServer(t);
	const { text, response } = await open(t, await startPage(t, port, { PART_MS: "100" }));
	await once(response, "end");
	t.is(text().match(/not available/g).length, 4);
});

test.serial("fan-out: the run script shows the page line by line", async (t) => {
	const shown = await runExample(t, "fan-out");
	t.regex(shown, /^\d+\.\d\d <p slot="news">The post has arrived\.<\/p>$/m);
});

// The dashboard in a real browser, with real peers behind it.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openPage, testInBrowser } from "../helpers/chromium.js";
import { httpServer } from "../helpers/http.js";
import { dial } from "../helpers/server.js";

const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** What axe finds of faults in the page as it is. */
async function faults(page) {
	// Into the page's own world, past its policy, as the tool's own way in is.
	const session = await page.context().newCDPSession(page);
	await session.send("Runtime.evaluate", { expression: axe });
	const { result } = await session.send("Runtime.evaluate", {
		expression: `axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] })
			.then(({ violations }) => violations
				.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")))`,
		awaitPromise: true,
		returnByValue: true,
	});
	await session.detach();
	return result.value;
}

async function background(wire, name, unique) {
	wire.send("SUBMIT_JOB_BG", name, unique, "w");
	const [, handle] = await wire.next();
	return handle;
}

const row = (page, table, text) =>
	page.getByRole("table", { name: table }).locator("tbody tr").filter({ hasText: text });

testInBrowser("a job appears, runs and finishes, and another is cancelled", async (t) => {
	const { port, http } = await httpServer(t);
	const page = await openPage(t);
	await page.goto(`http://127.0.0.1:${http}/`);
	await page.getByText("No functions yet.").waitFor();
	t.true(await page.getByText(`echo hello | gearman -p ${port} -f reverse`).isVisible());

	const client = await dial(t, port);
	client.send("SUBMIT_JOB", "resize", "picture-1", "w");
	const [, first] = await client.next();
	await row(page, "Functions", "resize").getByText("no worker").waitFor();
	await page.getByRole("link", { name: "resize" }).click();
	await row(page, "Jobs", first).filter({ hasText: "picture-1" }).filter({ hasText: "queued" }).waitFor();
	t.true(await page.getByText(`gearman -p ${port} -w -f resize COMMAND`).isVisible());

	const worker = await dial(t, port);
	worker.send("SET_CLIENT_ID", "worker-a");
	worker.send("CAN_DO", "resize");
	worker.send("GRAB_JOB");
	await worker.next();
	worker.send("WORK_STATUS", first, "1", "4");
	await row(page, "Jobs", first).filter({ hasText: "running, 25 %" }).waitFor();
	await row(page, "Workers", "worker-a").filter({ hasText: first }).waitFor();
	worker.send("WORK_COMPLETE", first, "done");
	await page.getByText("No jobs.").waitFor();
	t.is(await page.locator(".facts div", { hasText: "Done" }).locator("dd > span").textContent(), "1");

	client.send("SUBMIT_JOB", "resize", "picture-2", "w");
	await client.settle();
	const second = await page.getByRole("table", { name: "Jobs" }).getByRole("rowheader").textContent();
	await page.getByRole("button", { name: `Cancel job ${second}` }).click();
	const dialog = page.getByRole("dialog", { name: "Cancel this job?" });
	// It asks, and Escape is no.
	await page.keyboard.press("Escape");
	await dialog.waitFor({ state: "detached" });
	await page.getByRole("button", { name: `Cancel job ${second}` }).click();
	await dialog.getByRole("button", { name: "Cancel job" }).click();
	await page.getByText("No jobs.").waitFor();
	t.is(await page.getByRole("status").textContent(), `Job ${second} was cancelled`);
	for (let item = await client.next(); item[0] !== "WORK_FAIL"; item = await client.next());
});

testInBrowser("a function is limited and dropped, not while it has workers", async (t) => {
	const { server, port, http } = await httpServer(t);
	const client = await dial(t, port);
	await background(client, "old", "a");
	const worker = await dial(t, port);
	worker.send("CAN_DO", "old");
	await worker.settle();
	const page = await openPage(t);
	await page.goto(`http://127.0.0.1:${http}/dashboard/#/functions/old`);
	await page.getByRole("button", { name: "Max queue…" }).click();
	await page.getByLabel("Normal").fill("100");
	await page.getByRole("button", { name: "Set" }).click();
	await page.getByText("none / 100 / none").waitFor();
	t.deepEqual([...server.jobs.functions.get("old").maxQueue], [0, 100, 0]);

	await page.getByRole("button", { name: "Drop…" }).click();
	await page.getByRole("dialog", { name: "old cannot be dropped now" }).waitFor();
	await page.keyboard.press("Escape");
	await worker.close();
	await page.getByText("No worker is connected.").waitFor();
	await page.getByRole("button", { name: "Drop…" }).click();
	await page.getByText("1 waiting job will be cancelled").waitFor();
	await page.getByRole("button", { name: "Drop function" }).click();
	await page.getByText("No functions yet.").waitFor();
	t.is(server.jobs.functions.size, 0);
});

testInBrowser("names that look like HTML stay text", async (t) => {
	const { port, http } = await httpServer(t);
	const evil = `<img src=x onerror="document.title='owned'">`;
	const client = await dial(t, port);
	await background(client, evil, evil.replace("img", "b"));
	const worker = await dial(t, port);
	worker.send("SET_CLIENT_ID", "<script>document.title='owned'</script>");
	worker.send("CAN_DO", evil);
	worker.send("GRAB_JOB");
	await worker.next();
	const page = await openPage(t);
	await page.goto(`http://127.0.0.1:${http}/`);
	await page.getByRole("link", { name: evil }).click();
	await row(page, "Jobs", "running").filter({ hasText: "<b src" }).waitFor();
	await page.getByRole("link", { name: /^Workers/ }).click();
	await row(page, "Workers", "<script>").getByRole("link", { name: "#" }).click();
	await page.getByRole("heading", { name: "Worker #" }).waitFor();
	await row(page, "Current jobs", "<img").waitFor();
	t.is(await page.locator("img").count(), 0);
	t.notRegex(await page.title(), /owned/);
	// One that would turn what stands behind it.
	await background(client, Buffer.from("pay\u202eelif\x9b\n"), "u");
	await page.getByRole("link", { name: "Functions" }).click();
	await page.getByRole("link", { name: "pay\ufffdelif\ufffd␊" }).waitFor();
});

testInBrowser("it is used by keyboard alone, filtered and sorted", async (t) => {
	const { port, http } = await httpServer(t);
	const client = await dial(t, port);
	for (const name of ["apple", "banana", "cherry"]) await background(client, name, "u");
	await background(client, "banana", "v");
	const page = await openPage(t);
	await page.goto(`http://127.0.0.1:${http}/`);
	const names = () =>
		page.getByRole("table", { name: "Functions" }).getByRole("rowheader").getByRole("link").allTextContents();
	await row(page, "Functions", "banana").waitFor();
	t.is((await names())[0], "banana");

	await page.keyboard.press("Tab");
	t.is(await page.evaluate(() => document.activeElement.textContent), "Skip to content");
	await page.keyboard.press("Enter");
	t.is(await page.evaluate(() => document.activeElement.id), "content");
	await page.keyboard.press("Tab");
	await page.keyboard.type("an");
	await row(page, "Functions", "apple").waitFor({ state: "detached" });
	t.deepEqual(await names(), ["banana"]);
	await page.keyboard.press("Control+A");
	await page.keyboard.press("Delete");
	await row(page, "Functions", "apple").waitFor();

	const head = page.getByRole("columnheader", { name: "Function" });
	await head.getByRole("button").focus();
	await page.keyboard.press("Enter");
	await page.locator("th[aria-sort=ascending]").waitFor();
	await row(page, "Functions", "apple").and(page.locator("tbody tr:first-child")).waitFor();
	await page.keyboard.press("Enter");
	await row(page, "Functions", "cherry").and(page.locator("tbody tr:first-child")).waitFor();
	t.is(await head.getAttribute("aria-sort"), "descending");

	await page.getByRole("link", { name: "cherry" }).focus();
	await page.keyboard.press("Enter");
	await row(page, "Jobs", "queued").waitFor();
	t.is(await page.evaluate(() => document.activeElement.tagName), "H2");
	t.is(await page.title(), "cherry · Gearman");
});

testInBrowser("a lost server is told, and found again", async (t) => {
	const first = await httpServer(t);
	const page = await openPage(t);
	await page.goto(`http://127.0.0.1:${first.http}/`);
	await page.getByText("Live", { exact: true }).waitFor();
	await first.server.stop();
	await page.locator("#link", { hasText: "Connection lost, trying again" }).waitFor();
	const second = await httpServer(t, { httpPort: first.http });
	await page.getByText("Live", { exact: true }).waitFor();
	await background(await dial(t, second.port), "back", "u");
	await page.getByRole("link", { name: "back" }).waitFor();
	await page.getByRole("button", { name: "Pause" }).click();
	await page.getByText("Paused").waitFor();
	t.pass();
});

testInBrowser("axe finds no fault in any view, light, dark and narrow", async (t) => {
	const { port, http } = await httpServer(t);
	const empty = await httpServer(t);
	const client = await dial(t, port);
	for (let i = 0; i < 20; i++) await background(client, `function-${i}`, `u${i}`);
	for (let i = 0; i < 60; i++) await background(client, "many", `u${i}`);
	const worker = await dial(t, port);
	worker.send("CAN_DO", "many");
	worker.send("GRAB_JOB");
	await worker.next();
	for (const options of [
		{ colorScheme: "light" },
		{ colorScheme: "dark" },
		{ viewport: { width: 360, height: 740 } },
	]) {
		const page = await openPage(t, options);
		const look = async (what) => {
			t.deepEqual(await faults(page), [], `${what} ${JSON.stringify(options)}`);
			const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
			t.true(overflow <= 0, `${what} is not wider than the page ${JSON.stringify(options)}`);
		};
		await page.goto(`http://127.0.0.1:${empty.http}/`);
		await page.getByText("No functions yet.").waitFor();
		await look("empty");
		await page.goto(`http://127.0.0.1:${http}/`);
		await row(page, "Functions", "many").waitFor();
		await page.getByText("As a table").first().click();
		await look("functions");
		await page.getByRole("link", { name: "many" }).click();
		await row(page, "Jobs", "running").waitFor();
		await look("function");
		await page.getByRole("button", { name: "Next" }).click();
		await page.getByText("Page 2, 10 jobs").waitFor();
		await page.getByRole("button", { name: "Drop…" }).click();
		await look("dialog");
		await page.keyboard.press("Escape");
		await page.getByRole("link", { name: /^Workers/ }).click();
		await row(page, "Workers", "many").waitFor();
		await look("workers");
		await row(page, "Workers", "many").getByRole("link", { name: "#" }).click();
		await row(page, "Current jobs", "many").waitFor();
		await look("worker");
	}
});

testInBrowser("a job is found among many, page by page", async (t) => {
	const { port, http } = await httpServer(t);
	const client = await dial(t, port);
	for (let i = 0; i < 120; i++) await background(client, "many", `u${i}`);
	const page = await openPage(t);
	await page.goto(`http://127.0.0.1:${http}/dashboard/#/functions/many`);
	await page.getByText("Page 1, 50 jobs").waitFor();
	await page.getByRole("button", { name: "Next" }).click();
	await page.getByText("Page 2, 50 jobs").waitFor();
	await row(page, "Jobs", "u50").waitFor();
	await page.getByRole("button", { name: "Next" }).click();
	await page.getByText("Page 3, 20 jobs").waitFor();
	await page.getByRole("button", { name: "Previous" }).click();
	await page.getByText("Page 2, 50 jobs").waitFor();
	await page.getByLabel("Unique or handle contains").fill("u119");
	await page.getByText("1 job", { exact: true }).waitFor();
	await row(page, "Jobs", "u119").waitFor();
	t.is(await page.getByRole("table", { name: "Jobs" }).locator("tbody tr").count(), 1);
});

testInBrowser("colours are chosen, and stay chosen", async (t) => {
	const { http } = await httpServer(t);
	const page = await openPage(t, { colorScheme: "light" });
	await page.goto(`http://127.0.0.1:${http}/`);
	const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
	const light = await ground();
	await page.getByLabel("Colours").selectOption("dark");
	const dark = await ground();
	t.not(dark, light);
	await page.reload();
	t.is(await ground(), dark);
});

#!/usr/bin/env node
// Makes the README's picture of the dashboard: a server with a day's mix of work, looked at by Debian's chromium.
//
//   scripts/screenshot.js            scripts/dashboard.png
//   scripts/screenshot.js FOLDER     every view there, light, dark, narrow and empty: to look at after a change
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client, Server, Worker } from "../dist/index.js";
import { launchChromium } from "../test/helpers/browser.js";

const [folder] = process.argv.slice(2);
/** The charts' lines should have some length. */
const WORKED_MS = folder === undefined ? 300_000 : 25_000;

const { server, base, end } = await serve();
/** function → workers, ms a job, jobs a second, share that fails */
const work = {
	"thumbnail.create": { workers: 6, runMs: 60, perSecond: 70, failing: 0.01 },
	"mail.send": { workers: 3, runMs: 35, perSecond: 45, failing: 0.03 },
	"search.index": { workers: 4, runMs: 20, perSecond: 120, failing: 0 },
	"invoice.pdf": { workers: 2, runMs: 400, perSecond: 4, failing: 0 },
	"geo.lookup": { workers: 2, runMs: 4, perSecond: 60, failing: 0 },
	"webhook.deliver": { workers: 2, runMs: 120, perSecond: 17, failing: 0.08 },
};
const workers = [];
for (const [name, { workers: count, runMs, failing }] of Object.entries(work)) {
	for (let i = 1; i <= count; i++) {
		const worker = new Worker(`127.0.0.1:${server.port}`, { id: `${name.split(".")[0]}-${i}` });
		worker.add(name, async () => {
			await sleep(runMs * (0.5 + Math.random()));
			if (Math.random() < failing) throw new Error("it failed");
			return "";
		});
		const done = worker.run();
		done.catch(() => {});
		workers.push(worker);
	}
}
const slow = new Worker(`127.0.0.1:${server.port}`, { id: "video-1" });
slow.add("video.encode", async (job) => {
	for (let percent = 1; percent <= 100; percent++) {
		job.sendStatus(percent, 100);
		await sleep(600);
	}
	return "";
});
slow.run().catch(() => {});
workers.push(slow);

const client = new Client(`127.0.0.1:${server.port}`);
const timers = [];
let number = 0;
for (const [name, { perSecond }] of Object.entries(work)) {
	timers.push(
		setInterval(() => {
			// Work comes in waves.
			const due = (perSecond / 10) * (1 + 0.35 * Math.sin(Date.now() / 9000)) + Math.random();
			for (let i = 0; i < Math.floor(due); i++) {
				client.background(name, `item ${++number}`, { unique: `${name.split(".")[0]}-${number}` }).catch(() => {});
			}
		}, 100),
	);
}
for (let i = 1; i <= 7; i++) await client.background("video.encode", "x".repeat(40_000), { unique: `clip-${i}` });
for (let i = 1; i <= 23; i++) await client.background("report.monthly", "{}", { unique: `customer-${1000 + i}` });
for (let i = 1; i <= 40; i++) {
	await client.background("cleanup.sessions", "", { unique: `night-${i}`, delayMs: 7_200_000 });
}

const browser = await launchChromium();

async function page(options = {}) {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
	const opened = await context.newPage();
	await opened.goto(`${base}/`);
	await opened.locator("#link[data-state=live]").waitFor();
	return opened;
}

/** Fewer colours are a smaller file; nothing is lost to the eye. */
function reduce(path) {
	execFileSync("convert", [
		path,
		"-strip",
		"-dither",
		"None",
		"-colors",
		"128",
		"-define",
		"png:compression-level=9",
		path,
	]);
}

const watching = await page();
await sleep(WORKED_MS);
if (folder === undefined) {
	const path = fileURLToPath(new URL("dashboard.png", import.meta.url));
	await watching.setViewportSize({ width: 1280, height: 850 });
	await sleep(1500);
	// What this machine is called is nobody's business.
	await watching.locator("#about").evaluate((about) => {
		about.textContent = about.textContent.replace(/^\S+/, "jobs1:4730");
	});
	await watching.screenshot({ path });
	reduce(path);
} else {
	mkdirSync(folder, { recursive: true });
	const shots = {
		light: {},
		dark: { colorScheme: "dark" },
		narrow: { viewport: { width: 360, height: 740 } },
	};
	for (const [name, options] of Object.entries(shots)) {
		const opened = await page(options);
		for (const [view, hash] of Object.entries({
			functions: "#/",
			function: "#/functions/video.encode",
			stuck: "#/functions/report.monthly",
			workers: "#/workers",
			worker: "#/workers/1",
		})) {
			await opened.goto(`${base}/dashboard/${hash}`);
			await sleep(2200);
			await opened.screenshot({ path: join(folder, `${name}-${view}.png`), fullPage: true });
		}
		await opened.goto(`${base}/dashboard/#/functions/video.encode`);
		await opened
			.getByRole("button", { name: /^Cancel job/ })
			.first()
			.click();
		await opened.screenshot({ path: join(folder, `${name}-dialog.png`) });
		await opened.context().close();
	}
	const empty = await serve();
	const opened = await page();
	await opened.goto(`${empty.base}/`);
	await sleep(1500);
	await opened.screenshot({ path: join(folder, "empty.png") });
	await empty.end();
	await opened.locator("#link[data-state=lost]").waitFor();
	await opened.screenshot({ path: join(folder, "lost.png") });
}

for (const timer of timers) clearInterval(timer);
await browser.close();
client.close();
for (const worker of workers) void worker.stop();
await end();
process.exit(0);

async function serve() {
	const server = new Server({
		listen: ["127.0.0.1"],
		port: 0,
		protocols: ["http"],
		httpPort: 0,
		handlePrefix: "H:jobs1",
	});
	await server.start();
	const base = `http://127.0.0.1:${server.addressesOf("http")[0].port}`;
	return { server, base, end: () => server.stop() };
}

// A real browser: Debian's chromium without a screen, one for each test file.

import { existsSync } from "node:fs";
import test from "ava";
import { chromium } from "playwright-core";

const path = "/usr/bin/chromium";

/** `test`, or `test.skip` where chromium is not installed: its title shows up among the skipped ones. */
export const testInBrowser = existsSync(path) ? test.serial : test.serial.skip;

let browser;
test.after.always(() => browser?.close());

/** A page of its own in a browser that has seen nothing; what it logs as an error fails the test. */
export async function openPage(t, options = {}) {
	browser ??= await chromium.launch({
		executablePath: path,
		args: [
			"--no-sandbox",
			"--disable-gpu",
			"--disable-quic",
			"--no-first-run",
			"--disable-background-networking",
			"--disable-component-update",
			"--disable-sync",
		],
	});
	const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(20_000);
	const fail = (text) => {
		try {
			t.fail(text);
		} catch {
			// The test has failed by now; there is nobody here to tell.
		}
	};
	page.on("pageerror", (error) => fail(`${error.stack}`));
	page.on("console", (line) => {
		// A connection that is lost or refused is what some tests are about.
		if (line.type() === "error" && !line.text().includes("net::ERR_")) fail(line.text());
	});
	t.teardown(() => context.close());
	return page;
}

// A real browser, one for each test file.

import test from "ava";
import { hasChromium, launchChromium } from "./browser.js";

/** `test`, or `test.skip` where chromium is not installed: its title shows up among the skipped ones. */
export const testInBrowser = hasChromium ? test.serial : test.serial.skip;

let browser;
test.after.always(() => browser?.close());

/** A page of its own in a browser that has seen nothing; what it logs as an error fails the test. */
export async function openPage(t, options = {}) {
	browser ??= await launchChromium();
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

// Debian's chromium without a screen, for the tests and for scripts/screenshot.js.

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const executablePath = "/usr/bin/chromium";

export const hasChromium = existsSync(executablePath);

/** A browser that asks nothing of the world outside. */
export function launchChromium() {
	return chromium.launch({
		executablePath,
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
}

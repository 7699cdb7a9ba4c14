// Waiting for a state that sends no event: asks again until it is there, within one deadline.

import { setTimeout as sleep } from "node:timers/promises";
import { DEADLINE_MS } from "./server.js";

/** The first truthy value of `read`, which may throw while there is none. */
export async function until(read, what = "the state waited for") {
	const deadline = Date.now() + DEADLINE_MS;
	for (;;) {
		try {
			const value = await read();
			if (value) return value;
		} catch (error) {
			if (Date.now() > deadline) throw error;
		}
		if (Date.now() > deadline) throw new Error(`${what} did not come`);
		await sleep(10);
	}
}

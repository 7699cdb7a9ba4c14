import test from "ava";
import { hashOfHandle } from "../../dist/server/job-index.js";

/** The longest row of taken slots when that many handles lie in a table that is at most three quarters full. */
function longestRun(count, step) {
	const slots = 2 ** Math.ceil(Math.log2((count * 4) / 3));
	const isTaken = new Uint8Array(slots);
	for (let i = 1; i <= count; i++) {
		let slot = hashOfHandle(`H:host:${i * step}`) & (slots - 1);
		while (isTaken[slot]) slot = (slot + 1) & (slots - 1);
		isTaken[slot] = 1;
	}
	return Math.max(
		...String.fromCharCode(...isTaken)
			.split("\0")
			.map((run) => run.length),
	);
}

for (const step of [1, 8, 64, 1000, 65_536]) {
	test(`handles that are ${step} apart do not crowd in the index`, (t) => {
		for (const count of [250, 1500, 6000])
			t.true(longestRun(count, step) < 200, `${count}: ${longestRun(count, step)}`);
	});
}

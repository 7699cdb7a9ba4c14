// What has happened lately, from counters: with a clock of the test's own.

import test from "ava";
import { FunctionQueue } from "../../dist/server/function-queue.js";
import { Count, Histogram, Metrics } from "../../dist/server/metrics.js";
import { quantilesOf, Recent } from "../../dist/server/recent.js";

function histogram(...times) {
	const made = new Histogram();
	for (const ms of times) made.observe(ms);
	return made;
}

test("few times in a wide bucket are not taken for longer than their sum", (t) => {
	t.is(quantilesOf(histogram()), null);
	for (const ms of [3, 700, 60_100, 5_000_000]) {
		const { p50, p95, p99 } = quantilesOf(histogram(ms));
		t.true(p50 <= p95 && p95 <= p99);
		t.true(p50 > ms / 3 && p99 < ms * 2, `${ms}: ${p50} ${p99}`);
	}
});

test("quantiles of many times are near them", (t) => {
	const { p50, p95, p99 } = quantilesOf(histogram(...Array.from({ length: 1000 }, (_, i) => i + 1)));
	t.true(Math.abs(p50 - 500) < 50, `${p50}`);
	t.true(Math.abs(p95 - 950) < 60, `${p95}`);
	t.true(Math.abs(p99 - 990) < 60, `${p99}`);
});

test("rates are of the last seconds, and null when nobody has watched", (t) => {
	const metrics = new Metrics();
	const queue = new FunctionQueue("f", metrics.of("f"));
	const recent = new Recent(metrics);
	t.is(recent.of(queue, 0), null);
	queue.metrics.count(Count.COMPLETED, 1, 1000);
	t.is(recent.sample(0).done, null);
	for (let second = 1; second <= 60; second++) {
		queue.metrics.count(Count.COMPLETED, 1, 20);
		queue.metrics.count(Count.EXCEPTIONS, 1, 2);
		t.like(recent.sample(second * 1000), { done: 20, failed: 2, wait95: null });
	}
	t.like(recent.of(queue, 60_000), { completedPerSecond: 20, failedPerSecond: 2, waitMs: null });
	// Long after, what was remembered says nothing of now.
	t.is(recent.of(queue, 200_000), null);
	t.is(recent.sample(200_000).done, null);
});

// How late this process gets to what is due. Measured from the first time it is asked for: nobody who does not look pays.
// The quantiles are those of the last half to whole minute, so that old stalls are forgotten and several may ask.

import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

export const QUANTILES = [0.5, 0.9, 0.99, 1] as const;

const RESOLUTION_MS = 10;
const WINDOW_MS = 30_000;

let histogram: IntervalHistogram | undefined;
let startedMs = 0;
let last: number[] = QUANTILES.map(() => 0);

/** The delay in seconds at each of QUANTILES. */
export function eventLoopDelays(): readonly number[] {
	if (histogram === undefined) {
		histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
		histogram.enable();
		startedMs = performance.now();
	}
	const current = read(histogram);
	const delays = current.map((delay, i) => Math.max(delay, last[i]));
	if (performance.now() - startedMs > WINDOW_MS) {
		last = current;
		histogram.reset();
		startedMs = performance.now();
	}
	return delays;
}

function read(from: IntervalHistogram): number[] {
	if (from.count === 0) return QUANTILES.map(() => 0);
	// What is recorded is the whole time between two looks, and so the interval itself too.
	return QUANTILES.map((quantile) => Math.max(0, from.percentile(quantile * 100) / 1e6 - RESOLUTION_MS) / 1000);
}

// Random numbers that can be had again: a failing test says its seed, GEARMAN_TEST_SEED sets it.

/** `next(n)`: a whole number from 0 up to n - 1. */
export function random(t, salt = 0) {
	const seed = Number(process.env.GEARMAN_TEST_SEED ?? Date.now() % 1_000_000_007);
	t.log(`GEARMAN_TEST_SEED=${seed}`);
	let state = (seed + salt * 7919) >>> 0;
	const next = (n) => {
		// mulberry32
		state = (state + 0x6d2b79f5) >>> 0;
		let x = Math.imul(state ^ (state >>> 15), state | 1);
		x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
		return ((x ^ (x >>> 14)) >>> 0) % n;
	};
	return { next };
}

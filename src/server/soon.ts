// What is put off for a millisecond or two, in the hope that something makes it needless until then.
// The oldest is due first, so nothing is sorted, and nothing need be taken out: whoever is called back knows by the time it
// was put off whether that still holds.

/** The clock shows so many more: a little less than that may have passed. */
const DELAY_MS = 2;

export class Soon<T> {
	/** When tick() has something to do next, in ms since 1970; Infinity: nothing is put off. */
	dueMs = Number.POSITIVE_INFINITY;
	readonly #due: (item: T, sinceMs: number) => void;
	#items: T[] = [];
	#sinceMs: number[] = [];

	/** `due` is called with what was put off, and when. */
	constructor(due: (item: T, sinceMs: number) => void) {
		this.#due = due;
	}

	add(item: T, nowMs: number): void {
		if (this.#items.push(item) === 1) this.dueMs = nowMs + DELAY_MS;
		this.#sinceMs.push(nowMs);
	}

	/** Nothing waits for a clock that was set back. */
	tick(nowMs: number): void {
		if (nowMs < this.dueMs && nowMs >= this.dueMs - DELAY_MS) return;
		const items = this.#items;
		const sinceMs = this.#sinceMs;
		let count = 0;
		while (count < items.length && (sinceMs[count] + DELAY_MS <= nowMs || sinceMs[count] > nowMs)) count++;
		this.#items = items.slice(count);
		this.#sinceMs = sinceMs.slice(count);
		this.dueMs = count < items.length ? sinceMs[count] + DELAY_MS : Number.POSITIVE_INFINITY;
		for (let i = 0; i < count; i++) this.#due(items[i], sinceMs[i]);
	}
}

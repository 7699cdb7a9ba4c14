// A binary heap of jobs that wait for their time: epoch jobs until they are due, running jobs until they time out.
// A job knows its place in the heap, so it is taken out again in O(log n).

/** What the heap needs of a job. */
export interface Timed {
	/** ms since 1970 at which something is to happen. */
	timeMs: number;
	/** Place in the heap; -1 when not in it. The heap's own. */
	heapIndex: number;
}

/** The earliest first. */
export class Delayed<T extends Timed> {
	readonly #heap: T[] = [];

	get size(): number {
		return this.#heap.length;
	}

	/** The earliest item, left in place. */
	peek(): T | undefined {
		return this.#heap[0];
	}

	add(item: T): void {
		this.#heap.push(item);
		this.#up(item, this.#heap.length - 1);
	}

	/** Takes an item out; nothing happens when it is not in. */
	remove(item: T): void {
		const index = item.heapIndex;
		if (index < 0) return;
		item.heapIndex = -1;
		const last = this.#heap.pop();
		if (last === undefined || last === item) return;
		if (index > 0 && this.#heap[(index - 1) >> 1].timeMs > last.timeMs) this.#up(last, index);
		else this.#down(last, index);
	}

	#up(item: T, from: number): void {
		let index = from;
		while (index > 0) {
			const parent = this.#heap[(index - 1) >> 1];
			if (parent.timeMs <= item.timeMs) break;
			this.#put(parent, index);
			index = (index - 1) >> 1;
		}
		this.#put(item, index);
	}

	#down(item: T, from: number): void {
		const length = this.#heap.length;
		let index = from;
		for (;;) {
			let child = 2 * index + 1;
			if (child >= length) break;
			if (child + 1 < length && this.#heap[child + 1].timeMs < this.#heap[child].timeMs) child++;
			if (this.#heap[child].timeMs >= item.timeMs) break;
			this.#put(this.#heap[child], index);
			index = child;
		}
		this.#put(item, index);
	}

	#put(item: T, index: number): void {
		this.#heap[index] = item;
		item.heapIndex = index;
	}
}

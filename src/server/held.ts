// A peer's answers that wait: submits whose commit is under way, as their jobs, and in order behind them whatever was
// answered since. Used by peer.ts.

import { HIGH_WATER, type Job } from "./job.ts";

/** A peer with more answers held up by commits than this is not read from. */
const MAX_HELD = 10_000;
/** Answered places at the head of the list before it is made shorter. */
const COMPACT = 1024;

export class Held {
	#items: (Buffer | Job | undefined)[] = [];
	#first = 0;
	#bytes = 0;

	get length(): number {
		return this.#items.length - this.#first;
	}

	/** So much that the peer is better not read from until it is little. */
	get isMuch(): boolean {
		return this.#bytes > HIGH_WATER || this.length > MAX_HELD;
	}

	get isLittle(): boolean {
		return this.#bytes < HIGH_WATER / 2 && this.length < MAX_HELD / 2;
	}

	push(item: Buffer | Job): void {
		this.#items.push(item);
		if (Buffer.isBuffer(item)) this.#bytes += item.length;
	}

	/** Nothing waits in front of the job's answer. */
	isNext(job: Job): boolean {
		return this.#items[this.#first] === job;
	}

	/** The job's answer is here, but something in front of it is not. */
	replace(job: Job, answer: Buffer): void {
		this.#items[this.#items.indexOf(job, this.#first)] = answer;
		this.#bytes += answer.length;
	}

	/** Takes the first job out, and what waited for it alone: that is sent. */
	shift(send: (bytes: Buffer) => void): void {
		const items = this.#items;
		let next = this.#first + 1;
		for (; next < items.length; next++) {
			const item = items[next];
			if (!Buffer.isBuffer(item)) break;
			this.#bytes -= item.length;
			send(item);
		}
		if (next === items.length) this.clear();
		else if (next > COMPACT && next * 2 > items.length) {
			this.#items = items.slice(next);
			this.#first = 0;
		} else {
			// What is answered must not stay alive through this list.
			items.fill(undefined, this.#first, next);
			this.#first = next;
		}
	}

	clear(): void {
		this.#items = [];
		this.#first = 0;
		this.#bytes = 0;
	}
}

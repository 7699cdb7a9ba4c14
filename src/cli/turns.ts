// Jobs in the order of the input, from their submit until they are printed: O(1) at both ends.

/** So many empty places in front are let be. */
const SLACK = 8192;

export class Turns<Job> {
	#jobs: (Job | undefined)[] = [];
	#first = 0;

	get length(): number {
		return this.#jobs.length - this.#first;
	}

	/** Whose turn it is. */
	get head(): Job | undefined {
		return this.#jobs[this.#first];
	}

	push(job: Job): void {
		this.#jobs.push(job);
	}

	shift(): void {
		this.#jobs[this.#first++] = undefined;
		if (this.#first === this.#jobs.length) {
			this.#jobs.length = 0;
			this.#first = 0;
		} else if (this.#first > SLACK && this.#first * 2 > this.#jobs.length) {
			this.#jobs = this.#jobs.slice(this.#first);
			this.#first = 0;
		}
	}
}

// The time without a sign of life from any server (-t): one timer, however many jobs.

export class SignOfLife {
	readonly #timeoutMs: number;
	readonly #onSilence: () => void;
	#last = 0;
	#timer: NodeJS.Timeout | undefined;
	#isWatching = false;

	constructor(timeoutMs: number, onSilence: () => void) {
		this.#timeoutMs = timeoutMs;
		this.#onSilence = onSilence;
	}

	/** Begins to count. */
	watch(): void {
		this.#isWatching = true;
		this.#last = Date.now();
		this.#timer ??= setTimeout(() => this.#check(), this.#timeoutMs);
	}

	sign(): void {
		this.#last = Date.now();
	}

	/** Nothing is waited for. */
	rest(): void {
		this.#isWatching = false;
	}

	close(): void {
		clearTimeout(this.#timer);
	}

	#check(): void {
		const leftMs = this.#leftMs;
		this.#timer = undefined;
		if (!this.#isWatching) return;
		if (leftMs > 0) this.#timer = setTimeout(() => this.#check(), leftMs);
		// Output may have held us up while packets came: let them be read before it counts.
		else setImmediate(() => (this.#leftMs > 0 ? this.#check() : this.#onSilence()));
	}

	get #leftMs(): number {
		return this.#last + this.#timeoutMs - Date.now();
	}
}

// A bar on the terminal's last line while a job tells how far it is. Drawn on stderr, gone before anything else is printed.

const BAR_COLUMNS = 30;

/** Whole percent as gearman(1) prints it; a denominator of 0 tells nothing and is 0 %. */
export function percent(numerator: number, denominator: number): number {
	return denominator > 0 ? Math.trunc((numerator * 100) / denominator) : 0;
}

export class Progress {
	#isShown = false;

	show(label: string, numerator: number, denominator: number): void {
		const done = percent(numerator, denominator);
		const filled = Math.round((Math.min(done, 100) * BAR_COLUMNS) / 100);
		const bar = "█".repeat(filled) + "░".repeat(BAR_COLUMNS - filled);
		process.stderr.write(`\r${bar} ${String(done).padStart(3)}% ${label}\x1b[K`);
		this.#isShown = true;
	}

	clear(): void {
		if (!this.#isShown) return;
		process.stderr.write("\r\x1b[K");
		this.#isShown = false;
	}
}

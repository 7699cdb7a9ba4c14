// A bar on the terminal's last line: how far a job is, or a whole input. Drawn on stderr, gone before anything else is
// printed. Draws wherever it is told to: who asks knows whether stderr is a terminal.

const BAR_COLUMNS = 30;
const LEAST_BAR_COLUMNS = 8;
const REDRAW_MS = 200;

/** How far the work on an input is. */
export interface Tally {
	readonly doneBytes: number;
	/** Undefined: nobody knows, the input is a pipe. */
	readonly totalBytes: number | undefined;
	readonly running: number;
	readonly failures: number;
	readonly elapsedMs: number;
}

/** Whole percent as gearman(1) prints it; a denominator of 0 tells nothing and is 0 %. */
export function percent(numerator: number, denominator: number): number {
	return denominator > 0 ? Math.trunc((numerator * 100) / denominator) : 0;
}

export class Progress {
	#isShown = false;
	#timer: NodeJS.Timeout | undefined;

	/** A job's WORK_STATUS. */
	showJob(label: string, numerator: number, denominator: number): void {
		const done = percent(numerator, denominator);
		this.#draw(`${bar(done, BAR_COLUMNS)} ${String(done).padStart(3)}% ${label}`);
	}

	/** Shows an input's progress from now on, several times a second, up to close(). */
	follow(tally: () => Tally): void {
		const draw = () => this.#draw(tallyLine(tally(), process.stderr.columns || 80));
		this.#timer = setInterval(draw, REDRAW_MS);
		this.#timer.unref();
	}

	clear(): void {
		if (!this.#isShown) return;
		process.stderr.write("\r\x1b[K");
		this.#isShown = false;
	}

	close(): void {
		clearInterval(this.#timer);
		this.clear();
	}

	#draw(line: string): void {
		process.stderr.write(`\r${line}\x1b[K`);
		this.#isShown = true;
	}
}

/** "███░░░  42% 1.2 of 2.9 GB, 8 running, 1 failed, 0:42 left", one line of at most `columns - 1`. */
function tallyLine(tally: Tally, columns: number): string {
	const { doneBytes, totalBytes, running, failures, elapsedMs } = tally;
	const parts = [totalBytes === undefined ? `${size(doneBytes)} done` : `${size(doneBytes)} of ${size(totalBytes)}`];
	parts.push(`${running} running`);
	if (failures > 0) parts.push(`${failures} failed`);
	if (totalBytes === undefined) parts.push(clock(elapsedMs));
	else if (doneBytes > 0) parts.push(`${clock((elapsedMs * Math.max(totalBytes - doneBytes, 0)) / doneBytes)} left`);
	const text = parts.join(", ");
	if (totalBytes === undefined) return text.slice(0, columns - 1);
	const done = Math.min(totalBytes > 0 ? percent(doneBytes, totalBytes) : 100, 100);
	const numbers = `${String(done).padStart(3)}% ${text}`;
	const room = Math.min(columns - numbers.length - 2, BAR_COLUMNS);
	return room < LEAST_BAR_COLUMNS ? numbers.slice(0, columns - 1) : `${bar(done, room)} ${numbers}`;
}

function bar(done: number, columns: number): string {
	const filled = Math.round((Math.min(done, 100) * columns) / 100);
	return "█".repeat(filled) + "░".repeat(columns - filled);
}

/** "512 B", "1.5 MB": 1024 of each make the next. */
function size(bytes: number): string {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let value = bytes;
	let unit = 0;
	for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1024;
	return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** "0:42", "1:02:03" */
function clock(ms: number): string {
	const seconds = Math.round(ms / 1000);
	const two = (value: number): string => String(Math.floor(value)).padStart(2, "0");
	const hours = Math.floor(seconds / 3600);
	return hours > 0
		? `${hours}:${two((seconds % 3600) / 60)}:${two(seconds % 60)}`
		: `${Math.floor(seconds / 60)}:${two(seconds % 60)}`;
}

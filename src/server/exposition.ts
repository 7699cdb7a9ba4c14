// What the server counts, as text for Prometheus (0.0.4) or OpenMetrics (1.0): renders metric-table.ts. The text of 1,000
// functions is 4.6 MB in 53,000 lines, and jobs wait meanwhile: lines are joined of as few strings as can be, each
// beginning with the end of the line before, and made bytes of in small pieces (scripts/bench/scrape.js: 6 ms).

import { LOW, NORMAL, type Priority } from "./job.ts";
import { type Metric, metricTable } from "./metric-table.ts";
import { BOUNDS_MS, Count, type FunctionMetrics, type Histogram } from "./metrics.ts";
import type { Server } from "./server.ts";

export type Format = "prometheus" | "openmetrics";

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
	prometheus: "text/plain; version=0.0.4; charset=utf-8",
	openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

const PRIORITY_NAMES = ["high", "normal", "low"] as const;
/** Text that is made bytes of at a time. */
const PART = 16_384;
/** Room to begin with. */
const FIXED_BYTES = 65_536;
const ROW_BYTES = 6000;
const BUCKETS = [...BOUNDS_MS.map((ms) => canonical(ms / 1000)), "+Inf"].map((bound) => `le="${bound}"} `);

/** All metrics of the server as they are now, in bytes of UTF-8. */
export function expose(server: Server, format: Format): Buffer {
	const text = new Exposition(server, format);
	for (const metric of metricTable) text.metric(metric);
	return text.end();
}

/** The format an HTTP client's Accept asks for; the older one unless it likes the newer at least as well. */
export function formatFor(accept: string): Format {
	const liking = (type: string, isExact: boolean) => {
		let best = -1;
		for (const range of accept.toLowerCase().split(",")) {
			const [name, ...parameters] = range.split(";").map((part) => part.trim());
			if (name !== type && (isExact || (name !== "*/*" && name !== "text/*"))) continue;
			const q = parameters.find((parameter) => parameter.startsWith("q="));
			best = Math.max(best, q === undefined ? 1 : Number(q.slice(2)) || 0);
		}
		return best;
	};
	const open = liking("application/openmetrics-text", true);
	return open > 0 && open >= liking("text/plain", false) ? "openmetrics" : "prometheus";
}

/** One function's numbers at one time; or those of all that share the others' cells. */
export class FunctionRow {
	/** function="…" */
	readonly labels: string;
	/** Where there are no more of them: with the brace and the blank behind it. */
	readonly closed: string;
	readonly cells: FunctionMetrics;
	readonly queued = [0, 0, 0];
	/** Age in ms of the job whose turn is next. */
	readonly oldestMs = [0, 0, 0];
	delayed = 0;
	workers = 0;
	readonly priorities: readonly Priority[];

	constructor(cells: FunctionMetrics) {
		this.labels = label("function", cells.name);
		this.closed = `${this.labels}} `;
		this.cells = cells;
		// Most functions only ever see one priority: the others' lines begin with their first job.
		this.priorities = ([0, 1, 2] as const).filter(
			(priority) =>
				priority === NORMAL || cells.counted(Count.SUBMITTED, priority) + cells.counted(Count.REPLAYED, priority) > 0,
		);
	}
}

/** Gathers lines. The table's rows call it with what they read. */
export class Exposition {
	readonly server: Server;
	readonly #format: Format;
	readonly #rows: readonly FunctionRow[];
	/** What is written: `#used` bytes, and `#text` behind them. */
	#bytes: Buffer;
	#used = 0;
	#text = "";
	/** Of the metric at hand, the end of its samples' names included. */
	#name = "";

	constructor(server: Server, format: Format) {
		this.server = server;
		this.#format = format;
		this.#rows = rowsOf(server);
		this.#bytes = Buffer.allocUnsafeSlow(FIXED_BYTES + this.#rows.length * ROW_BYTES);
	}

	metric({ name, type, help, read }: Metric): void {
		const isOpen = this.#format === "openmetrics";
		// In OpenMetrics the name of a counter or info is the part that its samples' names begin with.
		const family = isOpen || type !== "counter" ? name : `${name}_total`;
		const olderType = type === "info" ? "gauge" : type;
		const olderFamily = type === "info" ? `${name}_info` : family;
		this.#text += `\n# HELP ${isOpen ? family : olderFamily} ${help}`;
		this.#text += `\n# TYPE ${isOpen ? family : olderFamily} ${isOpen ? type : olderType}`;
		const unit = /_(seconds|bytes)$/.exec(name)?.[1];
		if (isOpen && unit !== undefined) this.#text += `\n# UNIT ${family} ${unit}`;
		this.#name = type === "counter" ? `${name}_total` : type === "info" ? `${name}_info` : name;
		read(this);
	}

	/** One sample; `labels` as name="value", by commas. */
	sample(value: number, labels = ""): void {
		this.#text += labels === "" ? `\n${this.#name} ${value}` : `\n${this.#name}{${labels}} ${value}`;
	}

	byFunction(value: (row: FunctionRow) => number): void {
		const start = `\n${this.#name}{`;
		for (const row of this.#rows) {
			this.#text += start + row.closed + value(row);
			this.#cut();
		}
	}

	byPriority(value: (row: FunctionRow, priority: Priority) => number): void {
		const start = `\n${this.#name}{`;
		const ends = PRIORITY_NAMES.map((name) => `,priority="${name}"} `);
		for (const row of this.#rows) {
			for (const priority of row.priorities) {
				this.#text += start + row.labels + ends[priority] + value(row, priority);
			}
			this.#cut();
		}
	}

	histogram(histogram: Histogram): void {
		this.#histogram("", histogram);
	}

	histogramByFunction(histogram: (row: FunctionRow) => Histogram): void {
		for (const row of this.#rows) {
			this.#histogram(row.labels, histogram(row));
			this.#cut();
		}
	}

	end(): Buffer {
		this.#text += this.#format === "openmetrics" ? "\n# EOF\n" : "\n";
		this.#write();
		return this.#bytes.subarray("\n".length, this.#used);
	}

	#histogram(labels: string, { counts, sumMs }: Histogram): void {
		const start = `\n${this.#name}_bucket{${labels}${labels === "" ? "" : ","}`;
		let sum = 0;
		let text = "";
		for (let i = 0; i < BUCKETS.length; i++) {
			sum += counts[i];
			text += start + BUCKETS[i] + sum;
		}
		const braced = labels === "" ? "" : `{${labels}}`;
		this.#text += `${text}\n${this.#name}_sum${braced} ${sumMs / 1000}\n${this.#name}_count${braced} ${sum}`;
	}

	/** Long strings of many parts are slow to make bytes of. */
	#cut(): void {
		if (this.#text.length >= PART) this.#write();
	}

	#write(): void {
		const end = this.#used + this.#text.length;
		if (end > this.#bytes.length) {
			const larger = Buffer.allocUnsafeSlow(2 * end);
			this.#bytes.copy(larger, 0, 0, this.#used);
			this.#bytes = larger;
		}
		this.#used += this.#bytes.write(this.#text, this.#used, "latin1");
		this.#text = "";
	}
}

/** One row a counted function, dropped ones too, and one for the others when there are any. */
function rowsOf(server: Server): FunctionRow[] {
	const { functions, others, hasOthers } = server.metrics;
	const rows: FunctionRow[] = [];
	const nowMs = server.nowMs();
	const rowOf = new Map<FunctionMetrics, FunctionRow>();
	for (const cells of hasOthers ? [...functions.values(), others] : functions.values()) {
		const row = new FunctionRow(cells);
		rows.push(row);
		rowOf.set(cells, row);
	}
	for (const queue of server.jobs.functions.values()) {
		const row = rowOf.get(queue.metrics);
		if (row === undefined) continue;
		row.delayed += queue.delayed;
		row.workers += queue.workers;
		for (let priority: Priority = 0; priority <= LOW; priority++) {
			const job = queue.firstAt(priority as Priority);
			row.queued[priority] += queue.queuedAt(priority as Priority);
			if (job === undefined) continue;
			const ageMs = nowMs - Math.max(job.submittedMs, job.dueMs);
			row.oldestMs[priority] = Math.max(row.oldestMs[priority], ageMs);
		}
	}
	return rows;
}

/** name="value", whatever the value holds. */
export function label(name: string, value: string): string {
	const escaped = value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
	return `${name}="${escaped}"`;
}

/** OpenMetrics wants a bucket's bound to look like a float. */
function canonical(seconds: number): string {
	return Number.isInteger(seconds) ? `${seconds}.0` : `${seconds}`;
}

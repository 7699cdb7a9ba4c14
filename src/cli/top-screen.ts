// The screen of --top: what was read and how it is looked at → lines of exactly the terminal's width, no more than its
// height. No I/O and no state.

import type { WorkerRow } from "../admin/replies.ts";
import { type Reading, type Row, rateOf } from "./top-reading.ts";
import * as text from "./top-text.ts";

/** Orders of the list, in the order `s` goes through them. */
export const SORTS = ["activity", "queued", "running", "oldest", "out", "wait95", "name"] as const;
export type Sort = (typeof SORTS)[number];

/** How it is looked at. */
export interface View {
	readonly columns: number;
	readonly lines: number;
	readonly sort: Sort;
	/** Part of a name; "" all. */
	readonly filter: string;
	/** The filter is being typed. */
	readonly isTyping: boolean;
	readonly showsHelp: boolean;
	/** Workers below: of the selected function, all, or none. */
	readonly workers: "selected" | "all" | "none";
	readonly selected: number;
	readonly intervalMs: number;
}

/** What there is to see. */
export interface Seen {
	readonly servers: readonly string[];
	/** What each server that is away is away for. */
	readonly troubles: readonly string[];
	readonly now: Reading | undefined;
	readonly before: Reading | undefined;
	/** As they are to be listed. */
	readonly rows: readonly Row[];
	/** Jobs done a second, or jobs queued where that is not known; oldest first. */
	readonly history: readonly (number | undefined)[];
	readonly clock: string;
}

interface Column {
	readonly heading: string;
	readonly width: number;
	/** Not shown on terminals narrower than this. */
	readonly from: number;
	cell(row: Row): string;
}

const COLUMNS: readonly Column[] = [
	{ heading: "QUEUED", width: 7, from: 0, cell: ({ queued }) => text.count(queued) },
	{ heading: "RUN", width: 6, from: 0, cell: ({ running }) => text.count(running) },
	{ heading: "WORKERS", width: 8, from: 34, cell: ({ workers }) => text.count(workers) },
	{ heading: "OLDEST", width: 8, from: 44, cell: ({ oldest }) => text.duration(oldest) },
	{ heading: "IN/S", width: 7, from: 80, cell: (row) => text.rate(row.in) },
	{ heading: "OUT/S", width: 7, from: 54, cell: ({ out }) => text.rate(out) },
	{ heading: "FAIL/S", width: 7, from: 96, cell: ({ failed }) => text.rate(failed) },
	{ heading: "WAIT50", width: 7, from: 72, cell: ({ wait50 }) => text.duration(wait50) },
	{ heading: "WAIT95", width: 7, from: 62, cell: ({ wait95 }) => text.duration(wait95) },
	{ heading: "RUN50", width: 7, from: 104, cell: ({ run50 }) => text.duration(run50) },
	{ heading: "RUN95", width: 7, from: 104, cell: ({ run95 }) => text.duration(run95) },
	{ heading: "DELAYED", width: 8, from: 116, cell: ({ delayed }) => text.count(delayed) },
];

const HELP = [
	"q  Ctrl-C     quit",
	"s  S          next, previous order of the list",
	"/             filter by a part of the name; Esc takes it away",
	"j k  arrows   move; also PgUp, PgDn, Home, End",
	"w             workers below: of the function, all, none",
	"Space         ask now",
	"?             this help; any key ends it",
	"",
	"QUEUED   wait for a worker          RUN      workers have them",
	"OLDEST   age of the next in turn    IN/S     submitted a second",
	"OUT/S    ended a second             FAIL/S   of these, badly",
	"WAIT50   half were grabbed sooner   WAIT95   and 95% sooner than this,",
	"RUN50    as WAIT, from the grab     RUN95    all within the last 10 s",
	"Yellow: jobs wait, and no worker can do them.",
];

/** The orders' comparisons; equal ones go by name. */
export function compare(sort: Sort): (a: Row, b: Row) => number {
	const byName = (a: Row, b: Row) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
	if (sort === "name") return byName;
	const value = (row: Row): number => {
		if (sort === "activity") return (row.out ?? 0) + (row.in ?? 0) + (row.running ?? 0) + Math.sqrt(row.queued ?? 0);
		return row[sort] ?? -1;
	};
	return (a, b) => value(b) - value(a) || byName(a, b);
}

export function screen(seen: Seen, view: View): string[] {
	const { columns, lines } = view;
	if (view.showsHelp) return [...HELP.map((line) => text.fit(` ${line}`, columns))].slice(0, lines);
	const head = header(seen, view);
	const foot = footer(view, seen.rows.length);
	const room = Math.max(0, lines - head.length - foot.length);
	const workers = workersOf(seen, view);
	// Workers get what the functions leave, and a third in any case.
	const wanted =
		workers === undefined ? 0 : Math.min(workers.length, Math.max(room - seen.rows.length - 1, Math.floor(room / 3)));
	const below = wanted >= 2 && workers !== undefined ? workers.slice(0, wanted) : [];
	const shown = functions(seen, view, room - below.length);
	return [...head, ...shown, ...below, ...foot].slice(0, lines);
}

function header({ servers, troubles, now, before, history, clock }: Seen, { columns, lines }: View): string[] {
	const title = ["gearman", servers.join(" "), now?.versions.join(", ") ?? ""].filter(Boolean).join("  ");
	const first = text.BOLD + text.fit(title, Math.max(0, columns - clock.length - 1)) + text.RESET;
	const head = [columns > clock.length + 8 ? `${first} ${clock}` : first];
	for (const trouble of troubles) head.push(text.RED + text.fit(trouble, columns) + text.RESET);
	if (now === undefined) return head;
	head.push(text.fit(totals(now, before), columns));
	if (lines >= 12) head.push(text.fit(facts(now, before), columns));
	if (lines >= 14) head.push(graph(history, now.facts !== undefined, columns));
	return head;
}

function totals(now: Reading, before: Reading | undefined): string {
	let [queued, running, delayed] = [0, 0, 0];
	for (const reading of now.functions.values()) {
		queued += reading.queued ?? 0;
		running += reading.running ?? 0;
		delayed += reading.metrics?.delayed ?? 0;
	}
	const parts = [`${text.count(queued)} queued`, `${text.count(running)} running`];
	if (delayed > 0) parts.push(`${text.count(delayed)} delayed`);
	const working = now.workers.filter(({ functions }) => functions.length > 0).length;
	parts.push(`${text.count(working)} workers`);
	const bytesIn = rateOf("gearman_received_bytes_total", now, before);
	const bytesOut = rateOf("gearman_sent_bytes_total", now, before);
	if (bytesIn !== undefined && bytesOut !== undefined) {
		parts.push(`${text.bytes(Math.round(bytesIn))}/s in`, `${text.bytes(Math.round(bytesOut))}/s out`);
	}
	return `Jobs    ${parts.join("  ")}`;
}

function facts(now: Reading, before: Reading | undefined): string {
	const fact = (key: string) => now.facts?.get(key);
	const [start, memory] = [fact("gearman_start_time_seconds"), fact("gearman_resident_memory_bytes")];
	if (start === undefined || memory === undefined) return "Server  without metrics: no rates and times";
	const parts = [`up ${text.duration(Math.max(1, now.atMs / 1000 - start))}`];
	const busy = rateOf("gearman_event_loop_active_seconds_total", now, before);
	if (busy !== undefined) parts.push(`${Math.round(busy * 100)}% busy`);
	parts.push(`${text.duration(fact("gearman_event_loop_delay_seconds 0.99"))} late`, text.bytes(memory));
	const commits = rateOf("gearman_store_commit_seconds_count", now, before);
	const seconds = rateOf("gearman_store_commit_seconds_sum", now, before);
	if (commits !== undefined && seconds !== undefined && commits > 0) {
		parts.push(`${text.rate(commits)} commits/s of ${text.duration(seconds / commits)}`);
	}
	parts.push(`${text.count(fact("gearman_workers_sleeping"))} workers asleep`);
	return `Server  ${parts.join("  ")}`;
}

function graph(history: readonly (number | undefined)[], hasRates: boolean, columns: number): string {
	const latest = history.at(-1);
	const highest = Math.max(0, ...history.map((value) => value ?? 0));
	const heading = hasRates ? "Done/s  " : "Queued  ";
	const shownValue = hasRates ? text.rate : text.count;
	const legend = latest === undefined ? "" : `  ${shownValue(latest)}, at most ${shownValue(highest)}`;
	const width = Math.max(0, columns - heading.length - legend.length);
	const line = text.sparkline(history, width);
	if (width < 8) return text.fit(heading + legend.trimStart(), columns);
	return heading + text.CYAN + line + text.RESET + text.fit(legend, columns - heading.length - line.length);
}

function functions({ rows, now }: Seen, view: View, room: number): string[] {
	if (room <= 0) return [];
	const { columns, selected, filter } = view;
	const hasMetrics = now?.facts !== undefined;
	const shown = COLUMNS.filter(({ from, heading }) => {
		return columns >= from && (hasMetrics || ["QUEUED", "RUN", "WORKERS"].includes(heading));
	});
	const nameWidth = Math.max(4, columns - shown.reduce((sum, { width }) => sum + width, 0));
	const line = (name: string, cells: readonly string[]) =>
		text.fit(
			text.fit(name, nameWidth) + cells.map((cell, i) => text.fit(cell, shown[i].width, true)).join(""),
			columns,
		);
	const heading = line(
		"FUNCTION",
		shown.map(({ heading }) => heading),
	);
	const lines = [text.REVERSE + heading + text.RESET];
	const first = Math.max(0, Math.min(selected - Math.floor((room - 1) / 2), rows.length - (room - 1)));
	for (const [i, row] of rows.slice(first, first + room - 1).entries()) {
		const body = line(
			text.harmless(row.name),
			shown.map(({ cell }) => cell(row)),
		);
		const mark = first + i === selected ? text.BOLD + text.REVERSE : colourOf(row);
		lines.push(mark === "" ? body : mark + body + text.RESET);
	}
	if (rows.length === 0 && now !== undefined && lines.length < room) {
		lines.push(text.fit(filter === "" ? "No functions yet" : `No function has "${filter}" in its name`, columns));
	}
	while (lines.length < room) lines.push("");
	return lines;
}

function colourOf({ queued = 0, running = 0, workers, out = 0 }: Row): string {
	if (queued > 0 && workers === 0) return text.YELLOW;
	return queued + running + out > 0 ? "" : text.DIM;
}

/** The list below with its heading; undefined when there is to be none. */
function workersOf({ now, rows }: Seen, { columns, workers, selected }: View): string[] | undefined {
	if (now === undefined || workers === "none") return undefined;
	const name = workers === "selected" ? rows[selected]?.name : undefined;
	const listed = now.workers.filter(({ functions }) =>
		name === undefined ? functions.length > 0 : functions.includes(name),
	);
	const of = name === undefined ? "WORKERS" : `WORKERS OF ${text.harmless(name)}`;
	const heading = text.REVERSE + text.fit(`${of} (${listed.length})`, columns) + text.RESET;
	const idWidth = Math.max(8, Math.min(24, Math.floor(columns / 4)));
	const line = ({ address, id, functions }: WorkerRow) =>
		text.fit(
			`${text.fit(address, 16)} ${text.fit(text.harmless(id), idWidth)} ${text.harmless(functions.join(" "))}`,
			columns,
		);
	return [heading, ...listed.map(line)];
}

function footer({ columns, lines, filter, isTyping, sort, workers, intervalMs }: View, count: number): string[] {
	if (lines < 6) return [];
	if (isTyping) return [text.fit(`Filter: ${filter}▏ (Enter keeps it, Esc takes it away)`, columns)];
	const parts = ["q quit", `s order: ${sort}`, filter === "" ? "/ filter" : `/ ${filter}: ${count}`];
	parts.push("j k move", `w workers: ${workers}`, "? help", `every ${text.duration(intervalMs / 1000)}`);
	return [text.DIM + text.fit(parts.join("   "), columns) + text.RESET];
}

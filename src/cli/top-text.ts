// Text for a terminal: widths, columns, numbers people read, and colours. No I/O.

export const BOLD = "\x1b[1m";
export const DIM = "\x1b[2m";
export const REVERSE = "\x1b[7m";
export const RESET = "\x1b[0m";
const isColourful = !process.env.NO_COLOR;
export const RED = isColourful ? "\x1b[31m" : BOLD;
export const YELLOW = isColourful ? "\x1b[33m" : BOLD;
export const CYAN = isColourful ? "\x1b[36m" : "";

const NO_WIDTH = /\p{M}|\p{Cf}/u;
const WIDE =
	/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what a terminal would obey
const CONTROL = /[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** A name from somewhere else, as text that changes nothing on a terminal. */
export function harmless(text: string): string {
	return text.replace(CONTROL, "?");
}

/** Exactly so many columns of plain text: cut, with an ellipsis, or filled with blanks. */
export function fit(text: string, width: number, isRight = false): string {
	let cut = "";
	let used = 0;
	for (const character of text) {
		const columns = widthOf(character);
		if (used + columns > width) {
			// Room for the ellipsis.
			while (used > width - 1) {
				const last = [...cut].at(-1) ?? "";
				if (last === "") break;
				cut = cut.slice(0, -last.length);
				used -= widthOf(last);
			}
			if (width > 0) cut += "…";
			used++;
			break;
		}
		cut += character;
		used += columns;
	}
	const blanks = " ".repeat(Math.max(0, width - used));
	return isRight ? blanks + cut : cut + blanks;
}

function widthOf(character: string): number {
	if (character < "\u0300") return 1;
	if (NO_WIDTH.test(character)) return 0;
	return WIDE.test(character) ? 2 : 1;
}

/** 7, 950, 12.3k, 4.5M */
export function count(value: number | undefined): string {
	if (value === undefined) return "";
	if (value < 10_000) return String(Math.round(value));
	return short(value, 1000, ["k", "M", "G", "T"]);
}

/** 0, 0.25, 3.5, 950, 12.3k */
export function rate(value: number | undefined): string {
	if (value === undefined || value >= 9999.5) return count(value);
	if (value === 0) return "0";
	return value < 1 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : String(Math.round(value));
}

export function bytes(value: number): string {
	return value < 1024 ? `${value} B` : `${short(value, 1024, [" KB", " MB", " GB", " TB"])}`;
}

/** 0.4ms, 25ms, 1.2s, 59s, 12m, 3h, 5d */
export function duration(seconds: number | undefined): string {
	if (seconds === undefined) return "";
	if (seconds === 0) return "0";
	if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)}ms`;
	if (seconds < 0.9995) return `${Math.round(seconds * 1000)}ms`;
	if (seconds < 9.95) return `${seconds.toFixed(1)}s`;
	if (seconds < 99.5) return `${Math.round(seconds)}s`;
	if (seconds < 5970) return `${Math.round(seconds / 60)}m`;
	if (seconds < 172_800) return `${Math.round(seconds / 3600)}h`;
	return `${Math.round(seconds / 86_400)}d`;
}

const BARS = "▁▂▃▄▅▆▇█";

/** The newest values, at most `width`, one character each; unknown ones are blank. */
export function sparkline(values: readonly (number | undefined)[], width: number): string {
	const shown = values.slice(-width);
	const highest = Math.max(...shown.map((value) => value ?? 0), Number.MIN_VALUE);
	const bar = (value: number) => BARS.charAt(value === 0 ? 0 : Math.ceil((value / highest) * (BARS.length - 1)));
	return shown.map((value) => (value === undefined ? " " : bar(value))).join("");
}

function short(value: number, base: number, units: readonly string[]): string {
	let scaled = value / base;
	let unit = 0;
	while (scaled >= 999.5 && unit < units.length - 1) {
		scaled /= base;
		unit++;
	}
	return `${scaled < 99.95 ? scaled.toFixed(1) : Math.round(scaled)}${units[unit]}`;
}

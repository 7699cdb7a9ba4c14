// Numbers, ages and names as people read them.

const whole = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 1,234,567; from ten million on 12.3M. */
export function count(number) {
	return number < 10_000_000 ? whole.format(number) : compact.format(number);
}

/** Events a second: 0, 0.4, 12, 1,234. */
export function rate(number) {
	if (number === null || number === undefined) return "–";
	if (number >= 9.95 || number === 0) return count(Math.round(number));
	return number < 0.05 ? "<0.1" : number.toFixed(1);
}

/** How long, roughly: 12 s, 3 min, 2 h, 5 d. */
export function age(ms) {
	if (ms === null || ms === undefined) return "–";
	const seconds = Math.max(0, Math.floor(ms / 1000));
	if (seconds < 1) return "<1 s";
	if (seconds < 60) return `${seconds} s`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
	if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
	return `${whole.format(Math.floor(seconds / 86_400))} d`;
}

/** A latency with three figures: 0.4 ms, 12 ms, 1.25 s, 3.2 min. */
export function latency(ms) {
	if (ms === null || ms === undefined) return "–";
	if (ms < 1) return ms === 0 ? "0 ms" : `${ms < 0.1 ? "<0.1" : ms.toFixed(1)} ms`;
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
	return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : age(ms);
}

export function bytes(number) {
	const units = ["B", "KB", "MB", "GB"];
	let unit = 0;
	while (number >= 1000 && unit < units.length - 1) {
		number /= 1024;
		unit++;
	}
	return `${unit === 0 || number >= 100 ? Math.round(number) : number.toFixed(1)} ${units[unit]}`;
}

/** A name from the wire in one visible line: control characters as their pictures, what turns or ends lines as one sign. */
export function printable(name) {
	if (name === "") return "(empty)";
	// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what cannot be seen
	return name.replace(/[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) =>
		c === "\x7f" ? "\u2421" : c > "\x7f" ? "\ufffd" : String.fromCharCode(0x2400 + c.charCodeAt(0)),
	);
}

export function plural(number, one, many = `${one}s`) {
	return `${count(number)} ${number === 1 ? one : many}`;
}

/** A name as one word for a shell. */
export function shellWord(name) {
	return /^[\w@%+=:,./-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}

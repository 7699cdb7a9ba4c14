// Durations as people write them, at the command line and in headers: 1500, 1500ms, 1.5s, 2m, 1h, 7d.

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds, whole; undefined for what is no duration. */
export function milliseconds(text: string): number | undefined {
	const match = /^\s*([+-]?\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*$/.exec(text);
	return match === null ? undefined : Math.round(Number(match[1]) * (UNITS[match[2] ?? "ms"] ?? 1));
}

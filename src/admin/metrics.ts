// Metrics in Prometheus' text format, as the admin command `metrics` and GET /metrics give them → samples. No I/O.

/** One number. */
export interface Sample {
	/** With its end: _total, _bucket, _sum, _count. */
	readonly name: string;
	readonly labels: Readonly<Record<string, string>>;
	readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of lines; comments, and what is no sample, are passed over. */
export function readMetrics(lines: readonly string[]): Sample[] {
	const samples: Sample[] = [];
	for (const line of lines) {
		const match = SAMPLE.exec(line);
		if (match === null) continue;
		const [, name, text = "", value] = match;
		const labels: Record<string, string> = {};
		for (const [, label, escaped] of text.matchAll(LABEL)) labels[label] = unescaped(escaped);
		samples.push({ name, labels, value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value) });
	}
	return samples;
}

function unescaped(text: string): string {
	return text.replace(/\\(.)/g, (_, character) => (character === "n" ? "\n" : character));
}

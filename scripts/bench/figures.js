// Figures to rows to tables: medians, and how many times as good ours is as the best of C's, measured in the same round.

export function median(numbers) {
	const sorted = [...numbers].sort((one, other) => one - other);
	const middle = sorted.length >> 1;
	return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const spread = (numbers) => ({ median: median(numbers), min: Math.min(...numbers), max: Math.max(...numbers) });

/** Collects what a question yields: add(subject, key, value), then rows(). */
export class Figures {
	#rows;
	/** key → subject → values, one a round. */
	#values = new Map();

	/** key → { title, unit, better: "more" or "less" }, in the order of the table. */
	constructor(rows) {
		this.#rows = rows;
	}

	add(subject, key, value) {
		if (!Object.hasOwn(this.#rows, key)) throw new Error(`no row is called ${key}`);
		if (!Number.isFinite(value)) return;
		const subjects = this.#values.get(key) ?? new Map();
		this.#values.set(key, subjects);
		subjects.set(subject, [...(subjects.get(subject) ?? []), value]);
	}

	/** { key, title, unit, better, figures: subject → { median, min, max, values }, best, ratio: { median, min, max } } */
	rows() {
		return [...Object.entries(this.#rows)].flatMap(([key, row]) => {
			const subjects = [...(this.#values.get(key) ?? [])];
			if (subjects.length === 0) return [];
			const figures = Object.fromEntries(subjects.map(([name, values]) => [name, { ...spread(values), values }]));
			return [{ key, ...row, figures, ...compare(row, figures) }];
		});
	}
}

/** Over 1 ours is better. Neighbours in time meet the same machine, so each round has a ratio of its own. */
function compare({ better }, { ours, ...others }) {
	const sign = better === "more" ? -1 : 1;
	const [best] = Object.entries(others).sort(([, one], [, other]) => sign * (one.median - other.median));
	if (ours === undefined || best === undefined) return {};
	const [name, { values }] = best;
	const pairs = ours.values.slice(0, values.length).map((own, round) => [own, values[round]]);
	const ratios = pairs.map(([own, other]) => (better === "more" ? own / other : other / own));
	return { best: name, ratio: spread(ratios.filter(Number.isFinite)) };
}

/** Three digits that count. */
export function short(number) {
	if (Math.abs(number) >= 100) return Math.round(number).toLocaleString("en");
	return number.toFixed(Math.abs(number) >= 10 ? 1 : 2);
}

/** A Markdown table of such rows. */
export function table(title, rows) {
	const subjects = [...new Set(["ours", ...rows.flatMap(({ figures }) => Object.keys(figures))])];
	const isCompared = subjects.length > 1;
	const head = [title, ...subjects, ...(isCompared ? ["times as good", "from – to"] : ["from – to"])];
	const lines = rows.map(({ title, unit, figures, ratio }) => {
		const cells = subjects.map((name) => (figures[name] === undefined ? "" : short(figures[name].median)));
		const range = isCompared ? ratio : figures[subjects[0]];
		if (isCompared) cells.push(ratio === undefined ? "" : `**${short(ratio.median)}**`);
		cells.push(range === undefined ? "" : `${short(range.min)} – ${short(range.max)}`);
		return [`${title}, ${unit}`, ...cells];
	});
	const align = head.map((_, at) => (at === 0 ? "---" : "--:"));
	return [head, align, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

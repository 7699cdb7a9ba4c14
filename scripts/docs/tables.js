// README's tables: Markdown from options.ts, between <!-- options:MODE --> and <!-- /options:MODE -->, and from the metric
// table, between <!-- metrics --> and <!-- /metrics -->.
import { variables } from "../../dist/cli/parse.js";
import { options } from "../../dist/options.js";
import { metricRows } from "./grafana.js";

const cell = (text) => text.replaceAll("|", "\\|");

/** One table of a mode, a row an option, in the order of options.ts. */
function table(mode) {
	const rows = ["| Option | Default | Meaning | Environment |", "| --- | --- | --- | --- |"];
	for (const [name, option] of Object.entries(options[mode])) {
		if (option.hidden) continue;
		const argument = option.arg === undefined ? "" : ` ${option.arg}`;
		const long = name.length > 1 ? `--${name}${argument}` : undefined;
		const spellings = [option.short && `-${option.short}`, long].filter(Boolean);
		const choices =
			option.choices === undefined ? "" : ` (${option.choices.map((choice) => `\`${choice}\``).join(", ")})`;
		const cells = [
			[...new Set(spellings)].map((spelling) => `\`${spelling}\``).join(", "),
			option.default === undefined ? "" : `\`${option.default}\``,
			cell(option.describe) + choices,
			variables(name, option)
				.map((variable) => `\`${variable}\``)
				.join(", "),
		];
		rows.push(`| ${cells.join(" | ")} |`);
	}
	return rows.join("\n");
}

/** The text with other lines between <!-- name --> and <!-- /name -->. Throws when those are missing. */
export function renewBetween(text, name, lines) {
	const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
	const from = text.indexOf(begin);
	const to = text.indexOf(end, from);
	if (from < 0 || to < 0) throw new Error(`README.md has no ${begin} … ${end}`);
	return `${text.slice(0, from + begin.length)}\n${lines}\n${text.slice(to)}`;
}

/** README's text with every table renewed. Throws when a table's markers are missing. */
export function renewTables(readme) {
	const tables = [...Object.keys(options).map((mode) => [`options:${mode}`, table(mode)]), ["metrics", metricRows()]];
	return tables.reduce((text, [name, rows]) => renewBetween(text, name, rows), readme);
}

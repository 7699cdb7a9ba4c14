// The Grafana dashboard and README's table of metrics, both made of the server's metric table.
import { metricTable } from "../../dist/server/metric-table.js";

const WIDTH = 8;
const HEIGHT = 8;
const COLUMNS = 24;
const QUANTILES = [0.5, 0.95, 0.99];
const datasource = { type: "prometheus", uid: "$datasource" };

/** As the samples are called: a counter's _total and an info's _info. */
function sampleName({ name, type }) {
	return type === "counter" ? `${name}_total` : type === "info" ? `${name}_info` : name;
}

/** What tells one line of the graph from another. */
function lineLabels(metric, isAlone) {
	// Priorities are summed up: a line each would be three times as many as there are functions.
	const labels = metric.labels.filter((label) => label !== "priority");
	return labels.includes("function") && !isAlone ? [] : labels;
}

/** The queries that draw a metric. */
function targetsOf(metric, isAlone) {
	const selector = [
		'instance=~"$instance"',
		...(metric.labels.includes("function") ? ['function=~"$function"'] : []),
	].join();
	const name = sampleName(metric);
	const by = lineLabels(metric, isAlone);
	const grouped = by.length === 0 ? "" : ` by (${by.join(", ")})`;
	const legend =
		by.length === 0 ? metric.name.replace(/^gearman_(jobs_)?/, "") : by.map((label) => `{{${label}}}`).join(" ");
	if (metric.type === "histogram") {
		return QUANTILES.map((quantile) => ({
			expr: `histogram_quantile(${quantile}, sum by (le) (rate(${name}_bucket{${selector}}[$__rate_interval])))`,
			legendFormat: `${quantile * 100}%`,
		}));
	}
	if (metric.type === "info") return [{ expr: `${name}{${selector}}`, legendFormat: "{{version}}", instant: true }];
	if (metric.name.endsWith("start_time_seconds")) {
		return [{ expr: `time() - max(${name}{${selector}})`, legendFormat: "up", instant: true }];
	}
	if (metric.type === "counter") {
		return [{ expr: `sum${grouped} (rate(${name}{${selector}}[$__rate_interval]))`, legendFormat: legend }];
	}
	const isExtreme = metric.name.includes("oldest") || metric.type === "summary";
	return [{ expr: `${isExtreme ? "max" : "sum"}${grouped} (${name}{${selector}})`, legendFormat: legend }];
}

function unitOf({ name, type }) {
	const isRate = type === "counter";
	if (name.endsWith("_bytes")) return isRate ? "Bps" : "bytes";
	if (name.endsWith("_seconds")) return isRate ? "percentunit" : "s";
	return isRate ? "ops" : "short";
}

/** The dashboard as Grafana imports it. */
export function dashboard() {
	const panels = [];
	let y = 0;
	for (const group of new Set(metricTable.map((metric) => metric.group))) {
		const mine = metricTable.filter((metric) => metric.group === group);
		panels.push({
			type: "row",
			title: group,
			gridPos: { x: 0, y: y++, w: COLUMNS, h: 1 },
			collapsed: false,
			panels: [],
		});
		let x = 0;
		for (const title of new Set(mine.map(({ panel }) => panel))) {
			const metrics = mine.filter(({ panel }) => panel === title);
			const isStat = metrics[0].type === "info" || metrics[0].name.endsWith("start_time_seconds");
			const targets = metrics.flatMap((metric) => targetsOf(metric, metrics.length === 1));
			panels.push({
				type: isStat ? "stat" : "timeseries",
				title,
				description: metrics.map(({ help }) => help).join("\n\n"),
				datasource,
				gridPos: { x, y, w: WIDTH, h: HEIGHT },
				fieldConfig: { defaults: { unit: unitOf(metrics[0]), min: 0 }, overrides: [] },
				...(metrics[0].type === "info" && { options: { textMode: "name" } }),
				targets: targets.map((target, i) => ({ ...target, refId: String.fromCharCode(65 + i), datasource })),
			});
			x += WIDTH;
			if (x < COLUMNS) continue;
			x = 0;
			y += HEIGHT;
		}
		if (x > 0) y += HEIGHT;
	}
	return {
		uid: "gearman",
		title: "Gearman",
		tags: ["gearman"],
		schemaVersion: 39,
		editable: true,
		refresh: "30s",
		time: { from: "now-1h", to: "now" },
		templating: {
			list: [
				{ name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
				variable("instance", "Server", "label_values(gearman_build_info, instance)"),
				variable("function", "Function", 'label_values(gearman_workers{instance=~"$instance"}, function)'),
			],
		},
		panels: panels.map((panel, i) => ({ id: i + 1, ...panel })),
	};
}

function variable(name, label, query) {
	return {
		name,
		label,
		type: "query",
		datasource,
		query: { query, refId: name },
		refresh: 2,
		sort: 1,
		multi: true,
		includeAll: true,
		allValue: ".*",
		current: { text: "All", value: "$__all" },
	};
}

/** The dashboard as its file holds it. */
export function dashboardText() {
	return `${JSON.stringify(dashboard(), null, "\t")}\n`;
}

/** README's table: a row a metric. */
export function metricRows() {
	const rows = ["| Metric | Type | Labels | Meaning |", "| --- | --- | --- | --- |"];
	for (const metric of metricTable) {
		const labels = metric.labels.map((label) => `\`${label}\``).join(", ");
		rows.push(`| \`${sampleName(metric)}\` | ${metric.type} | ${labels} | ${metric.help} |`);
	}
	return rows.join("\n");
}

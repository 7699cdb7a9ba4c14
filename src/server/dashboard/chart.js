// A line chart of the last five minutes: our own SVG, for what is drawn is two or three lines. What it shows can be had as
// text too: in its label, in the legend, and as a table. A line is known by its dashes as well as by its colour.

import { element, setText } from "./dom.js";

const HEIGHT = 150;
const LEFT = 58;
const BOTTOM = 20;
const TOP = 8;
const SPAN_MS = 300_000;
/** Samples further apart than this are not joined: nobody watched in between. */
const GAP_MS = 5000;
/** Rows of the table: one in this many ms. */
const ROW_MS = 15_000;
/** The spoken summary is renewed this often, not every second. */
const LABEL_MS = 10_000;

export class Chart {
	#lines;
	#format;
	#title;
	#least;
	#plot = drawn("g");
	#axis = drawn("g", { class: "axis" });
	#cross = drawn("line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
	#svg;
	#when = element("span", { class: "when" });
	#table = element("tbody");
	#details;
	#labelledAtMs = 0;
	#samples = [];
	#pointedMs;
	/** In CSS pixels, so that its text is as large as all other. */
	#width = 600;

	/** lines: [{ name, label }]: `name` is the sample's field and the class of its line; `least`: the axis reaches at least this. */
	constructor({ title, lines, format, least }) {
		this.#title = title;
		this.#format = format;
		this.#least = least;
		this.#lines = lines.map((line) => ({
			...line,
			path: drawn("path", { class: `line ${line.name}` }),
			now: element("b"),
		}));
		this.#plot.append(...this.#lines.map(({ path }) => path));
		this.#svg = drawn("svg", { height: HEIGHT, role: "img", "aria-label": title });
		this.#svg.append(this.#axis, this.#cross, this.#plot);
		new ResizeObserver(([{ contentRect }]) => this.#resize(contentRect.width)).observe(this.#svg);
		this.#svg.addEventListener("pointermove", (event) => this.#point(event));
		this.#svg.addEventListener("pointerleave", () => this.#point());
		const legend = this.#lines.map(({ name, label, now }) =>
			element("span", { class: `key ${name}` }, swatch(name), `${label} `, now),
		);
		const heads = ["Time", ...lines.map(({ label }) => label)].map((label) => element("th", { scope: "col" }, label));
		this.#details = element(
			"details",
			{ ontoggle: () => this.#fillTable() },
			element("summary", {}, "As a table"),
			element(
				"div",
				{ class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, values` },
				element(
					"table",
					{},
					element("caption", { class: "unseen" }, title),
					element("thead", {}, element("tr", {}, ...heads)),
					this.#table,
				),
			),
		);
		this.node = element(
			"figure",
			{},
			element("figcaption", {}, element("h3", {}, title), element("span", { class: "legend" }, ...legend, this.#when)),
			this.#svg,
			this.#details,
		);
	}

	#resize(width) {
		// No more often than needed: drawing must not change the size.
		if (width === 0 || Math.abs(width - this.#width) < 1) return;
		this.#width = width;
		this.#draw();
	}

	/** samples: [{ atMs, … }], the oldest first. */
	show(samples) {
		this.#samples = samples;
		this.#draw();
		if (this.#details.open) this.#fillTable();
	}

	#draw() {
		const samples = this.#samples;
		const lastMs = samples.at(-1)?.atMs ?? 0;
		const x = (ms) => this.#width - ((lastMs - ms) / SPAN_MS) * (this.#width - LEFT);
		const seen = samples.filter(({ atMs }) => lastMs - atMs <= SPAN_MS);
		let most = this.#least;
		for (const sample of seen) for (const { name } of this.#lines) most = Math.max(most, sample[name] ?? 0);
		const top = roundUp(most);
		const y = (value) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP);
		this.#axis.replaceChildren(
			...[0, top / 2, top].flatMap((value) => [
				drawn("line", { x1: LEFT, x2: this.#width, y1: y(value), y2: y(value) }),
				written(short(this.#format(value)), LEFT - 6, y(value) + 4, "end"),
			]),
			...(this.#width < 420 ? [4, 2] : [5, 4, 3, 2, 1]).map((minutes) =>
				written(`−${minutes} min`, x(lastMs - minutes * 60_000), HEIGHT - 4, minutes === 5 ? "start" : "middle"),
			),
			written("now", this.#width, HEIGHT - 4, "end"),
		);
		for (const { name, path } of this.#lines) {
			let d = "";
			let beforeMs = Number.NEGATIVE_INFINITY;
			for (const { atMs, [name]: value } of seen) {
				if (value === null || value === undefined) {
					beforeMs = Number.NEGATIVE_INFINITY;
					continue;
				}
				const isJoined = atMs - beforeMs <= GAP_MS;
				// A lone point is drawn too: its line is as long as its round ends.
				d += `${isJoined ? "L" : "M"}${x(atMs).toFixed(1)} ${y(value).toFixed(1)}${isJoined ? "" : "h.1"}`;
				beforeMs = atMs;
			}
			path.setAttribute("d", d);
		}
		this.#legend(seen, x, lastMs);
		if (lastMs - this.#labelledAtMs >= LABEL_MS) {
			this.#labelledAtMs = lastMs;
			this.#svg.setAttribute("aria-label", this.#summary(seen));
		}
	}

	/** What the lines are at now, or where the pointer is. */
	#legend(seen, x, lastMs) {
		const isPointed = this.#pointedMs !== undefined && seen.length > 0;
		const wantedMs = lastMs - (this.#pointedMs ?? 0);
		const sample = isPointed
			? seen.reduce((best, one) => (Math.abs(one.atMs - wantedMs) < Math.abs(best.atMs - wantedMs) ? one : best))
			: seen.at(-1);
		for (const { name, now } of this.#lines) setText(now, this.#format(sample?.[name]));
		setText(this.#when, isPointed ? clock(sample.atMs) : "");
		this.#cross.setAttribute("visibility", isPointed ? "visible" : "hidden");
		if (!isPointed) return;
		this.#cross.setAttribute("x1", x(sample.atMs));
		this.#cross.setAttribute("x2", x(sample.atMs));
	}

	#point(event) {
		this.#pointedMs = undefined;
		if (event !== undefined) {
			const { left, width } = this.#svg.getBoundingClientRect();
			const at = ((event.clientX - left) / width) * this.#width;
			if (at >= LEFT) this.#pointedMs = ((this.#width - at) / (this.#width - LEFT)) * SPAN_MS;
		}
		this.#draw();
	}

	#summary(seen) {
		const parts = this.#lines.map(({ name, label }) => {
			const values = seen.map((sample) => sample[name]).filter((value) => typeof value === "number");
			if (values.length === 0) return `${label}: none yet`;
			const least = Math.min(...values);
			const most = Math.max(...values);
			return `${label}: now ${this.#format(values.at(-1))}, between ${this.#format(least)} and ${this.#format(most)}`;
		});
		return `${this.#title}, last five minutes. ${parts.join(". ")}`;
	}

	#fillTable() {
		const rows = [];
		let nextMs = Number.POSITIVE_INFINITY;
		for (const sample of this.#samples.toReversed()) {
			if (sample.atMs > nextMs) continue;
			nextMs = sample.atMs - ROW_MS;
			const values = this.#lines.map(({ name }) => element("td", { class: "number" }, this.#format(sample[name])));
			rows.push(element("tr", {}, element("th", { scope: "row" }, clock(sample.atMs)), ...values));
		}
		this.#table.replaceChildren(...rows);
	}
}

/** The next of 1, 2, 3, 4, 5, 6, 8, 10 …: its half is a round number as well. */
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

/** "2.50 s" as "2.5 s". */
function short(text) {
	return text.replace(/\.0+(?!\d)|(\.\d*[1-9])0+(?!\d)/, "$1");
}

function clock(ms) {
	return new Date(ms).toLocaleTimeString("en-GB");
}

function swatch(name) {
	const svg = drawn("svg", { viewBox: "0 0 22 8", width: 22, height: 8, "aria-hidden": "true" });
	svg.append(drawn("path", { class: `line ${name}`, d: "M1 4h20" }));
	return svg;
}

function drawn(tag, attributes = {}) {
	const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
	return made;
}

function written(text, x, y, anchor) {
	const made = drawn("text", { x, y, "text-anchor": anchor });
	made.textContent = text;
	return made;
}

// All functions: the server sorts and filters, for there may be ten thousand. Sorted as it is by default and not filtered,
// a page comes with every event; anything else is asked for.

import { get } from "./api.js";
import { command, element, setText } from "./dom.js";
import { age, count, latency, plural, printable, rate } from "./format.js";
import { Pager } from "./pager.js";
import { gearman } from "./server-address.js";
import { Table } from "./table.js";

const LIMIT = 100;

const columns = [
	{
		name: "name",
		label: "Function",
		sort: "ascending",
		value: ({ id, isStuck, isFull }) => `${id} ${isStuck} ${isFull}`,
		fill: nameCell,
	},
	{ name: "queued", label: "Queued", isNumber: true, sort: "descending", value: ({ queued }) => count(queued) },
	{ name: "running", label: "Running", isNumber: true, sort: "descending", value: ({ running }) => count(running) },
	{ name: "delayed", label: "Delayed", isNumber: true, sort: "descending", value: ({ delayed }) => count(delayed) },
	{ name: "workers", label: "Workers", isNumber: true, sort: "descending", value: ({ workers }) => count(workers) },
	{ name: "oldest", label: "Oldest", isNumber: true, sort: "descending", value: ({ oldestMs }) => age(oldestMs) },
	{
		name: "done",
		label: "Done/s",
		isNumber: true,
		sort: "descending",
		value: ({ recent }) => rate(recent?.completedPerSecond),
	},
	{
		name: "failed",
		label: "Failed/s",
		isNumber: true,
		sort: "descending",
		value: ({ recent }) => rate(recent?.failedPerSecond),
	},
	{
		name: "wait",
		label: "Wait p95",
		isNumber: true,
		sort: "descending",
		value: ({ recent }) => latency(recent?.waitMs?.p95),
	},
	{
		name: "run",
		label: "Run p95",
		isNumber: true,
		sort: "descending",
		value: ({ recent }) => latency(recent?.runMs?.p95),
	},
];

function nameCell(cell, row) {
	cell.replaceChildren(
		element("a", { href: `#/functions/${row.id}`, class: "name" }, printable(row.name)),
		...badges(row),
	);
}

/** What needs somebody's eye, in words. */
export function badges({ isStuck, isFull }) {
	const badge = (text, title) => element("span", { class: "badge", title }, text);
	return [
		isStuck && badge("no worker", "Jobs wait and no worker can do this function"),
		isFull && badge("full", "The function has as many jobs as it may hold"),
	].filter(Boolean);
}

export class FunctionsView {
	#server;
	#sort = "need";
	#isDescending = true;
	#offset = 0;
	#table = new Table({
		caption: "Functions",
		columns,
		keyOf: ({ id }) => id,
		onSort: (name, first) => this.#sortBy(name, first),
	});
	#filter = element("input", {
		type: "search",
		id: "filter",
		autocomplete: "off",
		spellcheck: "false",
		oninput: () => this.#changed(),
	});
	#pager = new Pager((step) => {
		this.#offset = Math.max(0, this.#offset + step * LIMIT);
		return this.#ask();
	});
	#reset = element(
		"button",
		{ type: "button", hidden: true, onclick: () => this.#sortBy("need") },
		"Most in need first",
	);
	#none = element("p", { class: "empty", hidden: true });
	#start = element("div", { class: "empty", hidden: true });
	#tools;
	#aborter = new AbortController();

	constructor(server) {
		this.#server = server;
		this.title = "Functions";
		this.#tools = element(
			"div",
			{ class: "filters" },
			element("label", { for: "filter" }, "Filter by name"),
			this.#filter,
			this.#reset,
		);
		this.node = element(
			"section",
			{},
			element("h2", { tabindex: "-1" }, "Functions"),
			this.#tools,
			this.#table.node,
			this.#none,
			this.#start,
			this.#pager.node,
		);
	}

	/** Something new has come. */
	update(event) {
		const isDefault = this.#sort === "need" && this.#filter.value === "" && this.#offset === 0;
		if (isDefault) this.#show(event.functions);
		else return this.#ask();
	}

	close() {
		this.#aborter.abort();
	}

	async #ask() {
		this.#aborter.abort();
		this.#aborter = new AbortController();
		const query = new URLSearchParams({
			sort: this.#sort,
			order: this.#isDescending ? "descending" : "ascending",
			filter: this.#filter.value,
			offset: this.#offset,
			limit: LIMIT,
		});
		this.#show(await get(`api/functions?${query}`, this.#aborter.signal));
	}

	#show({ functions, matching, offset }) {
		this.#table.show(functions);
		const isEmpty = matching === 0;
		const isFiltered = this.#filter.value !== "";
		this.#table.node.hidden = isEmpty;
		this.#tools.hidden = isEmpty && !isFiltered;
		this.#none.hidden = !(isEmpty && isFiltered);
		if (isEmpty && isFiltered) setText(this.#none, `No function with “${this.#filter.value}” in its name.`);
		const isUnused = isEmpty && !isFiltered;
		if (isUnused && this.#start.hidden) this.#start.replaceChildren(...firstSteps(this.#server.overview));
		this.#start.hidden = !isUnused;
		this.#pager.show({
			text: isEmpty
				? ""
				: matching <= LIMIT
					? plural(matching, "function")
					: `${count(offset + 1)} to ${count(offset + functions.length)} of ${plural(matching, "function")}`,
			hasPrevious: offset > 0,
			hasNext: offset + functions.length < matching,
		});
	}

	#sortBy(name, first) {
		this.#isDescending = this.#sort === name ? !this.#isDescending : first !== "ascending";
		this.#sort = name;
		this.#offset = 0;
		this.#table.sorted(name, this.#isDescending);
		this.#reset.hidden = name === "need";
		if (name === "need") this.#isDescending = true;
		this.#server.try(() => this.#ask());
	}

	#changed() {
		this.#offset = 0;
		this.#server.try(() => this.#ask());
	}
}

function firstSteps(overview) {
	return [
		element("p", {}, element("b", {}, "No functions yet."), " Start a worker, and give it a job:"),
		command(`${gearman(overview)} -w -f reverse rev\necho hello | ${gearman(overview)} -f reverse`),
	];
}

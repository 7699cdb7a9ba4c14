// All workers, page by page, and one worker.

import { get } from "./api.js";
import { command, element, setText } from "./dom.js";
import { age, count, plural, printable } from "./format.js";
import { Pager } from "./pager.js";
import { gearman } from "./server-address.js";
import { Table } from "./table.js";

const LIMIT = 100;
/** Functions named in a row; the worker's own page has them all. */
const NAMED = 3;

export const workerColumns = [
	{
		label: "Worker",
		value: ({ id }) => `#${id}`,
		fill: (cell, { id }) => cell.replaceChildren(element("a", { href: `#/workers/${id}` }, `#${id}`)),
	},
	{ label: "Client id", value: ({ clientId }) => printable(clientId) },
	{ label: "Address", value: ({ address }) => address },
	{
		label: "Functions",
		value: ({ functions, functionCount }) => `${functionCount} ${functions.slice(0, NAMED).map(({ id }) => id)}`,
		fill: functionsCell,
	},
	{ label: "Current job", value: ({ jobs, jobCount }) => `${jobCount} ${jobs[0]?.handle}`, fill: jobCell },
	{ label: "Job age", isNumber: true, value: ({ jobs }) => age(jobs[0]?.runningMs) },
	{ label: "Connected", isNumber: true, value: ({ connectedForMs }) => age(connectedForMs) },
];

function functionsCell(cell, { functions, functionCount }) {
	const links = functions.slice(0, NAMED).flatMap(({ id, name }, place) => [place > 0 && ", ", functionLink(id, name)]);
	const more = functionCount - Math.min(NAMED, functions.length);
	cell.replaceChildren(...links.filter(Boolean), more > 0 ? ` and ${count(more)} more` : "");
}

function jobCell(cell, { jobs, jobCount }) {
	if (jobCount === 0) return cell.replaceChildren("idle");
	const [{ handle, functionId, functionName }] = jobs;
	cell.replaceChildren(
		element("code", {}, handle),
		" ",
		functionLink(functionId, functionName),
		jobCount > 1 ? ` and ${count(jobCount - 1)} more` : "",
	);
}

function functionLink(id, name) {
	return element("a", { href: `#/functions/${id}`, class: "name" }, printable(name));
}

export class WorkersView {
	#server;
	#table = new Table({ caption: "Workers", columns: workerColumns, keyOf: ({ id }) => id });
	#filter = element("input", {
		type: "search",
		id: "filter",
		autocomplete: "off",
		spellcheck: "false",
		oninput: () => this.#turn(0),
	});
	#tools;
	#none = element("p", { class: "empty", hidden: true });
	#start = element("div", { class: "empty", hidden: true });
	#pager = new Pager((step) => this.#turn(step));
	#cursors = [""];
	#nextCursor = null;
	#aborter = new AbortController();

	constructor(server) {
		this.#server = server;
		this.title = "Workers";
		this.#tools = element(
			"div",
			{ class: "filters" },
			element("label", { for: "filter" }, "Client id, address or function contains"),
			this.#filter,
		);
		this.node = element(
			"section",
			{},
			element("h2", { tabindex: "-1" }, "Workers"),
			this.#tools,
			this.#table.node,
			this.#none,
			this.#start,
			this.#pager.node,
		);
	}

	async update() {
		this.#aborter.abort();
		this.#aborter = new AbortController();
		const query = new URLSearchParams({ cursor: this.#cursors.at(-1), filter: this.#filter.value, limit: LIMIT });
		const { workers, cursor } = await get(`api/workers?${query}`, this.#aborter.signal);
		this.#table.show(workers);
		this.#nextCursor = cursor;
		const isEmpty = workers.length === 0;
		const isFiltered = this.#filter.value !== "";
		this.#table.node.hidden = isEmpty;
		const isUnused = isEmpty && !isFiltered && this.#cursors.length === 1;
		this.#tools.hidden = isUnused;
		this.#none.hidden = !isEmpty || isUnused;
		if (!this.#none.hidden)
			setText(
				this.#none,
				isFiltered
					? `No worker with “${this.#filter.value}”${cursor === null ? "" : " among these"}.`
					: "No more workers.",
			);
		if (isUnused && this.#start.hidden) {
			const text = element(
				"p",
				{},
				element("b", {}, "No workers."),
				" Start one that does a function by running a command:",
			);
			this.#start.replaceChildren(text, command(`${gearman(this.#server.overview)} -w -f reverse rev`));
		}
		this.#start.hidden = !isUnused;
		const place = this.#cursors.length;
		this.#pager.show({
			text: isEmpty
				? ""
				: place > 1 || cursor !== null
					? `Page ${place}, ${plural(workers.length, "worker")}`
					: plural(workers.length, "worker"),
			hasPrevious: place > 1,
			hasNext: cursor !== null,
		});
	}

	close() {
		this.#aborter.abort();
	}

	#turn(step) {
		if (step > 0) this.#cursors.push(this.#nextCursor);
		else if (step < 0) this.#cursors.pop();
		else this.#cursors = [""];
		return this.#server.try(() => this.update());
	}
}

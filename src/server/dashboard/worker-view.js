// One worker: who it is, what it does now, what it can do.

import { get } from "./api.js";
import { element, setText } from "./dom.js";
import { facts } from "./facts.js";
import { age, count, plural, printable } from "./format.js";
import { cancelButton, jobColumns } from "./job-table.js";
import { Table } from "./table.js";

export class WorkerView {
	#server;
	#id;
	#facts = facts();
	#jobs;
	#idle = element("p", { class: "empty" }, "It is idle.");
	#functions = element("ul", { class: "names" });
	#more = element("p", { class: "where" });
	#functionIds = "";
	#aborter = new AbortController();

	constructor(server, id) {
		this.#server = server;
		this.#id = id;
		this.title = `Worker #${id}`;
		this.#jobs = new Table({
			caption: "Current jobs",
			columns: [
				jobColumns[0],
				{
					label: "Function",
					value: ({ functionId }) => functionId,
					fill: (cell, job) =>
						cell.replaceChildren(
							element("a", { href: `#/functions/${job.functionId}`, class: "name" }, printable(job.functionName)),
						),
				},
				...jobColumns.slice(1).filter(({ label }) => label !== "Worker"),
				{
					label: "Action",
					value: ({ handle, isCancelled }) => `${handle} ${isCancelled}`,
					fill: (cell, job) => this.#actions(cell, job),
				},
			],
			keyOf: ({ handle }) => handle,
		});
		this.node = element(
			"section",
			{},
			element("p", { class: "back" }, element("a", { href: "#/workers" }, "All workers")),
			element("h2", { tabindex: "-1" }, this.title),
			this.#facts.node,
			element("h3", {}, "Current jobs"),
			this.#jobs.node,
			this.#idle,
			element("h3", {}, "Functions"),
			this.#functions,
			this.#more,
		);
	}

	async update() {
		this.#aborter.abort();
		this.#aborter = new AbortController();
		const worker = await get(`api/workers/${this.#id}`, this.#aborter.signal);
		const { jobs, jobCount, functions, functionCount } = worker;
		this.#facts.show([
			["Client id", printable(worker.clientId)],
			["Address", worker.address],
			["Connected", age(worker.connectedForMs)],
			["State", jobCount > 0 ? plural(jobCount, "job") : worker.isSleeping ? "asleep" : "awake"],
			["Functions", count(functionCount)],
		]);
		this.#jobs.show(jobs);
		this.#jobs.node.hidden = jobs.length === 0;
		this.#idle.hidden = jobs.length > 0;
		const ids = functions.map(({ id }) => id).join(" ");
		if (ids !== this.#functionIds) {
			this.#functionIds = ids;
			this.#functions.replaceChildren(
				...functions.map(({ id, name }) =>
					element("li", {}, element("a", { href: `#/functions/${id}`, class: "name" }, printable(name))),
				),
			);
		}
		setText(this.#more, functionCount > functions.length ? `and ${count(functionCount - functions.length)} more` : "");
	}

	close() {
		this.#aborter.abort();
	}

	#actions(cell, job) {
		cell.replaceChildren(job.isCancelled || !this.#server.mayChange ? "" : cancelButton(job, () => this.update()));
	}
}

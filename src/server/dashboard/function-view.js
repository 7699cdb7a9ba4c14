// One function: what it is at, its jobs page by page, its workers, and what can be changed about it.

import { change, get } from "./api.js";
import { ask } from "./dialogs.js";
import { announce, command, element, setText } from "./dom.js";
import { facts } from "./facts.js";
import { age, count, latency, plural, printable, rate, shellWord } from "./format.js";
import { badges } from "./functions-view.js";
import { cancelButton, jobColumns } from "./job-table.js";
import { Pager } from "./pager.js";
import { gearman } from "./server-address.js";
import { Table } from "./table.js";
import { workerColumns } from "./workers-view.js";

const LIMIT = 50;

export class FunctionView {
	#server;
	#id;
	#row;
	#name = element("h2", { tabindex: "-1" });
	#badges = element("span");
	#facts = facts();
	#hint = element("div", { class: "empty", hidden: true });
	#jobs;
	#none = element("p", { class: "empty", hidden: true });
	#filter = element("input", {
		type: "search",
		id: "filter",
		autocomplete: "off",
		spellcheck: "false",
		oninput: () => this.#restart(),
	});
	#pager = new Pager((step) => this.#turn(step));
	#workers = new Table({ caption: "Workers", columns: workerColumns, keyOf: ({ id }) => id });
	#moreWorkers = element("p", { class: "where" });
	#buttons = element("div", { class: "buttons" });
	/** Cursors of the pages before this one, and of this one. */
	#cursors = [""];
	#nextCursor = null;
	#aborter = new AbortController();

	constructor(server, id) {
		this.#server = server;
		this.#id = id;
		this.#jobs = new Table({
			caption: "Jobs",
			columns: [
				...jobColumns,
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
			element("p", { class: "back" }, element("a", { href: "#/" }, "All functions")),
			element("div", { class: "title" }, this.#name, this.#badges, this.#buttons),
			this.#facts.node,
			this.#hint,
			element(
				"div",
				{ class: "filters" },
				element("h3", {}, "Jobs"),
				element("label", { for: "filter" }, "Unique or handle contains"),
				this.#filter,
			),
			this.#jobs.node,
			this.#none,
			this.#pager.node,
			element("h3", {}, "Workers"),
			this.#workers.node,
			this.#moreWorkers,
		);
	}

	get title() {
		return this.#row === undefined ? "Function" : printable(this.#row.name);
	}

	async update() {
		this.#aborter.abort();
		this.#aborter = new AbortController();
		const { signal } = this.#aborter;
		const query = new URLSearchParams({ cursor: this.#cursors.at(-1), filter: this.#filter.value, limit: LIMIT });
		const [row, page, workers] = await Promise.all([
			get(`api/functions/${this.#id}`, signal),
			get(`api/functions/${this.#id}/jobs?${query}`, signal),
			get(`api/functions/${this.#id}/workers?limit=20`, signal),
		]);
		this.#showFunction(row);
		this.#showJobs(page);
		this.#workers.show(workers.workers);
		this.#workers.node.hidden = workers.workers.length === 0;
		setText(
			this.#moreWorkers,
			workers.workers.length === 0
				? "No worker is connected."
				: workers.cursor === null
					? ""
					: `The first ${workers.workers.length}.`,
		);
	}

	close() {
		this.#aborter.abort();
	}

	#showFunction(row) {
		const isFirst = this.#row === undefined;
		this.#row = row;
		setText(this.#name, printable(row.name));
		this.#badges.replaceChildren(...badges(row));
		const { high, normal, low } = row.queuedByPriority;
		const recent = row.recent ?? {};
		this.#facts.show([
			[
				"Queued",
				count(row.queued),
				high + low > 0 && `${count(high)} high, ${count(normal)} normal, ${count(low)} low`,
			],
			["Running", count(row.running)],
			["Delayed", count(row.delayed)],
			["Workers", count(row.workers)],
			["Oldest", age(row.oldestMs)],
			["Done", count(row.completed), `${rate(recent.completedPerSecond)}/s`],
			["Failed", count(row.failed), `${rate(recent.failedPerSecond)}/s`],
			["Wait p50 · p95", `${latency(recent.waitMs?.p50)} · ${latency(recent.waitMs?.p95)}`],
			["Run p50 · p95", `${latency(recent.runMs?.p50)} · ${latency(recent.runMs?.p95)}`],
			["Max queue", limits(row.maxQueue)],
		]);
		if (row.isStuck && this.#hint.hidden) {
			this.#hint.replaceChildren(
				element("p", {}, element("b", {}, "Jobs wait, and no worker can do them."), " Start one:"),
				command(`${gearman(this.#server.overview)} -w -f ${shellWord(row.name)} COMMAND`),
			);
		}
		this.#hint.hidden = !row.isStuck;
		if (isFirst && this.#server.mayChange) {
			this.#buttons.append(
				element("button", { type: "button", onclick: () => this.#limit() }, "Max queue…"),
				element("button", { type: "button", onclick: () => this.#drop() }, "Drop…"),
			);
		}
	}

	#showJobs({ jobs, cursor, examined, isRestarted }) {
		this.#jobs.show(jobs);
		this.#nextCursor = cursor;
		if (isRestarted) this.#cursors = [""];
		const isFiltered = this.#filter.value !== "";
		this.#jobs.node.hidden = jobs.length === 0;
		this.#none.hidden = jobs.length > 0;
		if (jobs.length === 0) {
			setText(
				this.#none,
				!isFiltered
					? "No jobs."
					: cursor === null
						? `No job with “${this.#filter.value}” in its unique or handle.`
						: `None among these ${count(examined)} jobs.`,
			);
		}
		const place = this.#cursors.length;
		this.#pager.show({
			text:
				jobs.length === 0
					? ""
					: place > 1 || cursor !== null
						? `Page ${place}, ${plural(jobs.length, "job")}`
						: plural(jobs.length, "job"),
			hasPrevious: place > 1,
			hasNext: cursor !== null,
			next: isFiltered && jobs.length < LIMIT && cursor !== null ? "Search on" : "Next",
		});
	}

	#turn(step) {
		if (step > 0) this.#cursors.push(this.#nextCursor);
		else this.#cursors.pop();
		return this.#server.try(() => this.update());
	}

	#restart() {
		this.#cursors = [""];
		return this.#server.try(() => this.update());
	}

	#actions(cell, job) {
		cell.replaceChildren(job.isCancelled || !this.#server.mayChange ? "" : cancelButton(job, () => this.update()));
	}

	async #drop() {
		const { name, total, workers, running } = this.#row;
		const isBusy = workers > 0 || running > 0;
		const isDone = await ask({
			title: isBusy ? `${printable(name)} cannot be dropped now` : `Drop ${printable(name)}?`,
			text: isBusy
				? `It has ${plural(workers, "worker")} and ${plural(running, "running job")}. Stop its workers first.`
				: total > 0
					? `Its ${plural(total, "waiting job")} will be cancelled. This cannot be undone.`
					: "It has no jobs and no workers.",
			action: isBusy ? null : "Drop function",
			isDangerous: true,
			run: () => change("DELETE", `api/functions/${this.#id}`),
		});
		if (!isDone) return;
		announce(`${printable(name)} was dropped`);
		location.hash = "#/";
	}

	async #limit() {
		const { maxQueue, name } = this.#row;
		const field = (label, key) =>
			element(
				"label",
				{ class: "field" },
				label,
				element("input", {
					name: key,
					type: "number",
					min: "0",
					step: "1",
					max: "4294967295",
					value: String(maxQueue[key]),
					required: true,
				}),
			);
		const isDone = await ask({
			title: `Max queue of ${printable(name)}`,
			text: "Submits of a priority are refused while the function has this many jobs in all. 0: no limit.",
			fields: [field("High", "high"), field("Normal", "normal"), field("Low", "low")],
			action: "Set",
			run: (data) =>
				change(
					"PUT",
					`api/functions/${this.#id}/maxqueue`,
					Object.fromEntries([...data].map(([key, value]) => [key, Number(value)])),
				),
		});
		if (!isDone) return;
		announce("Max queue was set");
		await this.#server.try(() => this.update());
	}
}

function limits({ high, normal, low }) {
	const shown = (limit) => (limit === 0 ? "none" : count(limit));
	return high === normal && normal === low ? shown(high) : `${shown(high)} / ${shown(normal)} / ${shown(low)}`;
}

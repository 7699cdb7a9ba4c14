// A job in a table, and the way to cancel it.

import { change } from "./api.js";
import { ask } from "./dialogs.js";
import { announce, element } from "./dom.js";
import { age, bytes, count, printable } from "./format.js";

export const jobColumns = [
	{
		label: "Handle",
		value: ({ handle }) => handle,
		fill: (cell, { handle }) => cell.replaceChildren(element("code", {}, handle)),
	},
	{ label: "Unique", value: ({ unique }) => (unique === "" ? "–" : printable(unique)) },
	{ label: "State", value: state },
	{ label: "Priority", value: ({ priority }) => priority },
	{ label: "Kind", value: ({ isBackground }) => (isBackground ? "background" : "foreground") },
	{ label: "Submitted", isNumber: true, value: ({ ageMs }) => age(ageMs) },
	{ label: "Running for", isNumber: true, value: ({ runningMs }) => age(runningMs) },
	{
		label: "Worker",
		value: ({ workerId }) => (workerId === null ? "–" : String(workerId)),
		fill: (cell, { workerId }) =>
			cell.replaceChildren(workerId === null ? "–" : element("a", { href: `#/workers/${workerId}` }, `#${workerId}`)),
	},
	{ label: "Workload", isNumber: true, value: ({ workloadBytes }) => bytes(workloadBytes) },
	{ label: "Lost", isNumber: true, value: ({ retries }) => count(retries) },
];

function state({ state, isCancelled, numerator, denominator, dueInMs }) {
	if (isCancelled) return "cancelled, its worker goes on";
	if (state === "running" && denominator > 0) return `running, ${Math.floor((100 * numerator) / denominator)} %`;
	if (state === "delayed") return `delayed, due in ${age(dueInMs)}`;
	return state;
}

export function cancelButton(job, done) {
	const label = `Cancel job ${job.handle}`;
	return element(
		"button",
		{ type: "button", class: "small", "aria-label": label, onclick: () => cancel(job, done) },
		"Cancel",
	);
}

async function cancel({ handle, state }, done) {
	const isDone = await ask({
		title: "Cancel this job?",
		text:
			state === "running"
				? `${handle} is running: its worker goes on, but the result goes nowhere.`
				: `${handle} will not be run. Whoever waits for it is told that it failed.`,
		action: "Cancel job",
		isDangerous: true,
		run: () => change("DELETE", `jobs/${encodeURIComponent(handle)}`),
	});
	if (!isDone) return;
	announce(`Job ${handle} was cancelled`);
	await done();
}

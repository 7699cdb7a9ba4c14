// The dashboard: one live stream of events from the server, one view at a time below the overview.

import { Chart } from "./chart.js";
import { announce, byId, setText } from "./dom.js";
import { facts } from "./facts.js";
import { age, bytes, count, latency, rate } from "./format.js";
import { FunctionView } from "./function-view.js";
import { FunctionsView } from "./functions-view.js";
import { WorkerView } from "./worker-view.js";
import { WorkersView } from "./workers-view.js";

/** Samples kept for the charts: five minutes of one a second. */
const SAMPLES = 300;
/** Without an event for this long the connection is taken for lost. */
const SILENCE_MS = 5000;
const RETRY_MS = 2000;

const tiles = facts(byId("tiles"));
const throughput = new Chart({
	title: "Jobs per second",
	lines: [
		{ name: "done", label: "done" },
		{ name: "failed", label: "failed" },
	],
	format: rate,
	least: 1,
});
const times = new Chart({
	title: "Wait and run time",
	lines: [
		{ name: "wait95", label: "wait p95" },
		{ name: "run95", label: "run p95" },
	],
	format: latency,
	least: 10,
});
byId("charts").append(throughput.node, times.node);

/** What the views are given. */
const server = {
	overview: undefined,
	/** Whether this viewer may cancel jobs and drop functions. */
	mayChange: false,
	/** Runs it; what goes wrong is shown, and gone when something works again. */
	async try(run) {
		try {
			await run();
			notice("");
		} catch (error) {
			// Asked again before the answer came, or the connection is lost, which is said already.
			if (error.name !== "AbortError" && !(error instanceof TypeError)) notice(error.message);
		}
	},
};

let view;
let last;
let samples = [];
let source;
let silenceTimer;
let isPaused = false;
let isAsking = false;

function notice(text) {
	setText(byId("notice"), text);
	byId("notice").hidden = text === "";
}

/* The connection */

function connect() {
	source?.close();
	source = new EventSource("../api/events");
	source.addEventListener("hello", ({ data }) => {
		({ mayChange: server.mayChange, samples } = JSON.parse(data));
	});
	source.addEventListener("snapshot", ({ data }) => {
		arrived();
		receive(JSON.parse(data));
	});
	source.addEventListener("error", () => lost());
	clearTimeout(silenceTimer);
	silenceTimer = setTimeout(lost, SILENCE_MS);
}

function arrived() {
	if (byId("link").dataset.state === "lost") announce("Connected again");
	link("live", "Live");
	clearTimeout(silenceTimer);
	silenceTimer = setTimeout(lost, SILENCE_MS);
}

function lost() {
	source?.close();
	clearTimeout(silenceTimer);
	if (isPaused) return;
	if (byId("link").dataset.state !== "lost") announce("Connection lost, trying again");
	link("lost", "Connection lost, trying again");
	silenceTimer = setTimeout(connect, RETRY_MS);
}

function link(state, text) {
	byId("link").dataset.state = state;
	setText(byId("link").lastElementChild, text);
}

function pause() {
	isPaused = !isPaused;
	byId("pause").setAttribute("aria-pressed", String(isPaused));
	if (isPaused) {
		source?.close();
		clearTimeout(silenceTimer);
		link("paused", "Paused");
	} else connect();
}

/* What came */

function receive(event) {
	last = event;
	server.overview = event.overview;
	samples.push(event.sample);
	if (samples.length > SAMPLES) samples.shift();
	if (document.hidden) return;
	show();
}

function show() {
	if (last === undefined) return;
	const { overview, sample } = last;
	const { store } = overview;
	tiles.show([
		["Queued", count(overview.queued), overview.delayed > 0 && `${count(overview.delayed)} delayed`],
		["Running", count(overview.running)],
		["Workers", count(overview.workers), `of ${count(overview.connections)} connections`],
		["Done/s", rate(sample.done), `${count(overview.completed)} in all`],
		["Failed/s", rate(sample.failed), `${count(overview.failed)} in all`],
		["Wait p95", latency(sample.wait95), sample.wait50 !== null && `p50 ${latency(sample.wait50)}`],
		["Memory", bytes(overview.memory.rssBytes), `store ${store.type}`],
	]);
	byId("tiles").classList.toggle("failing", sample.failed > 0);
	const state = overview.state === "serving" ? "" : ` · ${overview.state}`;
	setText(
		byId("about"),
		`${overview.host}:${overview.port} · ${overview.version} · up ${age(overview.uptimeMs)}${state}`,
	);
	setText(byId("count-functions"), count(overview.functions));
	setText(byId("count-workers"), count(overview.workers));
	throughput.show(samples);
	times.show(samples);
	void update();
}

/** One question at a time: a slow server is not asked faster than it answers. */
async function update() {
	if (isAsking || view === undefined || last === undefined) return;
	isAsking = true;
	await server.try(() => view.update(last));
	isAsking = false;
	document.title = `${view.title} · Gearman`;
}

/* The view the address names */

function route() {
	const [, name = "", id] = /^#\/(functions|workers)?\/?(.*)$/.exec(location.hash) ?? [];
	// The skip link's own address.
	if (location.hash === "#content") return;
	view?.close();
	if (name === "functions" && id) view = new FunctionView(server, id);
	else if (name === "workers" && id) view = new WorkerView(server, id);
	else if (name === "workers") view = new WorkersView(server);
	else view = new FunctionsView(server);
	for (const tab of ["functions", "workers"]) {
		const isHere = (name || "functions") === tab;
		if (isHere) byId(`tab-${tab}`).setAttribute("aria-current", id ? "true" : "page");
		else byId(`tab-${tab}`).removeAttribute("aria-current");
	}
	notice("");
	byId("content").replaceChildren(view.node);
	document.title = `${view.title} · Gearman`;
	isAsking = false;
	void update();
}

addEventListener("hashchange", () => {
	route();
	// Whoever reads by ear or keys is taken to where the new view begins.
	view.node.querySelector("h2").focus({ preventScroll: true });
});
document.addEventListener("visibilitychange", () => {
	if (!document.hidden) show();
});
byId("pause").addEventListener("click", pause);

const theme = byId("theme");
theme.value = document.documentElement.dataset.theme;
theme.addEventListener("change", () => {
	document.documentElement.dataset.theme = theme.value;
	try {
		localStorage.setItem("gearman-theme", theme.value);
	} catch {
		// Storage is denied: the choice holds as long as the page.
	}
});

// A link within the page must not change the view.
document.querySelector(".skip").addEventListener("click", (event) => {
	event.preventDefault();
	byId("content").focus();
});

route();
connect();

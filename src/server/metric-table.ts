// THE METRICS: every name, once. Rendered as text by exposition.ts; README's table and the Grafana dashboard are made of
// it too. Units are base units and end the name; a counter's `_total`, and an info's `_info`, come with its samples.

import { SERVER_ERRORS } from "../errors.ts";
import { nameOf } from "../protocol/commands.ts";
import { eventLoopDelays, QUANTILES } from "./event-loop.ts";
import { type Exposition, label } from "./exposition.ts";
import { Count } from "./metrics.ts";
import type { Server } from "./server.ts";

export interface Metric {
	readonly name: string;
	readonly type: "counter" | "gauge" | "histogram" | "summary" | "info";
	/** One line. */
	readonly help: string;
	/** Heading in the README and the dashboard. */
	readonly group: "Jobs" | "Connections" | "Store" | "Process";
	/** Title in the dashboard; metrics of one title are drawn together. */
	readonly panel: string;
	readonly labels: readonly string[];
	read(text: Exposition): void;
}

type Group = Metric["group"];

/** Counted by function and priority. */
function counted(panel: string, name: string, count: Count, help: string): Metric {
	return {
		name,
		type: "counter",
		help,
		group: "Jobs",
		panel,
		labels: ["function", "priority"],
		read: (text) => text.byPriority(({ cells }, priority) => cells.counted(count, priority)),
	};
}

/** One number. */
function single(
	group: Group,
	panel: string,
	name: string,
	type: "counter" | "gauge",
	help: string,
	value: (server: Server) => number,
): Metric {
	return { name, type, help, group, panel, labels: [], read: (text) => text.sample(value(text.server)) };
}

const jobs: readonly Metric[] = [
	{
		name: "gearman_jobs_queued",
		type: "gauge",
		help: "Jobs that wait for a worker.",
		group: "Jobs",
		panel: "Jobs waiting",
		labels: ["function", "priority"],
		read: (text) => text.byPriority((row, priority) => row.queued[priority]),
	},
	{
		name: "gearman_jobs_running",
		type: "gauge",
		help: "Jobs that workers have.",
		group: "Jobs",
		panel: "Jobs running",
		labels: ["function", "priority"],
		read: (text) => text.byPriority((row, priority) => row.cells.running[priority]),
	},
	{
		name: "gearman_jobs_delayed",
		type: "gauge",
		help: "Jobs that are not due yet.",
		group: "Jobs",
		panel: "Jobs delayed",
		labels: ["function"],
		read: (text) => text.byFunction((row) => row.delayed),
	},
	{
		name: "gearman_oldest_job_age_seconds",
		type: "gauge",
		help: "Time since the next job in turn was submitted, or due; 0 when none waits.",
		group: "Jobs",
		panel: "Age of the oldest job",
		labels: ["function", "priority"],
		read: (text) => text.byPriority((row, priority) => row.oldestMs[priority] / 1000),
	},
	{
		name: "gearman_workers",
		type: "gauge",
		help: "Registrations of workers for the function.",
		group: "Jobs",
		panel: "Workers",
		labels: ["function"],
		read: (text) => text.byFunction((row) => row.workers),
	},
	{
		name: "gearman_job_wait_seconds",
		type: "histogram",
		help: "Time from a job's submit (or when it was due, or queued again) until a worker grabbed it.",
		group: "Jobs",
		panel: "Wait for a worker",
		labels: ["function"],
		read: (text) => text.histogramByFunction(({ cells }) => cells.wait),
	},
	{
		name: "gearman_job_run_seconds",
		type: "histogram",
		help: "Time from the grab until the worker ended the job, well or not.",
		group: "Jobs",
		panel: "Run time",
		labels: ["function"],
		read: (text) => text.histogramByFunction(({ cells }) => cells.run),
	},
	counted(
		"Jobs done",
		"gearman_jobs_submitted",
		Count.SUBMITTED,
		"Jobs submitted, those that joined another not among them.",
	),
	counted("Jobs done", "gearman_jobs_replayed", Count.REPLAYED, "Jobs of an earlier run that the store gave back."),
	counted(
		"Jobs done",
		"gearman_jobs_coalesced",
		Count.COALESCED,
		"Submits that joined a job with the same unique key.",
	),
	counted("Jobs done", "gearman_jobs_completed", Count.COMPLETED, "Jobs ended by WORK_COMPLETE."),
	counted("Jobs in trouble", "gearman_jobs_failed", Count.FAILED, "Jobs ended by WORK_FAIL."),
	counted("Jobs in trouble", "gearman_jobs_exceptions", Count.EXCEPTIONS, "Jobs ended by WORK_EXCEPTION."),
	counted(
		"Jobs in trouble",
		"gearman_jobs_cancelled",
		Count.CANCELLED,
		"Jobs cancelled; a running one counts when its worker is done.",
	),
	counted(
		"Jobs in trouble",
		"gearman_jobs_abandoned",
		Count.ABANDONED,
		"Jobs dropped because all clients that waited had left.",
	),
	counted(
		"Jobs in trouble",
		"gearman_jobs_given_up",
		Count.GIVEN_UP,
		"Jobs failed because their workers were lost too often.",
	),
	counted("Jobs in trouble", "gearman_jobs_refused", Count.REFUSED, "Background jobs that the store did not take."),
	counted(
		"Jobs in trouble",
		"gearman_jobs_retried",
		Count.RETRIED,
		"Jobs queued again because their worker was lost or timed out.",
	),
	counted(
		"Jobs in trouble",
		"gearman_jobs_timed_out",
		Count.TIMED_OUT,
		"Jobs taken from a worker whose time was over.",
	),
	counted("Bytes of jobs", "gearman_workload_bytes", Count.WORKLOAD_BYTES, "Bytes of workloads submitted."),
	counted(
		"Bytes of jobs",
		"gearman_result_bytes",
		Count.RESULT_BYTES,
		"Bytes of results, data and warnings from workers.",
	),
];

const connections: readonly Metric[] = [
	{
		name: "gearman_connections",
		type: "gauge",
		help: "Open connections, by what they have done so far: client, worker, both or none; or http.",
		group: "Connections",
		panel: "Connections",
		labels: ["role"],
		read: readConnections,
	},
	single(
		"Connections",
		"Connections that rest",
		"gearman_workers_sleeping",
		"gauge",
		"Workers that wait to be woken.",
		sleepingWorkers,
	),
	single(
		"Connections",
		"Connections that rest",
		"gearman_connections_blocked",
		"gauge",
		"Connections that do not take their replies, and are not read from meanwhile.",
		(server) => server.blocked.size,
	),
	single(
		"Connections",
		"New connections",
		"gearman_connections_accepted",
		"counter",
		"Connections accepted.",
		(server) => server.metrics.accepted,
	),
	single(
		"Connections",
		"New connections",
		"gearman_connections_refused",
		"counter",
		"Connections closed at once because there were too many.",
		(server) => server.metrics.refused,
	),
	single(
		"Connections",
		"Traffic",
		"gearman_received_bytes",
		"counter",
		"Bytes received on the Gearman port.",
		(server) => server.metrics.receivedBytes,
	),
	single(
		"Connections",
		"Traffic",
		"gearman_sent_bytes",
		"counter",
		"Bytes sent there.",
		(server) => server.metrics.sentBytes,
	),
	{
		name: "gearman_packets",
		type: "counter",
		help: "Requests received, by the name of the packet.",
		group: "Connections",
		panel: "Requests",
		labels: ["packet"],
		read: readPackets,
	},
	{
		name: "gearman_errors",
		type: "counter",
		help: "ERROR packets sent, by their code.",
		group: "Connections",
		panel: "Errors",
		labels: ["code"],
		read: (text) => {
			const { errors } = text.server.metrics;
			for (const code of Object.keys(SERVER_ERRORS)) text.sample(errors.get(code) ?? 0, label("code", code));
		},
	},
];

const store: readonly Metric[] = [
	{
		name: "gearman_store_commit_seconds",
		type: "histogram",
		help: "Time the store took for a batch of changes, refused ones too.",
		group: "Store",
		panel: "Commit time",
		labels: [],
		read: (text) => text.histogram(text.server.metrics.store.time),
	},
	single(
		"Store",
		"Changes",
		"gearman_store_failures",
		"counter",
		"Batches that the store refused.",
		(server) => server.metrics.store.failures,
	),
	single(
		"Store",
		"Changes",
		"gearman_store_changes",
		"counter",
		"Changes given to the store.",
		(server) => server.metrics.store.changes,
	),
	single(
		"Store",
		"Bytes to keep",
		"gearman_store_workload_bytes",
		"counter",
		"Bytes of workloads given to the store.",
		(server) => server.metrics.store.bytes,
	),
];

const ofProcess: readonly Metric[] = [
	{
		name: "gearman_build",
		type: "info",
		help: "Versions of the server and of Node, and the store.",
		group: "Process",
		panel: "Version",
		labels: ["version", "node", "store"],
		read: (text) => {
			const { version, store, queueType } = text.server.options;
			const labels = [label("version", version), label("node", process.version)];
			text.sample(1, [...labels, label("store", store === undefined ? queueType : "own")].join());
		},
	},
	single(
		"Process",
		"Up for",
		"gearman_start_time_seconds",
		"gauge",
		"When the process started, in seconds since 1970.",
		() => Math.round(performance.timeOrigin) / 1000,
	),
	single("Process", "Busy", "gearman_cpu_seconds", "counter", "Processor time used.", () => {
		const { user, system } = process.cpuUsage();
		return (user + system) / 1e6;
	}),
	single(
		"Process",
		"Busy",
		"gearman_event_loop_active_seconds",
		"counter",
		"Time spent on events: its rate is how busy the server is, 1 being all it can do.",
		() => performance.eventLoopUtilization().active / 1000,
	),
	{
		name: "gearman_event_loop_delay_seconds",
		type: "summary",
		help: "How late the process got to what was due, in the last half to whole minute.",
		group: "Process",
		panel: "Event loop delay",
		labels: ["quantile"],
		read: (text) => {
			for (const [i, delay] of eventLoopDelays().entries()) text.sample(delay, label("quantile", `${QUANTILES[i]}`));
		},
	},
	single("Process", "Memory", "gearman_resident_memory_bytes", "gauge", "Memory of the process in RAM.", () =>
		process.memoryUsage.rss(),
	),
	{
		name: "gearman_heap_bytes",
		type: "gauge",
		help: "Memory by kind: used by objects, total of their heap, external (workloads and other bytes).",
		group: "Process",
		panel: "Heap",
		labels: ["kind"],
		read: (text) => {
			const { heapUsed, heapTotal, external } = process.memoryUsage();
			for (const [kind, bytes] of Object.entries({ used: heapUsed, total: heapTotal, external }))
				text.sample(bytes, label("kind", kind));
		},
	},
];

/** In the order they are written. */
export const metricTable: readonly Metric[] = [...jobs, ...connections, ...store, ...ofProcess];

function readConnections(text: Exposition): void {
	const { peers, connections } = text.server;
	const counts = { client: 0, worker: 0, both: 0, none: 0, http: Math.max(0, connections - peers.size) };
	for (const { client, worker } of peers) {
		if (worker !== undefined) counts[client === undefined ? "worker" : "both"]++;
		else counts[client === undefined ? "none" : "client"]++;
	}
	for (const [role, count] of Object.entries(counts)) text.sample(count, label("role", role));
}

function sleepingWorkers(server: Server): number {
	let count = 0;
	for (const { worker } of server.peers) if (worker?.isSleeping && !worker.isWoken) count++;
	return count;
}

function readPackets(text: Exposition): void {
	for (const [type, count] of text.server.metrics.packets.entries()) {
		if (count > 0) text.sample(count, label("packet", nameOf(type) ?? `${type}`));
	}
}

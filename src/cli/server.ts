// `gearman --server`, or gearmand: options and signals → one Server. In gearmand's order: limits, user, log, store and
// port; the pid file only when the port listens.

import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GearmanError } from "../errors.ts";
import { LEVELS, type Level, Log, type LogFormat } from "../log.ts";
import { type Options, stores } from "../options.ts";
import { reasonOf, WRITING } from "../reason.ts";
import { inheritedEndpoints } from "../server/endpoint.ts";
import { Server } from "../server/server.ts";
import { keepsFiles } from "../server/stores/index.ts";
import { makeStateDirectory, stateDirectory } from "../server/stores/state-directory.ts";
import { tellReady, writePidFile } from "./process.ts";
import { sizeInBytes } from "./size.ts";
import { notify, startWatchdog } from "./systemd.ts";

const DAEMON_LOG = "/var/log/gearmand.log";
/** Descriptors kept back from connections: listeners, log, store, spare. */
const SPARE_DESCRIPTORS = 32;
/** Of all connections, what one address may have, so that it cannot keep out all others. */
const SHARE_OF_ADDRESS = 0.75;

export async function run(options: Options<"server">, operands: string[]): Promise<number> {
	if (operands.length > 0) throw new GearmanError("USAGE", `unrecognised option '${operands[0]}'`);
	refuseWhatIsNotThere(options);
	const storeOptions = storeSettings(options);
	if (options["check-config"]) {
		const { checkConfig } = await import("./check-config.ts");
		return checkConfig(new Server({ ...settings(options), storeOptions }), options);
	}
	await setLimits(options);
	const stateDir = keepsFiles(options["queue-type"]) ? storeOptions["state-dir"] : undefined;
	if (options.user !== undefined) await switchUser(options.user, stateDir);
	const log = await openLog(options, storeOptions["state-dir"]);
	const server = new Server({ ...settings(options), storeOptions, log });
	log.info(`Starting up with pid ${process.pid}, verbose is set to ${log.level}`);
	if (!options.ssl && options["ssl-certificate"] !== undefined) {
		log.caution("--ssl-certificate means nothing without --ssl: connections are not encrypted");
	}
	listenToSignals(server, options["drain-timeout"] ?? 0);
	try {
		await server.start();
		if (options["pid-file"] !== undefined) writePidFile(options["pid-file"]);
	} catch (error) {
		// Where the log is stderr, main.ts says it there.
		if (options["log-file"] !== undefined) log.fatal(error instanceof Error ? error.message : String(error));
		await server.stop();
		throw error;
	}
	tellReady();
	startWatchdog();
	let exitCode = 0;
	server.replayed.then(
		() => notify("READY=1", `STATUS=Listening on port ${server.port}`),
		() => {
			// Said in the log. Jobs that cannot be read are better seen to than forgotten.
			exitCode = 1;
			server.requestStop("quick");
		},
	);
	await server.stopped.catch(() => {
		exitCode = 1; // said in the log, too
	});
	return exitCode;
}

/** gearmand's options that nothing here stands behind: better refused than taken and forgotten. */
function refuseWhatIsNotThere(options: Options<"server">): void {
	if (options["libtokyocabinet-file"] !== undefined || options["libtokyocabinet-optimize"]) {
		throw new GearmanError(
			"BAD_ARGUMENT",
			"Tokyo Cabinet is no store here; --queue-type sqlite or file keeps jobs too",
		);
	}
}

function settings(options: Options<"server">): ConstructorParameters<typeof Server>[0] {
	const certificateFile = options["ssl-certificate"];
	const keyFile = options["ssl-key"];
	if (options.ssl && (certificateFile === undefined || keyFile === undefined)) {
		throw new GearmanError("BAD_ARGUMENT", "--ssl needs --ssl-certificate and --ssl-key");
	}
	const tls =
		options.ssl && certificateFile !== undefined && keyFile !== undefined
			? { certificateFile, keyFile, caFile: options["ssl-ca-file"], verify: options["ssl-verify"] as "required" }
			: undefined;
	return {
		listen: options.listen ?? [],
		socketMode: Number.parseInt(options["socket-mode"], 8),
		inherited: inheritedEndpoints(process.env),
		adminListen: options["admin-listen"],
		allow: options.allow,
		deny: options.deny,
		port: portNumber(options.port),
		protocols: options.protocol,
		httpListen: options["http-listen"],
		httpPort: portNumber(options["http-port"]),
		httpHosts: options["http-host"],
		dashboard: options.dashboard as "local" | "all" | "off",
		backlog: options.backlog,
		...connectionLimits(options),
		keepaliveIdleSeconds: options["keepalive-idle"],
		keepaliveIntervalSeconds: options["keepalive-interval"],
		keepaliveCount: options["keepalive-count"],
		tls,
		handlePrefix: options["job-handle-prefix"],
		jobRetries: options["job-retries"],
		workerWakeup: options["worker-wakeup"],
		exceptions: options.exceptions,
		maxPacketBytes: sizeInBytes("max-packet-size", options["max-packet-size"]),
		drainTimeoutMs: options["drain-timeout"],
		idleTimeoutMs: options["idle-timeout"],
		packetTimeoutMs: options["packet-timeout"],
		maxUnfinishedBytes:
			options["max-unfinished-size"] === undefined
				? undefined
				: sizeInBytes("max-unfinished-size", options["max-unfinished-size"]),
		metricsFunctions: options["metrics-functions"],
		allowShutdown: options["allow-shutdown"],
		queueType: options["queue-type"],
	};
}

/** The options of the stores, and the state directory as it is for the user who starts the server. */
function storeSettings(options: Options<"server">): Record<string, string | undefined> & { "state-dir": string } {
	const settings: Record<string, string | undefined> = {};
	for (const name of Object.keys(stores) as (keyof typeof stores)[]) {
		const value = options[name];
		if (value !== undefined) settings[name] = String(value);
	}
	return { ...settings, "state-dir": stateDirectory(settings) };
}

/** A port by number, or by its name in /etc/services. */
function portNumber(port: string): number {
	if (/^\d+$/.test(port)) {
		if (Number(port) <= 65_535) return Number(port);
	} else if (process.platform !== "win32") {
		for (const line of readFileSync("/etc/services", "utf8").split("\n")) {
			const [name, value = "", ...aliases] = line.replace(/#.*/, "").split(/\s+/);
			if (value.endsWith("/tcp") && [name, ...aliases].includes(port)) return Number.parseInt(value, 10);
		}
	}
	throw new GearmanError("BAD_ARGUMENT", `no such port: ${port}`);
}

/** --file-descriptors and --coredump, by prlimit(1): a process cannot set its own limits from JavaScript. */
async function setLimits(options: Options<"server">): Promise<void> {
	const limits: string[] = [];
	const descriptors = options["file-descriptors"];
	if (descriptors !== undefined) limits.push(`--nofile=${descriptors}`);
	if (options.coredump) limits.push("--core=unlimited");
	for (const limit of limits) {
		const { execa } = await import("execa");
		try {
			await execa("prlimit", [`--pid=${process.pid}`, limit]);
		} catch (error) {
			const reason = error instanceof Error && "stderr" in error && error.stderr ? error.stderr : error;
			const option = limit.startsWith("--core") ? "coredump" : "file-descriptors";
			throw new GearmanError("BAD_ARGUMENT", `could not set the limit of --${option}: ${reason}`, { cause: error });
		}
	}
}

/** What the options say, but no more than the limit of open files leaves room for. */
function connectionLimits(options: Options<"server">) {
	const maxConnections = Math.min(options["max-connections"] ?? Number.POSITIVE_INFINITY, roomForConnections());
	const maxConnectionsPerAddress =
		options["max-connections-per-address"] ?? Math.max(1, Math.floor(maxConnections * SHARE_OF_ADDRESS));
	return { maxConnections, maxConnectionsPerAddress };
}

/** Connections the limit of open files leaves room for; infinite where it is not known. */
function roomForConnections(): number {
	if (process.platform !== "linux") return Number.POSITIVE_INFINITY;
	const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
	return soft === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Number(soft) - SPARE_DESCRIPTORS);
}

/** The state directory is made by root, and belongs to the user. */
async function switchUser(user: string, stateDir: string | undefined): Promise<void> {
	if (process.getuid?.() !== 0) throw new GearmanError("BAD_ARGUMENT", "Must be root to switch users.");
	const { execa } = await import("execa"); // 80 ms that most starts need not pay
	try {
		const { stdout: group } = await execa("id", ["-g", user]);
		const { stdout: groups } = await execa("id", ["-G", user]);
		const { stdout: uid } = await execa("id", ["-u", user]);
		if (stateDir !== undefined) makeStateDirectory(stateDir, { uid: Number(uid), gid: Number(group) });
		process.setgroups?.(groups.split(" ").map(Number));
		process.setgid?.(Number(group));
		process.setuid?.(user);
	} catch (error) {
		if (error instanceof GearmanError) throw error;
		throw new GearmanError("BAD_ARGUMENT", `Could not find user : ${user}`, { cause: error });
	}
}

async function openLog(options: Options<"server">, stateDir: string): Promise<Log> {
	const level = levelOf(options);
	const also = options.syslog ? await openSyslog() : undefined;
	const format = options["log-format"] as LogFormat;
	const file = options["log-file"] ?? (options.daemon ? daemonLog(stateDir) : "stderr");
	try {
		return new Log(level, file, also, format);
	} catch (error) {
		// As gearmand does: a log that cannot be written is no reason not to run.
		const instead = options.daemon ? "nothing is logged" : "logging to stderr";
		process.stderr.write(`gearmand: could not open the log file ${file}, ${instead}: ${reasonOf(error, WRITING)}\n`);
		return new Log(level, options.daemon ? "none" : "stderr", also, format);
	}
}

/** gearmand's file, which only root can make; anybody else's is beside the jobs. */
function daemonLog(stateDir: string): string {
	try {
		closeSync(openSync(DAEMON_LOG, "a", 0o640));
		return DAEMON_LOG;
	} catch {
		try {
			makeStateDirectory(stateDir);
		} catch {
			// Whoever opens the file says so.
		}
		return join(stateDir, "gearmand.log");
	}
}

/** -v is one level above the default ERROR, -vv two …; or what --verbose says. */
function levelOf(options: Options<"server">): Level {
	const base = LEVELS.indexOf(options.verbose as Level);
	return LEVELS[Math.min(LEVELS.length - 1, base + options.v)];
}

/** Node cannot write to /dev/log; logger(1) can, a line at a time, each with its priority in front. */
async function openSyslog(): Promise<(level: Level, line: string) => void> {
	const { execa } = await import("execa");
	const logger = execa("logger", ["--tag", "gearmand", `--id=${process.pid}`, "--prio-prefix"], {
		stdin: "pipe",
		stdout: "ignore",
		stderr: "inherit",
		reject: false,
		// It outlives our last lines and ends when its stdin does.
		cleanup: false,
	});
	void logger.then(({ failed, shortMessage }) => {
		if (failed) process.stderr.write(`gearmand: syslog: ${shortMessage}\n`);
	});
	logger.stdin.on("error", () => {}); // said above
	const LOG_DAEMON = 3 << 3;
	// syslog: emerg 0, alert 1, crit 2, err 3 …: LEVELS in its order.
	return (level, line) =>
		logger.stdin.write(`<${LOG_DAEMON | LEVELS.indexOf(level)}>${line.replace(/\n/g, " ")}\n`, "latin1");
}

function listenToSignals(server: Server, drainTimeoutMs: number): void {
	// The second one stops at once, as the first does where there is nothing to wait for.
	for (const signal of ["SIGTERM", "SIGINT"] as const) {
		process.on(signal, () => {
			server.requestStop(drainTimeoutMs > 0 && server.isGranting ? "finish" : "quick");
			void notify("STOPPING=1");
		});
	}
	// A listener also keeps Node from opening its debugger at SIGUSR1.
	for (const signal of ["SIGUSR1", "SIGUSR2"] as const) process.on(signal, () => server.requestStop("graceful"));
	process.on("SIGHUP", () => {
		try {
			server.log.reopen();
		} catch (error) {
			server.log.error(`could not reopen the log file: ${reasonOf(error, WRITING)}`);
		}
		server.reload();
	});
}

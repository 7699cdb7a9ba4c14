// What a Server can be told, and what holds where it was told nothing.

import { readFileSync } from "node:fs";
import { hostname, totalmem } from "node:os";
import { GearmanError } from "../errors.ts";
import type { Log } from "../log.ts";
import { MAX_PACKET_BYTES } from "../protocol/parser.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Store } from "./stores/index.ts";
import type { TlsOptions } from "./tls.ts";

export interface ServerOptions {
	/** Addresses or host names, with a port of their own or without, and unix:/path; none: all addresses. */
	readonly listen?: readonly string[];
	/** File mode of Unix sockets. Default 0o660. */
	readonly socketMode?: number;
	/** Sockets that are open already, in place of what `listen` and `port` name. */
	readonly inherited?: Readonly<Partial<Record<"gear" | "http" | "admin", readonly Endpoint[]>>>;
	/** ADDRESS:PORT or unix:/path, where alone changing commands are taken then. */
	readonly adminListen?: readonly string[];
	/** Rules for who may connect; see access.ts. Default: everybody. */
	readonly allow?: readonly string[];
	readonly deny?: readonly string[];
	/** 0: any free port. Default 4730. */
	readonly port?: number;
	/** Protocols spoken beside Gearman's own: "http". */
	readonly protocols?: readonly string[];
	/** Where HTTP is spoken; none: where Gearman is. */
	readonly httpListen?: readonly string[];
	/** 0: any free port. Default 8080. */
	readonly httpPort?: number;
	/** Names browsers may know the HTTP port by, beside its addresses, localhost and the host's name; "*": any. */
	readonly httpHosts?: readonly string[];
	/** Who is shown the dashboard over HTTP: "local" (this machine), "all" or "off". Default "local". */
	readonly dashboard?: "local" | "all" | "off";
	/** Connections the kernel may hold for us to accept. */
	readonly backlog?: number;
	/** Connections at once; more are closed as they come. */
	readonly maxConnections?: number;
	/** A connection that never said anything is closed after this long; 0, the default: only when its place is needed. */
	readonly idleTimeoutMs?: number;
	/** One that began a packet is, unless the packet moves on by 16 KiB in this time; 0: never. Default 60,000 ms. */
	readonly packetTimeoutMs?: number;
	/** Memory for packets that are not whole yet, over all connections. Default: a quarter of the memory there is. */
	readonly maxUnfinishedBytes?: number;
	/** Of one address, or one IPv6 /64, other than loopback. */
	readonly maxConnectionsPerAddress?: number;
	/** -1: the system's. Default 60. */
	readonly keepaliveIdleSeconds?: number;
	readonly keepaliveIntervalSeconds?: number;
	readonly keepaliveCount?: number;
	/** TLS on all TCP ports. */
	readonly tls?: TlsOptions;
	/** Job handles are `${handlePrefix}:${n}`; at most 50 characters. Default H:<host name>. */
	readonly handlePrefix?: string;
	/** A job is failed when its Nth assignment is lost; -1: never; 0 is as 1. Default -1. */
	readonly jobRetries?: number;
	/** Sleeping workers woken a job; 0: all of them; default: as many as there are jobs. */
	readonly workerWakeup?: number;
	/** A woken worker that has not grabbed after this long passes the wake on. Default 100 ms. */
	readonly wakeTimeoutMs?: number;
	/** Send WORK_EXCEPTION to all clients, asked for or not. */
	readonly exceptions?: boolean;
	/** Largest packet body in bytes. Default 256 MiB. */
	readonly maxPacketBytes?: number;
	/** A peer that takes none of the replies waiting for it for this long is dropped, in ms. Default 30,000. */
	readonly stallMs?: number;
	/** How long running jobs may take at requestStop("finish"). Default 30,000 ms. */
	readonly drainTimeoutMs?: number;
	/** Allow the admin command `shutdown`. */
	readonly allowShutdown?: boolean;
	/** Where background jobs are kept. Default "builtin": in memory. */
	readonly queueType?: string;
	/** Options of the stores, by their names at the command line, e.g. `state-dir`. */
	readonly storeOptions?: Readonly<Record<string, string | undefined>>;
	/** A store of your own, in place of queueType. */
	readonly store?: Store;
	/** Functions that are counted one by one in the metrics; the others as one. Default 1000. */
	readonly metricsFunctions?: number;
	/** What `version` answers. Default: this package's. */
	readonly version?: string;
	readonly log?: Log;
}

const DEFAULTS = {
	listen: [],
	socketMode: 0o660,
	adminListen: [],
	port: 4730,
	protocols: [],
	httpListen: [],
	httpPort: 8080,
	httpHosts: [],
	dashboard: "local",
	backlog: 511,
	keepaliveIdleSeconds: 60,
	keepaliveIntervalSeconds: -1,
	keepaliveCount: -1,
	jobRetries: -1,
	exceptions: false,
	maxPacketBytes: MAX_PACKET_BYTES,
	stallMs: 30_000,
	drainTimeoutMs: 30_000,
	idleTimeoutMs: 0,
	packetTimeoutMs: 60_000,
	wakeTimeoutMs: 100,
	allowShutdown: false,
	queueType: "builtin",
	storeOptions: {},
} as const satisfies ServerOptions;

export type Settings = Omit<ServerOptions, "log"> &
	Required<Pick<ServerOptions, keyof typeof DEFAULTS | "maxUnfinishedBytes" | "handlePrefix" | "version">>;

/** Places in a packet are 32-bit numbers. */
const MAX_MAX_PACKET = 2047 * 1024 * 1024;
/** A handle has to fit C clients' 63 characters, its number included. */
const MAX_PREFIX = 50;

/** Fills in the defaults. Throws GearmanError BAD_ARGUMENT. */
export function settingsOf(given: Omit<ServerOptions, "log">): Settings {
	const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
	const settings: Settings = {
		...DEFAULTS,
		handlePrefix: `H:${hostname().replace(/[^!-~]/g, "-")}`.slice(0, MAX_PREFIX),
		maxUnfinishedBytes: quarterOfMemory(),
		version: packageVersion(),
		...defined,
	};
	if (settings.handlePrefix.length > MAX_PREFIX || !/^[!-~]+$/.test(settings.handlePrefix)) {
		const message = `job-handle-prefix has to be 1 to ${MAX_PREFIX} printable ASCII characters without blanks`;
		throw new GearmanError("BAD_ARGUMENT", message);
	}
	if (settings.maxPacketBytes > MAX_MAX_PACKET) {
		throw new GearmanError("BAD_ARGUMENT", "max-packet-size can be at most 2047M");
	}
	return settings;
}

/** Of the container's memory where it has a limit; at least 64 MiB. */
function quarterOfMemory(): number {
	const all = totalmem();
	return Math.max(64 << 20, Math.min(all, process.constrainedMemory() || all) / 4);
}

function packageVersion(): string {
	const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
	return (JSON.parse(text) as { version: string }).version;
}

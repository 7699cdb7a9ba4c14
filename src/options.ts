// Every option of every mode, once. Feeds the command line (yargs and the C spellings), environment, config file,
// --help, README tables, man pages and shell completion. The same letter may mean different things by mode, as in C.

/** How an option's text is read. `strings` may be given several times; `duration` is milliseconds, or 30s, 5m, 2h, 1d. */
export type OptionType = "boolean" | "string" | "strings" | "number" | "duration" | "count";

export interface Option {
	readonly type: OptionType;
	/** One letter, as in C where C has it. */
	readonly short?: string;
	readonly describe: string;
	/** The argument's name in --help: HOST, N … */
	readonly arg?: string;
	readonly default?: string | number | boolean;
	/** What a string has to look like: 64K, or an octal 0660. */
	readonly form?: "size" | "mode";
	/** The only values allowed. */
	readonly choices?: readonly string[];
	/** Smallest and largest number allowed. */
	readonly range?: readonly [number, number];
	/** Other long spellings, kept for old command lines. */
	readonly aliases?: readonly string[];
	/** Environment variables read beside GEARMAN_<OPTION>: C's own names. */
	readonly env?: readonly string[];
	/** Heading in --help and man pages. */
	readonly group?: string;
	/** Understood but not shown in --help. */
	readonly hidden?: boolean;
	/**
	 * No environment variable: it chooses what to do, not how. A command that a worker runs may be a client itself, and
	 * must not take its own job's GEARMAN_FUNCTION and GEARMAN_UNIQUE for options.
	 */
	readonly isAct?: boolean;
	/** Takes back this option when given after it: of -I and -L the last one counts. */
	readonly insteadOf?: string;
	/** Its values are the words behind it that are flags of sort(1), or none; see getopt.ts. */
	readonly takesFlags?: boolean;
	/** A negative value is as none at all, as in C. */
	readonly negativeIsNone?: boolean;
}

const MAX_32 = 0x7fffffff;

const tls = {
	ssl: { type: "boolean", short: "S", describe: "Speak TLS to the job server", group: "Connection" },
	"ssl-ca-file": { type: "string", arg: "FILE", describe: "Certificates to trust (PEM)", env: ["GEARMAND_CA_CERTIFICATE"], group: "Connection" },
	"ssl-certificate": { type: "string", arg: "FILE", describe: "Own certificate (PEM)", env: ["GEARMAN_CLIENT_PEM"], group: "Connection" },
	"ssl-key": { type: "string", arg: "FILE", describe: "Own private key (PEM)", env: ["GEARMAN_CLIENT_KEY"], group: "Connection" },
} as const satisfies Record<string, Option>;

const connection = {
	host: { type: "strings", short: "h", arg: "HOST[:PORT],…", describe: "Job server, or unix:PATH; several by comma or repetition", default: "localhost", env: ["GEARMAN_SERVER", "GEARMAN_SERVERS"], group: "Connection" },
	port: { type: "string", short: "p", arg: "PORT", describe: "Port of servers named without one", default: "4730", env: ["GEARMAND_PORT"], group: "Connection" },
	...tls,
} as const satisfies Record<string, Option>;

const configured = {
	config: { type: "string", arg: "FILE", describe: "Configuration file (TOML); default: ~/.config/gearman/config.toml, else /etc/gearman/config.toml", group: "Process" },
} as const satisfies Record<string, Option>;

const general = {
	help: { type: "boolean", short: "H", describe: "Show this help", isAct: true },
	version: { type: "boolean", short: "V", describe: "Show the version", isAct: true },
} as const satisfies Record<string, Option>;

const lines = {
	lines: { type: "boolean", short: "n", describe: "One job a line of input, its newline included", isAct: true, group: "Input" },
	strip: { type: "boolean", short: "N", describe: "As -n, the newline stripped", isAct: true, group: "Input" },
} as const satisfies Record<string, Option>;

const process = {
	"pid-file": { type: "string", short: "i", arg: "FILE", describe: "Write the process id to FILE, removed at exit", group: "Process" },
	daemon: { type: "boolean", short: "d", describe: "Run in the background", group: "Process" },
} as const satisfies Record<string, Option>;

const client = {
	function: { type: "strings", short: "f", arg: "NAME", describe: "Function to run; several are all run", isAct: true, group: "Job" },
	...connection,
	timeout: { type: "duration", short: "t", arg: "TIME", describe: "Longest wait for any sign of life, in ms or as 5s, 2m", range: [-MAX_32, MAX_32], negativeIsNone: true, group: "Connection" },
	unique: { type: "string", short: "u", arg: "KEY", describe: "Unique key: jobs of equal key run once; - by workload on the server, # a hash of the workload", isAct: true, group: "Job" },
	background: { type: "boolean", short: "b", describe: "Queue the job and do not wait for it", isAct: true, group: "Job" },
	high: { type: "boolean", short: "I", describe: "High priority", insteadOf: "low", isAct: true, group: "Job" },
	low: { type: "boolean", short: "L", describe: "Low priority", insteadOf: "high", isAct: true, group: "Job" },
	epoch: { type: "string", arg: "TIME", describe: "Run in the background at TIME (Unix seconds or a date)", isAct: true, group: "Job" },
	delay: { type: "duration", arg: "TIME", describe: "Run in the background after TIME (ms, or as 90s)", isAct: true, group: "Job" },
	reducer: { type: "string", arg: "NAME", describe: "Map/reduce: the function that -f runs for each record it splits the workload into", isAct: true, group: "Job" },
	"require-worker": { type: "boolean", describe: "Fail at once when no worker can do the function", group: "Job" },
	...lines,
	null: { type: "boolean", short: "0", describe: "As -N, records ended by NUL instead of newline", isAct: true, group: "Input" },
	"no-input": { type: "boolean", short: "s", describe: "Do not read standard input: one job with an empty workload", isAct: true, group: "Input" },
	split: { type: "number", arg: "N", range: [1, MAX_32], describe: "Cut the input into pieces of N lines, each a job", isAct: true, group: "Map and reduce" },
	"split-bytes": { type: "string", arg: "SIZE", describe: "Pieces of as many whole lines as fit in SIZE (64K, 8M)", isAct: true, group: "Map and reduce" },
	"split-null": { type: "boolean", describe: "Pieces of records that end in NUL instead of newline; alone, of one each", isAct: true, group: "Map and reduce" },
	reduce: { type: "string", arg: "COMMAND", describe: "Results go to COMMAND's standard input as they come", isAct: true, group: "Map and reduce" },
	merge: { type: "strings", arg: "SORT-FLAGS", takesFlags: true, describe: "Results are sorted runs: merge them, by what sort understands behind it (--merge -k2,2n)", isAct: true, group: "Map and reduce" },
	"reduce-function": { type: "string", arg: "NAME", describe: "Results are reduced by jobs of function NAME, as a tree, until one is left", isAct: true, group: "Map and reduce" },
	"reduce-size": { type: "number", arg: "N", range: [2, 100_000], describe: "Results of one reduce job; default: 16", isAct: true, group: "Map and reduce" },
	unordered: { type: "boolean", describe: "Results as they are ready, each whole, instead of in the order of the input", isAct: true, group: "Map and reduce" },
	retry: { type: "number", arg: "N", range: [0, 10_000], default: 0, describe: "Try a job that failed N more times", isAct: true, group: "Map and reduce" },
	"keep-going": { type: "boolean", describe: "Go on with the input when a piece failed", isAct: true, group: "Map and reduce" },
	joblog: { type: "string", arg: "FILE", describe: "Write a line to FILE for every job: start, duration, handle, exit, bytes", isAct: true, group: "Map and reduce" },
	resume: { type: "boolean", describe: "Leave out what the job log says is done", isAct: true, group: "Map and reduce" },
	jobs: { type: "number", short: "j", arg: "N", range: [1, 100_000], default: 64, describe: "Jobs in flight with -n, -N, -0 and --split; 1 is strictly one after another", group: "Input" },
	prefix: { type: "boolean", short: "P", describe: "Put \"function: \" before each output; of several functions before each line", group: "Output" },
	json: { type: "boolean", describe: "One line of JSON a job instead of its output", group: "Output" },
	verbose: { type: "boolean", short: "v", describe: "Name each job's handle", isAct: true, group: "Output" },
	status: { type: "string", arg: "HANDLE", describe: "Show the status of a job", isAct: true, group: "Job" },
	count: { type: "string", short: "c", arg: "N", describe: "Only for workers", hidden: true, isAct: true },
	...process,
	...configured,
	...general,
} as const satisfies Record<string, Option>;

const outputLines = {
	lines: { ...lines.lines, describe: "Send each line of output by itself, its newline included", group: "Output" },
	strip: { ...lines.strip, group: "Output" },
} as const satisfies Record<string, Option>;

/** Where --keep and map/reduce tell one workload from the next. */
const records = {
	null: { type: "boolean", short: "0", describe: "With --keep, --split-command and --aggregate: as -N, ended by NUL instead of newline", isAct: true, group: "Command" },
	frames: { type: "boolean", describe: "With --keep: 4 bytes of length, big-endian, before each workload and answer", isAct: true, group: "Command" },
} as const satisfies Record<string, Option>;

const worker = {
	worker: { type: "boolean", short: "w", describe: "Run as a worker: the operands are the command run for each job", isAct: true },
	function: { type: "strings", short: "f", arg: "NAME", describe: "Function to do; may be repeated", isAct: true, group: "Job" },
	...connection,
	timeout: { type: "duration", short: "t", arg: "TIME", describe: "Say so when no job came for this long, in ms or as 5s", range: [-MAX_32, MAX_32], negativeIsNone: true, group: "Connection" },
	id: { type: "string", arg: "NAME", describe: "Name shown by gearadmin --workers", group: "Connection" },
	jobs: { type: "number", short: "j", arg: "N", range: [1, 10_000], default: 1, describe: "Jobs done at once", group: "Job" },
	count: { type: "number", short: "c", arg: "N", range: [0, MAX_32], describe: "Exit after N jobs", group: "Job" },
	"job-timeout": { type: "duration", arg: "TIME", range: [1, MAX_32], describe: "Kill the command after TIME and fail the job", group: "Job" },
	keep: { type: "boolean", describe: "Keep the command alive: each workload is a line to it (-n, -N; or -0, --frames), its answer one too", isAct: true, group: "Command" },
	"split-command": { type: "string", arg: "CMD", describe: "Map/reduce: cut the workload into records, one a line; default with --aggregate: its lines", isAct: true, group: "Command" },
	aggregate: { type: "string", arg: "CMD", describe: "Map/reduce: make the answer of the results, in order; default with --split-command: all of them", isAct: true, group: "Command" },
	pieces: { type: "number", arg: "N", range: [1, 100_000], default: 64, describe: "Map/reduce: records of a job in flight", group: "Command" },
	...records,
	stderr: { type: "string", arg: "WHERE", choices: ["inherit", "warning"], default: "inherit", describe: "Where the command's stderr goes: here, or to the client as WORK_WARNING", group: "Output" },
	stream: { type: "boolean", describe: "Send output as WORK_DATA while the command runs", group: "Output" },
	...outputLines,
	verbose: { type: "boolean", short: "v", describe: "One line a job on stderr", isAct: true, group: "Output" },
	// C takes the client's letters here too and does nothing with them.
	unique: { type: "string", short: "u", arg: "KEY", describe: "Only for clients", hidden: true, isAct: true },
	background: { type: "boolean", short: "b", describe: "Only for clients", hidden: true, isAct: true },
	high: { type: "boolean", short: "I", describe: "Only for clients", hidden: true, isAct: true },
	low: { type: "boolean", short: "L", describe: "Only for clients", hidden: true, isAct: true },
	prefix: { type: "boolean", short: "P", describe: "Only for clients", hidden: true, isAct: true },
	"no-input": { type: "boolean", short: "s", describe: "Only for clients", hidden: true, isAct: true },
	...process,
	...configured,
	...general,
} as const satisfies Record<string, Option>;

/** The job server's options that it hands to its store. */
export const stores = {
	"queue-type": { type: "string", short: "q", arg: "STORE", default: "sqlite", describe: "Where background jobs are kept: sqlite, file, builtin (memory), postgres, mysql, redis, memcached, or a module's path or package", group: "Store" },
	"state-dir": { type: "string", arg: "DIR", describe: "Where sqlite and file keep jobs, one file a port; default /var/lib/gearman as root, else ~/.local/state/gearman", env: ["STATE_DIRECTORY"], group: "Store" },
	"queue-sync": { type: "string", arg: "HOW", choices: ["full", "normal"], default: "full", describe: "sqlite, file: full survives a power cut; normal is faster, and a power cut may take the last jobs", group: "Store" },
	"store-queue-on-shutdown": { type: "boolean", describe: "Keep background jobs at a clean shutdown only", group: "Store" },
	"libsqlite3-db": { type: "string", arg: "FILE", describe: "sqlite: the database; one that gearmand wrote is taken over", group: "Databases" },
	"libsqlite3-table": { type: "string", arg: "NAME", default: "gearman_queue", describe: "sqlite: gearmand's table in it", group: "Databases" },
	"libpq-conninfo": { type: "string", arg: "STRING", describe: "postgres: connection string, as key=value or postgres://…; default: PGHOST and so on", group: "Databases" },
	"libpq-table": { type: "string", arg: "NAME", default: "queue", describe: "postgres: table", group: "Databases" },
	"mysql-host": { type: "string", arg: "HOST", default: "localhost", describe: "mysql: host", aliases: ["libdrizzle-host"], group: "Databases" },
	"mysql-port": { type: "string", arg: "PORT", default: "3306", describe: "mysql: port", aliases: ["libdrizzle-port"], group: "Databases" },
	"mysql-user": { type: "string", arg: "USER", describe: "mysql: user", aliases: ["libdrizzle-user"], group: "Databases" },
	"mysql-password": { type: "string", arg: "PASSWORD", describe: "mysql: password; better by GEARMAN_MYSQL_PASSWORD, which ps does not show", aliases: ["libdrizzle-password"], group: "Databases" },
	"mysql-db": { type: "string", arg: "NAME", describe: "mysql: database", aliases: ["libdrizzle-db"], group: "Databases" },
	"mysql-table": { type: "string", arg: "NAME", default: "gearman_queue", describe: "mysql: table", aliases: ["libdrizzle-table"], group: "Databases" },
	"redis-server": { type: "string", arg: "HOST", default: "127.0.0.1", describe: "redis: host, or a redis:// address", group: "Databases" },
	"redis-port": { type: "string", arg: "PORT", default: "6379", describe: "redis: port", group: "Databases" },
	"redis-password": { type: "string", arg: "PASSWORD", describe: "redis: password; better by GEARMAN_REDIS_PASSWORD", group: "Databases" },
	"redis-prefix": { type: "string", arg: "TEXT", default: "_gear_", describe: "redis: start of its keys", group: "Databases" },
	"libmemcached-servers": { type: "string", arg: "HOST[:PORT]", default: "127.0.0.1:11211", describe: "memcached: the server, one", group: "Databases" },
	"libmemcached-prefix": { type: "string", arg: "TEXT", default: "gear_", describe: "memcached: start of its keys", group: "Databases" },
} as const satisfies Record<string, Option>;

const server = {
	server: { type: "boolean", describe: "Run as job server (implied when called as gearmand)", isAct: true },
	listen: { type: "strings", short: "L", arg: "ADDRESS", describe: "Address or host name to listen on, as ADDRESS:PORT with a port of its own, or unix:PATH; may be repeated; default: all", group: "Network" },
	"socket-mode": { type: "string", arg: "MODE", form: "mode", default: "0660", describe: "File mode of Unix sockets", group: "Network" },
	port: { type: "string", short: "p", arg: "PORT", default: "4730", describe: "Port or service name", env: ["GEARMAND_PORT"], group: "Network" },
	backlog: { type: "number", short: "b", arg: "N", range: [1, 65_535], default: 511, describe: "Connections the kernel may hold for us to accept", group: "Network" },
	"keepalive-idle": { type: "number", arg: "SECONDS", range: [-1, 32_767], default: 60, describe: "Idle seconds before the first keepalive probe; -1: the system's", group: "Network" },
	"keepalive-interval": { type: "number", arg: "SECONDS", range: [-1, 32_767], default: -1, describe: "Seconds between probes", group: "Network" },
	"keepalive-count": { type: "number", arg: "N", range: [-1, 127], default: -1, describe: "Probes unanswered before a connection is dropped", group: "Network" },
	ssl: { type: "boolean", describe: "Speak TLS on all TCP ports", group: "TLS" },
	"ssl-ca-file": { type: "string", arg: "FILE", describe: "Clients have to show a certificate signed by one of these (PEM)", env: ["GEARMAND_CA_CERTIFICATE"], group: "TLS" },
	"ssl-certificate": { type: "string", arg: "FILE", describe: "Own certificate (PEM)", env: ["GEARMAND_SERVER_PEM"], group: "TLS" },
	"ssl-key": { type: "string", arg: "FILE", describe: "Own private key (PEM)", env: ["GEARMAND_SERVER_KEY"], group: "TLS" },
	"ssl-verify": { type: "string", arg: "HOW", choices: ["required", "optional"], default: "required", describe: "With --ssl-ca-file: whether a client may do without a certificate", group: "TLS" },
	allow: { type: "strings", arg: "RULE", describe: "Let in only who matches: an address, a network (10.0.0.0/8), unix, or name:NAME in a client certificate; may be repeated", group: "Access" },
	deny: { type: "strings", arg: "RULE", describe: "Keep out who matches, whatever --allow says; may be repeated", group: "Access" },
	"max-connections": { type: "number", arg: "N", range: [1, MAX_32], describe: "Connections at once; default: what the limit of open files leaves room for", group: "Limits" },
	"max-connections-per-address": { type: "number", arg: "N", range: [1, MAX_32], describe: "Of one address (or IPv6 /64) other than this machine's own; default: three quarters of all", group: "Limits" },
	"max-packet-size": { type: "string", arg: "BYTES", form: "size", default: "256M", describe: "Largest packet accepted, with K, M or G", group: "Limits" },
	"max-unfinished-size": { type: "string", arg: "BYTES", form: "size", describe: "Memory for packets that are not whole yet, over all connections; default: a quarter of the memory there is", group: "Limits" },
	"packet-timeout": { type: "duration", arg: "TIME", range: [0, MAX_32], default: "60s", describe: "Drop a connection whose packet does not move on by 16K in TIME; 0: never", group: "Limits" },
	"idle-timeout": { type: "duration", arg: "TIME", range: [0, MAX_32], default: "0", describe: "Close a connection that has never said anything after TIME; 0: only when its place is needed", group: "Limits" },
	"job-retries": { type: "number", short: "j", arg: "N", range: [-1, MAX_32], default: -1, describe: "Fail a job when its Nth worker is lost; -1: never; 0 is as 1 (gearmand 1.1 read 0 as never)", group: "Jobs" },
	"job-handle-prefix": { type: "string", arg: "PREFIX", describe: "Start of job handles; default H:<host name>", group: "Jobs" },
	"worker-wakeup": { type: "number", short: "w", arg: "N", range: [0, 65_535], describe: "Sleeping workers woken a job; 0: all; default: as many as there are jobs", group: "Jobs" },
	exceptions: { type: "boolean", describe: "Send WORK_EXCEPTION to all clients, asked for or not", group: "Jobs" },
	"drain-timeout": { type: "duration", arg: "TIME", range: [0, MAX_32], default: "0", describe: "At SIGTERM and SIGINT running jobs have TIME to finish, and no more are given out; a second signal stops at once", group: "Jobs" },
	...stores,
	"admin-listen": { type: "strings", arg: "ADDRESS:PORT", describe: "Take commands that change something (shutdown, maxqueue, drop function …) here alone: admin text and HTTP on one port, or on unix:PATH; may be repeated", group: "Admin" },
	"metrics-functions": { type: "number", arg: "N", range: [0, 1_000_000], default: 1000, describe: "Functions with metrics of their own; all others are one, called (other)", group: "Limits" },
	"allow-shutdown": { type: "boolean", describe: "Allow the admin command shutdown", group: "Admin" },
	protocol: { type: "strings", short: "r", arg: "NAME", describe: "Another protocol to speak: http", group: "HTTP" },
	"http-port": { type: "string", arg: "PORT", default: "8080", describe: "Port of -r http", group: "HTTP" },
	"http-listen": { type: "strings", arg: "ADDRESS", describe: "Address or host name of -r http; may be repeated; default: those of --listen", group: "HTTP" },
	"http-host": { type: "strings", arg: "NAME", describe: "Name that browsers may call the HTTP port by, beside its address, localhost and the host's name; *: any", group: "HTTP" },
	dashboard: { type: "string", arg: "WHO", choices: ["local", "all", "off"], default: "local", describe: "Who is shown the dashboard on the HTTP port: this machine, all, or nobody", group: "HTTP" },
	"libtokyocabinet-file": { type: "string", arg: "FILE", describe: "Refused: there is no such store", hidden: true, group: "Databases" },
	"libtokyocabinet-optimize": { type: "boolean", describe: "Refused: there is no such store", hidden: true, group: "Databases" },
	"log-file": { type: "string", short: "l", arg: "FILE", describe: "Log to FILE, stderr or none; default stderr; as a daemon /var/log/gearmand.log, or gearmand.log in the state directory where that cannot be written", group: "Process" },
	"log-format": { type: "string", arg: "FORMAT", choices: ["text", "json"], default: "text", describe: "Lines as gearmand's, or an object a line; neither holds what is in a job", group: "Process" },
	verbose: { type: "string", arg: "LEVEL", default: "ERROR", choices: ["FATAL", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"], describe: "Log level; -v, -vv … count up from the default", group: "Process" },
	v: { type: "count", short: "v", describe: "More log: -v WARNING, -vv NOTICE, -vvv INFO, -vvvv DEBUG", isAct: true, group: "Process" },
	syslog: { type: "boolean", describe: "Log to syslog as well", group: "Process" },
	"pid-file": { type: "string", short: "P", arg: "FILE", describe: "Write the process id to FILE once the port listens", group: "Process" },
	daemon: { type: "boolean", short: "d", describe: "Run in the background", group: "Process" },
	user: { type: "string", short: "u", arg: "USER", describe: "Switch to USER (root only)", group: "Process" },
	"file-descriptors": { type: "number", short: "f", arg: "N", range: [1, MAX_32], describe: "Open files allowed", group: "Limits" },
	coredump: { type: "boolean", describe: "Leave a core file at a crash", group: "Process" },
	...configured,
	"check-config": { type: "boolean", describe: "Check options, certificates, addresses and store, say what is found, and exit", isAct: true, group: "Process" },
	"config-file": { type: "string", arg: "FILE", describe: "Read more options from FILE (also @FILE); the command line wins", group: "Process" },
	"check-args": { type: "boolean", describe: "Check the command line and exit", isAct: true, group: "Process" },
	keepalive: { type: "boolean", describe: "Has no effect: TCP keepalive is always on", group: "For old command lines" },
	"round-robin": { type: "boolean", short: "R", describe: "Has no effect: a worker's functions always take turns", group: "For old command lines" },
	threads: { type: "number", short: "t", arg: "N", range: [0, 65_535], describe: "Has no effect", group: "For old command lines" },
	"hashtable-buckets": { type: "number", arg: "N", range: [1, MAX_32], describe: "Has no effect", group: "For old command lines" },
	help: { type: "boolean", short: "h", describe: "Show this help", isAct: true },
	version: { type: "boolean", short: "V", describe: "Show the version", isAct: true },
} as const satisfies Record<string, Option>;

/** What can be asked of the job server; one of them makes `gearman` its admin. */
export const operations = {
	status: { type: "boolean", describe: "Functions: jobs in all, running, workers", isAct: true, group: "Ask" },
	"priority-status": { type: "boolean", describe: "Functions: queued jobs by priority, workers", isAct: true, group: "Ask" },
	workers: { type: "boolean", describe: "Connections and the functions they can do", isAct: true, group: "Ask" },
	"show-jobs": { type: "boolean", describe: "Jobs: handle, retries, ignored, background", isAct: true, group: "Ask" },
	"show-unique-jobs": { type: "boolean", describe: "Unique keys of all jobs", isAct: true, group: "Ask" },
	top: { type: "boolean", describe: "Watch functions and workers live in the terminal; ? explains", isAct: true, group: "Ask" },
	metrics: { type: "boolean", describe: "Counters and times, as text for Prometheus", isAct: true, group: "Ask" },
	"queue-info": { type: "boolean", describe: "Where background jobs are kept, how many, the last commit", isAct: true, group: "Ask" },
	getpid: { type: "boolean", describe: "Process id of the server", isAct: true, group: "Ask" },
	"server-version": { type: "boolean", describe: "Version of the server", isAct: true, group: "Ask" },
	"server-verbose": { type: "boolean", describe: "Log level of the server", isAct: true, group: "Ask" },
	"cancel-job": { type: "string", arg: "HANDLE", describe: "Cancel a job", isAct: true, group: "Change" },
	"create-function": { type: "string", arg: "NAME", describe: "Create a function", isAct: true, group: "Change" },
	"drop-function": { type: "string", arg: "NAME", describe: "Drop a function and the jobs queued for it", isAct: true, group: "Change" },
	shutdown: { type: "boolean", describe: "Stop the server, where it allows that", isAct: true, group: "Change" },
} as const satisfies Record<string, Option>;

const admin = {
	admin: { type: "boolean", describe: "Ask the job server (implied when called as gearadmin)", isAct: true },
	...operations,
	json: { type: "boolean", describe: "Answers as JSON", group: "Output" },
	watch: { type: "duration", arg: "TIME", range: [1, MAX_32], describe: "Ask again every TIME (2s)", group: "Output" },
	...connection,
	timeout: { type: "duration", short: "t", arg: "TIME", default: "10s", range: [1, MAX_32], describe: "Longest wait for an answer", group: "Connection" },
	config: { ...configured.config, group: "Other" },
	...general,
} as const satisfies Record<string, Option>;

/** mode → name → option. */
export const options = { client, worker, server, admin } as const satisfies Record<string, Record<string, Option>>;

export type Mode = keyof typeof options;

type Value<O> = O extends { type: "boolean" }
	? boolean
	: O extends { type: "strings" }
		? string[]
		: O extends { type: "string" }
			? O extends { default: string }
				? string
				: string | undefined
			: O extends { type: "count" }
				? number
				: O extends { default: unknown }
					? number
					: number | undefined;

/** The read options of a mode, by their long names; durations in ms. */
export type Options<M extends Mode> = { -readonly [N in keyof (typeof options)[M]]: Value<(typeof options)[M][N]> };

import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { getopt } from "../../dist/cli/getopt.js";
import { fold, parse } from "../../dist/cli/parse.js";
import { parseWords } from "../../dist/cli/words.js";
import { LEVELS } from "../../dist/log.js";
import { options } from "../../dist/options.js";

const split = (line) => (line === "" ? [] : line.split(" "));
const read = async (mode, line, env = {}) => (await parse(mode, Array.isArray(line) ? line : split(line), env)).options;

const gives = test.macro({
	title: (_, mode, line, expected) => `${mode}: ${JSON.stringify(line)} gives ${JSON.stringify(expected)}`,
	exec: async (t, mode, line, expected) => t.like(await read(mode, line), expected),
});

test(gives, "client", "", {
	function: [],
	host: ["localhost"],
	port: "4730",
	timeout: undefined,
	jobs: 64,
	lines: false,
});
test(gives, "client", ["-p 4731", "-t 500"], { port: "4731", timeout: 500 });
test(gives, "client", "-p garbage", { port: "4730" });
test(gives, "client", "-p 0", { port: "4730" });
test(gives, "client", "-p 12x", { port: "12" });
test(gives, "client", "-t -1", { timeout: undefined });
test(gives, "client", "-t 0", { timeout: 0 });
test(gives, "client", "-t 30s --delay 1.5h", { timeout: 30_000, delay: 5_400_000 });
test(gives, "client", "-t 2m", { timeout: 120_000 });
test(gives, "client", "--delay 7d", { delay: 604_800_000 });
test(gives, "client", "-u a -u b", { unique: "b" });
test(gives, "client", "-c whatever -f x", { function: ["x"] });
test(gives, "worker", ["-wf", "x", "-c", " 5"], { worker: true, function: ["x"], count: 5, jobs: 1 });
test(gives, "server", "-p gearman -vv -L a -L b", { port: "gearman", v: 2, listen: ["a", "b"], verbose: "ERROR" });
test(gives, "server", "--job-retries -1 --verbose=DEBUG", { "job-retries": -1, verbose: "DEBUG" });
test(gives, "admin", "--stat --timeout 2s -p gearman", { status: true, timeout: 2000, port: "gearman" });
test(gives, "admin", "", { timeout: 10_000, watch: undefined });

test("a line of letters and the same line of words give the same", async (t) => {
	const letters = ["-f", "x", "-nP", "-h", "a:1", "-p", "5", "-t", "9", "-u", "-", "one", "-s", "two"];
	const words = "--function x --lines --prefix --host=a:1 --port 5 --timeout=9 --unique=- one --no-input two".split(
		" ",
	);
	t.deepEqual(await parse("client", letters, {}), await parse("client", words, {}));
});

test("the quick road and yargs read any words alike", (t) => {
	const value = fc.oneof(
		fc.string(),
		fc.constantFrom(
			"",
			"-1",
			"--",
			"--x",
			"-",
			"a=b",
			"'q'",
			'"q"',
			"0x10",
			"1e3",
			"007",
			"true",
			"a b\nc",
			"__proto__",
		),
	);
	const words = (mode) =>
		fc.array(
			fc.oneof(
				...Object.entries(options[mode]).map(([name, { type }]) =>
					type === "boolean" || type === "count" ? fc.constant(`--${name}`) : value.map((text) => `--${name}=${text}`),
				),
			),
		);
	for (const mode of Object.keys(options)) {
		fc.assert(
			fc.property(words(mode), (line) => {
				const quick = fold(line);
				// A flag given twice is given.
				for (const [name, values] of quick) if (options[mode][name].type === "boolean") values.length = 1;
				const slow = parseWords(mode, line);
				t.deepEqual(new Map([...slow].sort()), new Map([...quick].sort()));
			}),
			{ numRuns: 300 },
		);
	}
});

test("any command line is read or refused with a sentence", async (t) => {
	const word = fc.oneof(
		fc.string(),
		fc.constantFrom("-f", "-w", "--", "-", "--status", "-p", "-H", "@x", "--host=", "--timeout", "-j", "--no-input"),
	);
	for (const mode of Object.keys(options)) {
		await fc.assert(
			fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (line) => {
				try {
					await parse(mode, line, {});
				} catch (error) {
					t.is(error.code, "USAGE", error.stack);
				}
			}),
			{ numRuns: 200 },
		);
	}
});

test("operands come back as they went in", (t) => {
	fc.assert(
		fc.property(fc.array(fc.string()), (operands) => {
			t.deepEqual(getopt("client", ["-f", "x", "--", ...operands]).operands, operands);
		}),
	);
});

const refuses = test.macro({
	title: (_, mode, line) => `${mode}: ${JSON.stringify(line)} is refused`,
	exec: (t, mode, line, message) => t.throwsAsync(read(mode, line), { code: "USAGE", message }),
});

test(refuses, "client", "-j 0", "the argument ('0') for option '--jobs' is invalid: it is a whole number, 1 to 100000");
test(
	refuses,
	"client",
	"-t soon",
	"the argument ('soon') for option '--timeout' is invalid: a time is in milliseconds, or as 500ms, 30s, 5m, 2h, 1d, at most 24d",
);
test(
	refuses,
	"client",
	"-t 60d",
	"the argument ('60d') for option '--timeout' is invalid: a time is in milliseconds, or as 500ms, 30s, 5m, 2h, 1d, at most 24d",
);
test(
	refuses,
	"client",
	"--delay -1",
	"the argument ('-1') for option '--delay' is invalid: a time is in milliseconds, or as 500ms, 30s, 5m, 2h, 1d",
);
test(refuses, "client", "-p 70000", "the argument ('70000') for option '--port' is invalid");
test(
	refuses,
	"worker",
	"-c -1",
	"the argument ('-1') for option '--count' is invalid: it is a whole number, 0 or more",
);
test(
	refuses,
	"worker",
	"--stderr nowhere",
	"the argument ('nowhere') for option '--stderr' is invalid: it is one of inherit, warning",
);
test(
	refuses,
	"server",
	"--backlog x",
	"the argument ('x') for option '--backlog' is invalid: it is a whole number, 1 to 65535",
);
test(
	refuses,
	"server",
	["-b", " 5"],
	"the argument (' 5') for option '--backlog' is invalid: it is a whole number, 1 to 65535",
);
test(
	refuses,
	"server",
	"--threads 99999999999",
	"the argument ('99999999999') for option '--threads' is invalid: it is a whole number, 0 to 65535",
);
test(refuses, "server", "--verbose FOO", `Invalid value for --verbose supplied: it is one of ${LEVELS.join(", ")}`);
test(refuses, "server", "--verbose info", `Invalid value for --verbose supplied: it is one of ${LEVELS.join(", ")}`);
test(refuses, "server", "--hashtable-buckets 0", "hashtable-buckets has to be greater than 0");
test(refuses, "server", "--config-file /nonexistent", "Could not open configuration file. /nonexistent: no such file");
test(
	refuses,
	"admin",
	"--watch 0",
	"the argument ('0') for option '--watch' is invalid: a time is in milliseconds, or as 500ms, 30s, 5m, 2h, 1d, at most 24d",
);

test("-H wins over an error, in gearman only", async (t) => {
	t.true((await read("client", "-Z -t soon -H")).help);
	t.true((await read("worker", "-w -Z --help")).help);
	await t.throwsAsync(read("server", "-Z --help"), { message: "unrecognised option '-Z'" });
	await t.throwsAsync(read("admin", "--foo --help"), { message: "unrecognised option '--foo'" });
});

test("the environment speaks where the command line does not", async (t) => {
	const env = { GEARMAN_TIMEOUT: "5s", GEARMAN_SSL: "yes", GEARMAN_JOBS: "7", GEARMAN_PREFIX: "0" };
	t.like(await read("client", "-f x -j 3", env), { timeout: 5000, ssl: true, jobs: 3, prefix: false });
	t.like(await read("client", "-f y", env), { jobs: 7 });
});

test("what may be repeated on the command line is one variable with commas", async (t) => {
	const env = { GEARMAN_LISTEN: "127.0.0.1, unix:/run/x", GEARMAN_ALLOW: "unix", GEARMAN_LIBPQ_CONNINFO: "a,b" };
	const given = await read("server", "", env);
	t.deepEqual(given.listen, ["127.0.0.1", "unix:/run/x"]);
	t.deepEqual(given.allow, ["unix"]);
	t.is(given["libpq-conninfo"], "a,b");
});

test("a command run by a worker does not take its own job's variables for options", async (t) => {
	const env = { GEARMAN_FUNCTION: "x", GEARMAN_UNIQUE: "u", GEARMAN_HANDLE: "H:x:1", GEARMAN_STATUS_FD: "3" };
	t.deepEqual(await read("client", "-f y", env), await read("client", "-f y", {}));
});

test("the environment's C names are understood", async (t) => {
	t.like(await read("client", "", { GEARMAN_SERVER: "a:1,b" }), { host: ["a:1", "b"] });
	t.like(await read("worker", "", { GEARMAN_SERVERS: "a,b" }), { host: ["a", "b"] });
	t.like(await read("client", "-h c", { GEARMAN_SERVERS: "a,b" }), { host: ["c"] });
	t.like(await read("server", "", { GEARMAND_PORT: "4731", GEARMAND_SERVER_KEY: "k" }), {
		port: "4731",
		"ssl-key": "k",
	});
	t.like(await read("client", "", { GEARMAN_CLIENT_PEM: "c", GEARMAND_CA_CERTIFICATE: "a" }), {
		"ssl-certificate": "c",
		"ssl-ca-file": "a",
	});
	t.like(await read("server", "", { GEARMAND_PORT: "1", GEARMAN_PORT: "2" }), { port: "2" });
});

test("what Kubernetes puts into the environment is passed over", async (t) => {
	const env = {
		GEARMAND_PORT: "tcp://10.0.0.1:4730",
		GEARMAN_PORT: "tcp://10.0.0.1:4730",
		GEARMAN_SERVICE_HOST: "10.0.0.1",
	};
	t.like(await read("server", "", env), { port: "4730" });
	t.like(await read("client", "", { ...env, GEARMAND_PORT: "4731" }), { port: "4731" });
});

test("the environment cannot choose what is done, nor can unknown variables stop it", async (t) => {
	const env = {
		GEARMAN_SHUTDOWN: "1",
		GEARMAN_DROP_FUNCTION: "x",
		GEARMAN_HELP: "1",
		GEARMAN_STATUS: "1",
		GEARMAN_FOO: "x",
	};
	t.like(await read("admin", "", env), { shutdown: false, "drop-function": undefined, help: false, status: false });
	t.like(await read("client", "", env), { status: undefined });
	t.like(await read("server", "", { GEARMAN_SERVER: "host", GEARMAN_HOST: "" }), { server: false });
});

test("a wrong value names its variable", async (t) => {
	await t.throwsAsync(read("client", "", { GEARMAN_JOBS: "many" }), {
		message:
			"the argument ('many') for environment variable 'GEARMAN_JOBS' is invalid: it is a whole number, 1 to 100000",
	});
});

let files = 0;
/** A config file of the text, and its path. */
async function file(t, text) {
	const path = join(tmpdir(), `gearman-parse-test-${process.pid}-${files++}.conf`);
	await writeFile(path, text);
	t.teardown(async () => (await import("node:fs/promises")).rm(path));
	return path;
}

test("a config file holds options over any number of lines, with comments", async (t) => {
	const path = await file(t, "# a --comment here\n--port=4731 --backlog\n  7\n\t-R # --daemon\n-vv\n");
	const expected = { port: "4731", backlog: 7, "round-robin": true, daemon: false, v: 2 };
	t.like(await read("server", `--config-file ${path}`), expected);
	t.like(await read("server", `@${path}`), expected);
	t.like(await read("server", "", { GEARMAN_CONFIG_FILE: path }), expected);
});

test("command line over environment over config file over default", async (t) => {
	const path = await file(t, "--port=1 --backlog=1 --threads=1");
	const env = { GEARMAN_PORT: "2", GEARMAN_BACKLOG: "2" };
	t.like(await read("server", `--config-file=${path} -p 3`, env), {
		port: "3",
		backlog: 2,
		threads: 1,
		"job-retries": -1,
	});
});

test("a config file's errors are fatal and name it", async (t) => {
	const refused = async (text, message) => {
		const path = await file(t, text);
		await t.throwsAsync(read("server", `@${path}`), { code: "USAGE", message: `${message} in ${path}` });
	};
	await refused("--foo", "unrecognised option '--foo'");
	await refused("--port", "the required argument for option '--port' is missing");
	await refused("--check-args", "unrecognised option '--check-args'");
	await refused("--config-file=/other", "unrecognised option '--config-file'");
	const path = await file(t, "--backlog=x");
	await t.throwsAsync(read("server", `@${path}`), {
		message: "the argument ('x') for option '--backlog' is invalid: it is a whole number, 1 to 65535",
	});
});

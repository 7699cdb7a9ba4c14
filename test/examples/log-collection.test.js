// Access logs as nginx and Apache write them, collected by three log hosts and searched there.

import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import test from "ava";
import { exampleFile, runExample } from "../helpers/examples.js";
import { freePort } from "../helpers/free-port.js";
import { temporaryFolder } from "../helpers/program.js";
import { apache, nginx, ours, run, start, startGearmand, testWith, workersReady } from "../helpers/programs.js";
import { until } from "../helpers/until.js";

const REQUESTS = 600;
const HOSTS = [1, 2, 3];

/** A folder with pages to serve, which a web server that gave up being root can read too. */
async function newSite(t) {
	const folder = temporaryFolder(t);
	await chmod(folder, 0o755);
	await mkdir(join(folder, "www"));
	await writeFile(join(folder, "www", "index.txt"), "hello\n");
	return folder;
}

/** A gearmand and three log hosts: { env, folders }. */
async function startLoggers(t) {
	const { port } = await startGearmand(t, ours.gearmand);
	const env = { GEARMAN_SERVER: `127.0.0.1:${port}` };
	const folders = HOSTS.map(() => temporaryFolder(t));
	for (const cwd of folders) start(t, "sh", ["-c", `exec ${ours.gearman} -w -f logger >log_file`], { cwd, env: env });
	await workersReady(t, port, { logger: 3 });
	return { port, env, folders };
}

/** Makes requests of several kinds, some of them at once. */
async function ask(port) {
	await until(() => accepts(port), "the web server");
	const agent = new Agent({ keepAlive: true, maxSockets: 8 });
	const paths = ["/index.txt", "/missing", "/index.txt?q=%22quoted%22", "/../etc"];
	await Promise.all(
		Array.from({ length: REQUESTS }, (_, i) => {
			const options = { agent, port, host: "127.0.0.1", path: paths[i % paths.length] };
			return new Promise((resolve, reject) => {
				get(options, (response) => response.resume().once("end", resolve)).once("error", reject);
			});
		}),
	);
	agent.destroy();
}

/** Somebody listens there: asked without a request, which would be in the log. */
function accepts(port) {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1", () => resolve(true)).once("error", () => resolve(false));
		socket.once("connect", () => socket.destroy());
	});
}

const linesOf = async (file) => (await readFile(file, "latin1")).split("\n").slice(0, -1).sort();

/** Waits until the log hosts together have the lines of the log; each of them must have some. Then searches them. */
async function isCollected(t, { port, env, folders }, log) {
	const collected = () => Promise.all(folders.map((folder) => linesOf(join(folder, "log_file"))));
	await until(async () => (await linesOf(log)).length === REQUESTS, "the log");
	await until(async () => (await collected()).flat().length >= REQUESTS, "the lines");
	const parts = await collected();
	t.deepEqual(parts.flat().sort(), await linesOf(log));
	t.true(parts.every((lines) => lines.length > 0));

	for (const [i, cwd] of folders.entries())
		start(t, ours.gearman, ["-w", "-f", `logger${i + 1}`, "--", exampleFile("log-collection/dgrep.sh"), "log_file"], {
			cwd,
			env,
		});
	await workersReady(t, port, { logger1: 1, logger2: 1, logger3: 1 });
	const loggers = HOSTS.flatMap((host) => ["-f", `logger${host}`]);
	for (const pattern of ['" 404 ', "GET /[im]", "no such line", "-e"]) {
		const grep = await run(t, "grep", ["-e", pattern, log]);
		const found = await run(t, ours.gearman, [...loggers, "--", pattern], { env });
		t.deepEqual([found.stderr, found.exitCode], ["", 0]);
		t.deepEqual(found.stdout.split("\n").sort(), grep.stdout.split("\n").sort(), pattern);
	}
}

testWith(nginx)(
	"log collection: what tail -f sees of nginx's log is on three log hosts, and found there",
	async (t) => {
		const loggers = await startLoggers(t);
		const folder = await newSite(t);
		const port = await freePort();
		const log = join(folder, "access_log");
		await writeFile(log, "");
		const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
			(name) => `${name}_temp_path ${folder}/${name};`,
		);
		await writeFile(
			join(folder, "nginx.conf"),
			`daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error;
		events {}
		http { access_log ${log}; ${places.join(" ")} server { listen 127.0.0.1:${port}; root ${folder}/www; } }`,
		);
		start(t, nginx, ["-e", join(folder, "error"), "-p", folder, "-c", join(folder, "nginx.conf")]);
		start(t, "sh", ["-c", `tail -n +1 -f access_log | ${ours.gearman} -n -f logger`], {
			cwd: folder,
			env: loggers.env,
			isGroup: true,
		});
		await ask(port);
		await isCollected(t, loggers, log);
	},
);

testWith(apache)(
	"log collection: Apache's CustomLog through gearman is on three log hosts, and found there",
	async (t) => {
		const loggers = await startLoggers(t);
		const folder = await newSite(t);
		const port = await freePort();
		const log = join(folder, "access_log");
		const modules = ["mpm_event", "authz_core"].map(
			(name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
		);
		await writeFile(
			join(folder, "apache.conf"),
			`ServerRoot ${folder}
		PidFile ${folder}/pid
		ErrorLog ${folder}/error
		Listen 127.0.0.1:${port}
		ServerName localhost
		${modules.join("\n")}
		User nobody
		Group nogroup
		DocumentRoot ${folder}/www
		LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
		CustomLog ${log} common
		CustomLog "|${ours.gearman} -n -f logger" common\n`,
		);
		start(t, apache, ["-D", "FOREGROUND", "-f", join(folder, "apache.conf")], { env: loggers.env, isGroup: true });
		await ask(port);
		await isCollected(t, loggers, log);
	},
);

test.serial("log collection: the run script finds what grep finds", async (t) => {
	const shown = await runExample(t, "log-collection");
	t.regex(shown, /cmp - .*\n\d{2,}$/m);
});

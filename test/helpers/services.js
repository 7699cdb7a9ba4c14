// Real database servers for a while: each in a folder and on a port of its own, on loopback only. A server ends with the
// test, and also when this process is killed: a shell beside it waits for that. scripts/services starts them by hand.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findProgram } from "./find-program.js";
import { freePort } from "./free-port.js";

/** How long a server may take to start or stop. */
const PATIENCE_MS = 30_000;

/** Debian keeps each version of PostgreSQL in a folder of its own. */
function postgresFolders() {
	try {
		return readdirSync("/usr/lib/postgresql").map((version) => `/usr/lib/postgresql/${version}/bin`);
	} catch {
		return [];
	}
}

/** The databases refuse to run as root. */
const account = (() => {
	if (process.getuid?.() !== 0) return {};
	const id = (flag) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
	return { uid: id("-u"), gid: id("-g") };
})();

/**
 * Kind → its program, undefined where it is not installed; what to run once and then at each start; what it says when it
 * is ready; how it dies without a chance to tidy up; and the store options that lead to it.
 */
export const services = {
	postgres: {
		program: findProgram("postgres", undefined, postgresFolders()),
		prepare(folder) {
			const initdb = this.program.replace(/postgres$/, "initdb");
			const options = ["--username=gearman", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"];
			execFileSync(initdb, [`--pgdata=${folder}/data`, ...options], { ...account, cwd: folder, stdio: "pipe" });
		},
		arguments: (folder, port) => [
			...["-D", `${folder}/data`, "-p", `${port}`, "-c", "listen_addresses=127.0.0.1"],
			...["-c", "unix_socket_directories=", "-c", "shared_buffers=16MB", "-c", "max_connections=20"],
		],
		ready: /database system is ready to accept connections/,
		// Its processes all end at once, as in a crash, with nothing written. After KILL some would stay a while.
		killSignal: "SIGQUIT",
		options: (port) => ({ "libpq-conninfo": `host=127.0.0.1 port=${port} user=gearman dbname=postgres` }),
	},
	mysql: {
		program: findProgram("mariadbd") ?? findProgram("mysqld"),
		prepare(folder) {
			const install = findProgram("mariadb-install-db");
			const [program, options] =
				install === undefined
					? [this.program, ["--initialize-insecure"]]
					: [install, ["--auth-root-authentication-method=normal", "--skip-test-db"]];
			const all = ["--no-defaults", `--datadir=${folder}/data`, ...options];
			execFileSync(program, all, { ...account, cwd: folder, stdio: "pipe" });
		},
		arguments: (folder, port) => [
			...["--no-defaults", `--datadir=${folder}/data`, `--port=${port}`, "--bind-address=127.0.0.1"],
			...[`--socket=${folder}/socket`, `--pid-file=${folder}/pid`, `--tmpdir=${folder}`, "--skip-name-resolve"],
			...["--innodb-buffer-pool-size=32M", "--max-allowed-packet=16M"],
		],
		ready: /ready for connections/,
		killSignal: "SIGKILL",
		options: (port) => ({
			"mysql-host": "127.0.0.1",
			"mysql-port": `${port}`,
			"mysql-user": "root",
			"mysql-db": "mysql",
		}),
	},
	redis: {
		program: findProgram("redis-server") ?? findProgram("valkey-server"),
		prepare() {},
		arguments: (folder, port) => [
			...["--port", `${port}`, "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
			...["--appendonly", "yes", "--appendfsync", "always"],
		],
		ready: /Ready to accept connections/,
		killSignal: "SIGKILL",
		options: (port) => ({ "redis-server": "127.0.0.1", "redis-port": `${port}` }),
	},
	memcached: {
		program: findProgram("memcached"),
		prepare() {},
		arguments: (_folder, port) => ["-l", "127.0.0.1", "-p", `${port}`, "-U", "0", "-I", "32m", "-m", "512"],
		// It says nothing, or everything.
		ready: undefined,
		killSignal: "SIGKILL",
		options: (port) => ({ "libmemcached-servers": `127.0.0.1:${port}` }),
	},
};

/**
 * Tells the server's id and waits for its end; should stdin end first, whoever started it is gone: it ends too, and its
 * folder goes. (What a shell runs in the background has no stdin, hence 3.)
 */
const KEEPER = `signal=$1; shift
exec 3<&0
"$@" 3<&- &
pid=$!
echo "pid $pid"
{
	read -r _ <&3 || {
		trap '' TERM
		kill -s "$signal" "$pid"
		while kill -0 "$pid"; do sleep 0.1; done
		rm -rf "$PWD"
	}
} >/dev/null 2>&1 &
guard=$!
exec 3<&-
wait "$pid"
kill "$guard"`;

class Service {
	#kind;
	#folder = mkdtempSync(join(tmpdir(), "gearman-service-"));
	#keeper;
	#pid;
	port = 0;

	constructor(kind) {
		this.#kind = services[kind];
		if (account.uid !== undefined) chownSync(this.#folder, account.uid, account.gid);
		this.#kind.prepare(this.#folder);
	}

	/** Options of the store that lead here. */
	get options() {
		return this.#kind.options(this.port);
	}

	/** Starts it, the first time on any free port and then on the same. */
	async start() {
		for (let attempt = 1; ; attempt++) {
			const port = this.port || (await freePort());
			const error = await this.#startAt(port);
			if (error === undefined) {
				this.port = port;
				return this;
			}
			// Somebody took the port in between; or, when it is to be the same again, gives it back in a moment.
			if (attempt === 3) throw error;
		}
	}

	/** Ends it as a power cut would. */
	kill() {
		return this.#end(this.#kind.killSignal);
	}

	/** Ends it and forgets all it had. */
	async stop() {
		await this.#end(this.#kind.killSignal);
		rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
	}

	async #startAt(port) {
		const { program, killSignal, ready } = this.#kind;
		const command = [program, ...this.#kind.arguments(this.#folder, port)];
		const keeper = spawn("sh", ["-c", KEEPER, "sh", killSignal.slice(3), ...command], {
			...account,
			cwd: this.#folder,
			env: { PATH: process.env.PATH, LC_ALL: "C", HOME: this.#folder },
		});
		keeper.stdin.on("error", () => {});
		this.#keeper = keeper;
		let said = "";
		const error = await new Promise((resolve) => {
			const fail = (why) => resolve(new Error(`${program} ${why}\n${said}`));
			const timer = setTimeout(() => fail("did not start"), PATIENCE_MS);
			const read = (bytes) => {
				said += bytes;
				this.#pid ??= Number(/^pid (\d+)$/m.exec(said)?.[1]) || undefined;
				if (this.#pid === undefined) return;
				if (ready === undefined) listens(port, keeper).then(resolve);
				else if (ready.test(said)) resolve(undefined);
			};
			keeper.stdout.on("data", read);
			keeper.stderr.on("data", read);
			keeper.once("exit", () => fail("ended"));
			keeper.once("error", (cause) => fail(cause.message));
			keeper.once("exit", () => clearTimeout(timer));
		});
		if (error !== undefined) await this.#end(killSignal);
		// What it goes on to say is of no interest, but must not fill the pipe.
		for (const stream of [keeper.stdout, keeper.stderr]) stream.removeAllListeners("data").resume();
		return error;
	}

	async #end(signal) {
		const keeper = this.#keeper;
		if (keeper === undefined) return;
		this.#keeper = undefined;
		const isGone = keeper.exitCode !== null || keeper.signalCode !== null;
		const gone = isGone ? undefined : once(keeper, "exit");
		if (!isGone && this.#pid !== undefined) process.kill(this.#pid, signal);
		this.#pid = undefined;
		await gone;
	}
}

/** A server of that kind, running; ended with the test when there is one, else by stop(). Undefined: not installed. */
export async function startService(kind, t) {
	if (services[kind].program === undefined) return undefined;
	const service = new Service(kind);
	t?.teardown(() => service.stop());
	try {
		return await service.start();
	} catch (error) {
		await service.stop();
		throw error;
	}
}

/** Resolves when somebody listens there, or the keeper has ended. */
async function listens(port, keeper) {
	while (keeper.exitCode === null && keeper.signalCode === null) {
		const socket = connect(port, "127.0.0.1");
		const isThere = await new Promise((resolve) => {
			socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
		});
		socket.destroy();
		if (isThere) return;
		await sleep(5);
	}
}

/** One server for the tests of a file that do it no harm, started by the first. */
export function sharedService(ava, kind) {
	let starting;
	ava.after.always(async () => (await starting)?.stop());
	return () => {
		starting ??= startService(kind);
		return starting;
	};
}

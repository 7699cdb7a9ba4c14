// Narada's processes for a test: a job server that keeps its jobs, workers, and the command.

import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "gearman";
import { ask } from "../../scripts/examples/narada/ask.js";
import { MAX_BYTES, TIMEOUT_MS } from "../fixtures/site.js";
import { freePort } from "./free-port.js";
import { temporaryFolder } from "./program.js";
import { ours, run, start } from "./programs.js";
import { dial } from "./server.js";
import { until } from "./until.js";

export const command = fileURLToPath(new URL("../../scripts/examples/narada/narada.js", import.meta.url));
export const WORKERS = ["insert", "fetch", "index", "search"];

class Narada {
	#t;
	#folder;
	#port;
	#options;
	client;
	/** Name → what start() gave. */
	running = new Map();

	constructor(t, port, options) {
		this.#t = t;
		this.#folder = temporaryFolder(t);
		this.#port = port;
		this.client = new Client(this.server);
		t.teardown(() => this.client.close());
		this.database = `sqlite:${join(this.#folder, "narada.db")}`;
		const limits = ["--delay", "0", "--timeout", `${TIMEOUT_MS}`, "--max-bytes", `${MAX_BYTES}`, "--retry", "100"];
		this.#options = ["--database", this.database, ...limits, ...options];
	}

	get server() {
		return `127.0.0.1:${this.#port}`;
	}

	/** A worker, or the job server under the name "server"; resolves when it is up. */
	async start(name) {
		const [file, args] =
			name === "server"
				? [
						ours.gearmand,
						["--listen=127.0.0.1", `--port=${this.#port}`, "--log-file=stderr", `--state-dir=${this.#folder}`],
					]
				: [command, ["work", name, "--server", this.server, ...this.#options]];
		const running = start(this.#t, file, args);
		this.running.set(name, running);
		if (name === "server") await this.#isUp();
		if (process.env.DEBUG) this.#t.teardown(() => console.log(name, running.output(), running.errors()));
	}

	async kill(name) {
		const { child } = this.running.get(name);
		const gone = once(child, "exit");
		child.kill("SIGKILL");
		await gone;
	}

	async restart(name) {
		await this.kill(name);
		await this.start(name);
	}

	/** Runs the command; gives what it prints. */
	async command(...args) {
		const { stdout, stderr, exitCode } = await run(this.#t, command, [...args, "--server", this.server]);
		if (exitCode !== 0) throw new Error(`narada ${args.join(" ")}: ${stderr}`);
		return stdout;
	}

	async search(words) {
		return await ask(this.client, "search", { words, limit: 50 });
	}

	async counts() {
		return await ask(this.client, "status");
	}

	/** The web page; gives its address. */
	async serve() {
		const { output } = start(this.#t, command, ["serve", "--port", "0", "--server", this.server]);
		return await until(() => /^Narada is at (\S+)/.exec(output())?.[1], "the web page");
	}

	async #isUp() {
		await until(async () => {
			const peer = await dial(this.#t, this.#port);
			peer.raw("version\n");
			const answer = await peer.next();
			peer.destroy();
			return answer.startsWith("OK ");
		}, "the job server");
	}
}

/** All of it running; `options` are those of the workers. */
export async function startNarada(t, options = []) {
	const narada = new Narada(t, await freePort(), options);
	await narada.start("server");
	for (const name of WORKERS) await narada.start(name);
	return narada;
}

// The command of --reduce: results go to its standard input as they come, what it prints is the output. It is started
// with the first result, or at the end when there was none.

import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import type { Client } from "../client/client.ts";
import type { Collector, Jobs } from "./jobs.ts";

/** Up to here a command that is slow only slows the submits; behind it, reading from the job servers as well. */
const MAX_WAITING_BYTES = 128 * 1024 * 1024;

export class ReduceCommand implements Collector {
	readonly #command: string;
	readonly #client: Client;
	readonly #jobs: Jobs;
	#child: ChildProcess | undefined;
	#exit: Promise<number> | undefined;
	/** It wants no more, or gets none. */
	#isClosed = false;
	#isHolding = false;

	constructor(command: string, client: Client, jobs: Jobs) {
		this.#command = command;
		this.#client = client;
		this.#jobs = jobs;
	}

	get waitingBytes(): number {
		return this.#child?.stdin?.writableLength ?? 0;
	}

	put(bytes: Uint8Array): void {
		const stdin = this.#start().stdin;
		if (this.#isClosed || stdin === null) return;
		stdin.write(Buffer.from(bytes));
		if (this.#isHolding || stdin.writableLength < MAX_WAITING_BYTES) return;
		this.#isHolding = true;
		this.#client.pause();
	}

	async finish(): Promise<number> {
		const { stdin } = this.#start();
		this.#isClosed = true;
		stdin?.end();
		return (await this.#exit) ?? 0;
	}

	#start(): ChildProcess {
		if (this.#child !== undefined) return this.#child;
		const child = spawn("/bin/sh", ["-c", this.#command], { stdio: ["pipe", "inherit", "inherit"] });
		this.#child = child;
		child.stdin.on("drain", () => this.#drained());
		// It has closed its input: its exit code is what it has to say.
		child.stdin.on("error", () => this.#leave());
		this.#exit = new Promise((resolve) => {
			child.once("error", (error) => {
				process.stderr.write(`gearman: could not run the --reduce command: ${error.message}\n`);
				resolve(127);
			});
			child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
		});
		void this.#exit.then(() => this.#leave());
		return child;
	}

	#drained(): void {
		if (this.#isHolding) this.#client.resume();
		this.#isHolding = false;
		this.#jobs.fill();
	}

	/** It left before the end: nobody wants the rest. */
	#leave(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		void this.#exit?.then((code) => {
			if (code !== 0)
				process.stderr.write(`gearman: the --reduce command ended before the input, with exit code ${code}\n`);
			this.#jobs.stop(code);
		});
	}
}

// A command between two streams: fed piece by piece, read as it writes. Called by cli/map-reduce.ts, for what splits a
// workload and what puts results together. Writer and reader move at the same time, each at the pace of the other end.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { GearmanError } from "../errors.ts";
import type { Job } from "./job.ts";
import { failureOf, GRACE_MS, killGroup, programOf } from "./program.ts";

export interface FilterOptions {
	/** Whose stderr is sent to as WORK_WARNING; undefined: stderr is ours. */
	readonly warned: Job | undefined;
	/** Variables beside our own. */
	readonly environment: Readonly<Record<string, string>>;
	/** Put before "command exited with code 1". */
	readonly name: string;
}

export class Filter {
	readonly #child: ChildProcess;
	readonly #ended: Promise<void>;
	#isClosed = false;
	#graceTimer: NodeJS.Timeout | undefined;

	constructor(command: string, options: FilterOptions) {
		const [file, ...args] = programOf([command]);
		const child = spawn(file, args, {
			detached: true,
			env: { ...process.env, ...options.environment },
			stdio: ["pipe", "pipe", options.warned === undefined ? "inherit" : "pipe"],
		});
		this.#child = child;
		this.#ended = new Promise((resolve, reject) => {
			const end = (failure: string | undefined) => {
				if (failure === undefined) resolve();
				else reject(new GearmanError("COMMAND_FAILED", `${options.name} ${failure}`));
			};
			child.once("error", (error) => end(failureOf({ error })));
			// Not at its exit: what it has started may still write.
			child.once("close", (code, signal) => {
				this.#isClosed = true;
				clearTimeout(this.#graceTimer);
				end(failureOf({ code, signal }));
			});
		});
		// Told to whoever asks by ended(), if anybody does.
		this.#ended.catch(() => undefined);
		for (const stream of child.stdio) stream?.on("error", () => undefined);
		child.stderr?.on("data", (chunk: Buffer) => {
			child.stderr?.pause();
			void options.warned?.sendWarning(chunk).then(() => child.stderr?.resume());
		});
	}

	/** Resolves when more may be written, or nobody will read it any more. */
	async write(bytes: Uint8Array): Promise<void> {
		const { stdin } = this.#child;
		if (stdin === null || !stdin.writable || stdin.write(bytes)) return;
		await Promise.race([once(stdin, "drain"), once(stdin, "close")]).catch(() => undefined);
	}

	/** No more comes. */
	end(): void {
		this.#child.stdin?.end();
	}

	/** Stdout up to its end. Throws COMMAND_FAILED when the command has failed. */
	async *output(): AsyncGenerator<Buffer, void, undefined> {
		if (this.#child.stdout !== null) yield* this.#child.stdout;
		await this.#ended;
	}

	/** Ends the command and all it has started; gently, or at once. */
	kill(signal: "SIGTERM" | "SIGKILL"): void {
		if (this.#isClosed) return;
		const { pid, stdout } = this.#child;
		killGroup(pid, signal);
		if (signal === "SIGKILL") stdout?.destroy();
		else this.#graceTimer ??= setTimeout(() => this.kill("SIGKILL"), GRACE_MS);
	}
}

// `gearman --status HANDLE`: what the servers know of a job. They forget it when it is done, so "unknown" may mean "done".

import { Client } from "../client/client.ts";
import type { ServerAddress } from "../net/connection.ts";
import type { Options } from "../options.ts";
import { endingOutput } from "./output.ts";

const stdout = endingOutput();

/** 0 when a server knows the job, else 1. */
export async function run(
	servers: readonly ServerAddress[],
	options: Pick<Options<"client">, "json" | "timeout">,
	handle: string,
): Promise<number> {
	await using client = new Client(servers);
	const status = await client.status(handle, options.timeout === undefined ? {} : { timeoutMs: options.timeout });
	const { isKnown, isRunning, numerator, denominator } = status;
	if (options.json) {
		const line = { handle, known: isKnown, running: isRunning, numerator, denominator };
		stdout.write(`${JSON.stringify(line)}\n`);
	} else {
		const state = !isKnown ? "unknown (done, or never there)" : isRunning ? "running" : "queued";
		const progress = denominator > 0 ? `, ${numerator} of ${denominator}` : "";
		stdout.write(`${handle}: ${state}${progress}\n`);
	}
	stdout.flush();
	return isKnown ? 0 : 1;
}

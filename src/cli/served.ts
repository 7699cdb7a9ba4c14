// Whether the functions have workers, asked by the admin protocol: for --require-worker, and for whoever waits at a
// terminal. Loaded by client.ts when it has to know.

import { Admin } from "../admin/admin.ts";
import { GearmanError } from "../errors.ts";
import type { ServerAddress } from "../net/connection.ts";
import type { Options } from "../options.ts";

/** The servers where each function has a worker. None: it has been said why. */
export async function serversWithWorkers(
	servers: readonly ServerAddress[],
	options: Pick<Options<"client">, "function" | "timeout" | "json">,
): Promise<ServerAddress[]> {
	const errors: GearmanError[] = [];
	let missing = options.function[0];
	const able: ServerAddress[] = [];
	for (const server of servers) {
		try {
			const without = await functionWithoutWorker(server, options.function, options.timeout);
			if (without === undefined) able.push(server);
			else missing = without;
		} catch (error) {
			if (!(error instanceof GearmanError)) throw error;
			errors.push(error);
		}
	}
	if (able.length > 0) return able;
	if (errors.length === servers.length) {
		// The jobs themselves say so then, each in its line.
		if (options.json) return [...servers];
		throw errors[0];
	}
	process.stderr.write(`gearman: no worker can do ${missing}\n`);
	if (options.json && missing !== undefined) (await import("./job-json.ts")).printUnserved(missing);
	return [];
}

/** A function that no server in reach has a worker for; `undefined` when there is none, or nobody to ask. */
export async function unserved(
	servers: readonly ServerAddress[],
	functions: readonly string[],
): Promise<string | undefined> {
	let missing: string | undefined;
	for (const server of servers) {
		try {
			missing = await functionWithoutWorker(server, functions, undefined);
			if (missing === undefined) return undefined;
		} catch (error) {
			// The jobs themselves tell of a server that is away.
			if (!(error instanceof GearmanError)) throw error;
		}
	}
	return missing;
}

async function functionWithoutWorker(
	server: ServerAddress,
	functions: readonly string[],
	timeoutMs: number | undefined,
): Promise<string | undefined> {
	await using admin = new Admin(server, timeoutMs === undefined ? {} : { timeoutMs });
	const rows = await admin.status();
	return functions.find((name) => !rows.some((row) => row.functionName === name && row.workers > 0));
}

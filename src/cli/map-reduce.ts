// gearman -w --split-command, --aggregate: the worker of map/reduce jobs (SUBMIT_REDUCE_JOB, JOB_ASSIGN_ALL). Called by
// worker.ts. The job names the reducer, the function that is run for each record:
//
//   workload ──split──▶ records ──a job of the reducer each──▶ results, in order ──aggregate──▶ answer
//
// A job that names none gets its records back as WORK_DATA, as from a partition worker of libgearman. Each job has a
// connection of its own to the servers: closing it makes them drop what is left of a job that failed.

import { Client } from "../client/client.ts";
import { mapPieces } from "../client/reduce.ts";
import { GearmanError } from "../errors.ts";
import type { Options } from "../options.ts";
import { Filter } from "../worker/filter.ts";
import type { Job } from "../worker/job.ts";
import { isLost } from "../worker/program.ts";
import type { WorkFunction } from "../worker/worker.ts";
import { LF, NUL, Pieces } from "./pieces.ts";
import { serversOf } from "./servers.ts";

/** How often progress is sent. */
const STATUS_MS = 100;

export function mapReduce(options: Options<"worker">, isWarned: boolean): WorkFunction {
	const servers = serversOf(options);
	const timeoutMs = options["job-timeout"];

	return async (job) => {
		if (options.function.includes(job.reducer)) {
			throw new GearmanError(
				"COMMAND_FAILED",
				`the reducer ${job.reducer} is this worker's own: it would wait for itself`,
			);
		}
		const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
		const signal = timeout === undefined ? job.signal : AbortSignal.any([job.signal, timeout]);
		const run = new Run(job, options, isWarned);
		// As in command.ts: who has lost the server may end in peace, who is killed may not.
		const onAbort = () => run.kill(job.signal.aborted && !isLost(job.signal) ? "SIGKILL" : "SIGTERM");
		signal.addEventListener("abort", onAbort);
		const client = new Client(servers);
		try {
			if (job.reducer !== "") return await run.reduce(client, signal);
			for await (const record of run.records()) await job.sendData(record);
			return undefined;
		} catch (error) {
			const reason = timeout?.aborted ? `the job was given up after ${timeoutMs} ms` : String((error as Error).message);
			// Not JOB_FAILED of a piece either, which would tell the client nothing.
			throw new GearmanError("COMMAND_FAILED", reason, { cause: error });
		} finally {
			signal.removeEventListener("abort", onAbort);
			client.close();
			run.kill("SIGTERM");
		}
	};
}

/** One job. */
class Run {
	readonly #job: Job;
	readonly #options: Options<"worker">;
	readonly #isWarned: boolean;
	readonly #filters: Filter[] = [];
	#statusTime = 0;

	constructor(job: Job, options: Options<"worker">, isWarned: boolean) {
		this.#job = job;
		this.#options = options;
		this.#isWarned = isWarned;
	}

	async *records(): AsyncGenerator<Buffer, void, undefined> {
		const { null: byNul, strip } = this.#options;
		const records = new Pieces(byNul ? NUL : LF, { records: 1, isStripped: byNul || strip });
		for await (const chunk of this.#split()) {
			records.write(chunk);
			for (let record = records.next(); record; record = records.next()) yield record;
		}
		records.end();
		for (let record = records.next(); record; record = records.next()) yield record;
	}

	/** The answer. */
	async reduce(client: Client, signal: AbortSignal): Promise<Buffer> {
		const { aggregate: command, pieces: concurrency } = this.#options;
		const results = mapPieces(client, this.#job.reducer, this.records(), {
			signal,
			concurrency,
			onProgress: (done, taken) => this.#status(done, taken),
		});
		if (command === undefined) return await join(results);
		const aggregate = this.#start("aggregate", command);
		// At the same time, so that neither end waits for the other; what goes wrong first is what is told.
		const answer = join(aggregate.output());
		const feed = async () => {
			for await (const result of results) await aggregate.write(result);
			aggregate.end();
		};
		const [whole] = await Promise.all([answer, feed()]);
		return whole;
	}

	kill(signal: "SIGTERM" | "SIGKILL"): void {
		for (const filter of this.#filters) filter.kill(signal);
	}

	async *#split(): AsyncGenerator<Buffer, void, undefined> {
		const command = this.#options["split-command"];
		if (command === undefined) {
			yield this.#job.workload;
			return;
		}
		const split = this.#start("split", command);
		void split.write(this.#job.workload);
		split.end();
		yield* split.output();
	}

	#start(name: string, command: string): Filter {
		const { functionName, handle, unique, reducer } = this.#job;
		const filter = new Filter(command, {
			name,
			warned: this.#isWarned ? this.#job : undefined,
			environment: {
				GEARMAN_FUNCTION: functionName,
				GEARMAN_HANDLE: handle,
				GEARMAN_UNIQUE: unique,
				GEARMAN_REDUCER: reducer,
			},
		});
		this.#filters.push(filter);
		return filter;
	}

	/** Not each of a million pieces is worth a packet. */
	#status(done: number, taken: number): void {
		const now = Date.now();
		if (done < taken && now - this.#statusTime < STATUS_MS) return;
		this.#statusTime = now;
		this.#job.sendStatus(done, taken);
	}
}

async function join(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
	const parts: Buffer[] = [];
	for await (const chunk of chunks) parts.push(chunk);
	return Buffer.concat(parts);
}

// A job whose result is wanted whole: when its turn comes, its bytes are handed on in one piece (--merge,
// --reduce-function); a job that failed hands on nothing. Warnings and failures are on stderr as they come.

import type { GearmanError } from "../errors.ts";
import type { Packet } from "../protocol/parser.ts";
import { Job, type JobName } from "./job.ts";
import type { Jobs } from "./jobs.ts";

/** A result, in the pieces it came in; undefined: there is none. */
export type TakeResult = (parts: Buffer[] | undefined) => void;

export class JobResult extends Job {
	readonly #take: TakeResult;
	#parts: Buffer[] | undefined = [];

	constructor(jobs: Jobs, name: JobName, workload: Uint8Array, take: TakeResult) {
		super(jobs, name, workload);
		this.#take = take;
	}

	override beginTurn(): void {
		const parts = this.#parts;
		this.#parts = undefined;
		this.#take(parts);
	}

	protected override created(): void {
		if (this.jobs.isVerbose) this.jobs.printer.printCreated(this);
	}

	protected override data(packet: Packet): void {
		const bytes = packet.keepData();
		this.receivedBytes += bytes.length;
		if (bytes.length === 0) return;
		this.#parts?.push(bytes);
		this.jobs.keep(this, bytes.length);
	}

	protected override warning(packet: Packet): void {
		this.jobs.printer.printError(this, packet.keepData());
	}

	protected override status(): void {}

	protected override complete(packet: Packet): void {
		this.data(packet);
	}

	protected override error(error: GearmanError): void {
		this.#parts = undefined;
		this.jobs.printer.printFailure(this, error);
	}

	protected override reset(): void {
		this.#parts = [];
	}
}

// What comes of one job, printed as gearman(1) does: data and result on stdout as they are, warnings on stderr. Jobs print
// in the order of the input: a job whose turn has not come keeps what it gets.

import type { GearmanError } from "../errors.ts";
import type { Packet } from "../protocol/parser.ts";
import { Job } from "./job.ts";

/** Kept until the job's turn. */
type Part =
	| { readonly type: "data" | "warning"; readonly bytes: Buffer }
	| { readonly type: "status"; readonly numerator: number; readonly denominator: number }
	| { readonly type: "created" }
	| { readonly type: "error"; readonly error: GearmanError };

export class JobOutput extends Job {
	#isTurn = false;
	#parts: Part[] | undefined;

	override beginTurn(): void {
		this.#isTurn = true;
		if (this.#parts === undefined) return;
		for (const part of this.#parts) this.#print(part);
		this.#parts = undefined;
	}

	protected override created(): void {
		if (this.jobs.isVerbose) this.#take({ type: "created" });
	}

	protected override data(packet: Packet): void {
		const bytes = packet.view(1);
		this.receivedBytes += bytes.length;
		if (this.#isTurn) this.#printData(bytes);
		else this.#take({ type: "data", bytes: packet.keepData() });
	}

	protected override warning(packet: Packet): void {
		this.#take({ type: "warning", bytes: packet.keepData() });
	}

	protected override status(numerator: number, denominator: number): void {
		if (!this.jobs.isMap) this.#take({ type: "status", numerator, denominator });
	}

	protected override complete(packet: Packet): void {
		this.data(packet);
	}

	protected override error(error: GearmanError): void {
		// A result that has to be whole is not there at all.
		if (this.jobs.isWhole) this.#parts = this.#parts?.filter(({ type }) => type !== "data");
		this.#take({ type: "error", error });
	}

	protected override reset(): void {
		this.#parts = undefined;
	}

	#take(part: Part): void {
		if (this.#isTurn) {
			this.#print(part);
			return;
		}
		this.#parts ??= [];
		const last = this.#parts[this.#parts.length - 1];
		if (part.type === "status" && last?.type === "status") this.#parts[this.#parts.length - 1] = part;
		else this.#parts.push(part);
		if ("bytes" in part) this.jobs.keep(this, part.bytes.length);
	}

	#print(part: Part): void {
		const { printer } = this.jobs;
		switch (part.type) {
			case "data":
				this.#printData(part.bytes);
				return;
			case "warning":
				printer.printError(this, part.bytes);
				return;
			case "status":
				printer.printStatus(this, part.numerator, part.denominator);
				return;
			case "created":
				printer.printCreated(this);
				return;
			case "error":
				printer.printFailure(this, part.error);
		}
	}

	#printData(bytes: Uint8Array): void {
		this.jobs.printer.printData(this, bytes);
	}
}

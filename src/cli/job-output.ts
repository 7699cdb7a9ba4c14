// What comes of one job, printed as gearman(1) does: data and result on stdout as they are, warnings on stderr. Jobs print
// in the order of the input: a job whose turn has not come keeps what it gets.

import type { TaskObserver } from "../client/link.ts";
import type { GearmanError } from "../errors.ts";
import type { Packet } from "../protocol/parser.ts";
import type { Jobs } from "./jobs.ts";

/** Kept until the job's turn. */
type Piece =
	| { readonly type: "data" | "warning"; readonly bytes: Buffer }
	| { readonly type: "status"; readonly numerator: number; readonly denominator: number }
	| { readonly type: "created" }
	| { readonly type: "error"; readonly error: GearmanError };

/** A job from its submit until it is printed. */
export abstract class Job implements TaskObserver {
	readonly functionName: string;
	readonly unique: string;
	readonly workloadBytes: number;
	/** Until the server has the job. */
	workload: Uint8Array | undefined;
	/** Bytes of what waits for the job's turn. */
	keptBytes = 0;
	/** What was sent for it, until it is queued: it holds the workload. */
	request: { readonly isWritten: boolean } | undefined;
	handle = "";
	hasEnded = false;
	protected readonly jobs: Jobs;

	constructor(jobs: Jobs, functionName: string, unique: string, workload: Uint8Array) {
		this.jobs = jobs;
		this.functionName = functionName;
		this.unique = unique;
		this.workload = workload;
		this.workloadBytes = workload.length;
	}

	/** All jobs before it are printed. */
	abstract beginTurn(): void;

	onCreated(handle: string): void {
		this.handle = handle;
		this.request = undefined;
		this.workload = undefined;
		this.jobs.created();
		this.created();
		if (this.jobs.isBackground) this.#end();
	}

	onData(packet: Packet): void {
		this.jobs.signOfLife();
		this.data(packet);
	}

	onWarning(packet: Packet): void {
		this.jobs.signOfLife();
		this.warning(packet);
	}

	onStatus(numerator: number, denominator: number): void {
		this.jobs.signOfLife();
		this.status(numerator, denominator);
	}

	onComplete(packet: Packet): void {
		this.jobs.signOfLife();
		if (this.hasEnded) return;
		this.complete(packet);
		this.#end();
	}

	onError(error: GearmanError): void {
		if (this.hasEnded || this.jobs.triesAgain(this, error)) return;
		this.jobs.failed(error);
		this.error(error);
		this.#end();
	}

	protected abstract created(): void;
	protected abstract data(packet: Packet): void;
	protected abstract warning(packet: Packet): void;
	protected abstract status(numerator: number, denominator: number): void;
	protected abstract complete(packet: Packet): void;
	protected abstract error(error: GearmanError): void;

	#end(): void {
		this.hasEnded = true;
		this.jobs.ended(this);
	}
}

export class JobOutput extends Job {
	#isTurn = false;
	#pieces: Piece[] | undefined;

	override beginTurn(): void {
		this.#isTurn = true;
		if (this.#pieces === undefined) return;
		for (const piece of this.#pieces) this.#print(piece);
		this.#pieces = undefined;
	}

	protected override created(): void {
		if (this.jobs.isVerbose) this.#take({ type: "created" });
	}

	protected override data(packet: Packet): void {
		if (this.#isTurn) this.#printData(packet.view(1));
		else this.#take({ type: "data", bytes: packet.keepData() });
	}

	protected override warning(packet: Packet): void {
		this.#take({ type: "warning", bytes: packet.keepData() });
	}

	protected override status(numerator: number, denominator: number): void {
		this.#take({ type: "status", numerator, denominator });
	}

	protected override complete(packet: Packet): void {
		this.data(packet);
	}

	protected override error(error: GearmanError): void {
		this.#take({ type: "error", error });
	}

	#take(piece: Piece): void {
		if (this.#isTurn) {
			this.#print(piece);
			return;
		}
		this.#pieces ??= [];
		const last = this.#pieces[this.#pieces.length - 1];
		if (piece.type === "status" && last?.type === "status") this.#pieces[this.#pieces.length - 1] = piece;
		else this.#pieces.push(piece);
		if ("bytes" in piece) this.jobs.keep(this, piece.bytes.length);
	}

	#print(piece: Piece): void {
		switch (piece.type) {
			case "data":
				this.#printData(piece.bytes);
				return;
			case "warning":
				this.jobs.printError(this.#prefix, piece.bytes);
				return;
			case "status":
				this.jobs.printStatus(this.functionName, this.#prefix, piece.numerator, piece.denominator);
				return;
			case "created":
				this.jobs.print(`Task created: ${this.handle}\n`);
				return;
			case "error":
				this.#printError(piece.error);
		}
	}

	#printData(bytes: Uint8Array): void {
		if (this.jobs.isPrefixed) this.jobs.print(this.#prefix);
		this.jobs.print(bytes);
	}

	#printError(error: GearmanError): void {
		switch (error.code) {
			case "JOB_FAILED":
				this.jobs.printError(this.#prefix, "Job failed\n");
				return;
			case "JOB_EXCEPTION": {
				const bytes = error.data ?? Buffer.alloc(0);
				this.jobs.printError(this.#prefix, bytes);
				const lineEnd = bytes.length === 0 || bytes[bytes.length - 1] === 0x0a ? "" : "\n";
				this.jobs.printError(lineEnd, `gearman: job ${this.handle} of ${this.functionName} raised an exception\n`);
				return;
			}
			case "SERVER_ERROR":
				this.jobs.printError("", `gearman: ${this.functionName}: ${error.message}\n`);
				return;
			default:
			// All jobs of a connection share its fate: Jobs says it once, at the end.
		}
	}

	get #prefix(): string {
		return this.jobs.isPrefixed ? `${this.functionName}: ` : "";
	}
}

// Where workloads come from: operands, or standard input cut into records, pieces or nothing. Standard input is read only
// while somebody has room for what is in it.

import { fstatSync, readFileSync, type Stats, statSync } from "node:fs";
import { GearmanError } from "../errors.ts";
import { reasonOf } from "../reason.ts";

export interface Source {
	/**
	 * undefined: none yet, `Jobs.fill()` is to be called when there is; null: that was the last. Throws a GearmanError when
	 * the input is not to be used.
	 */
	next(): Uint8Array | undefined | null;
}

/** Makes workloads of a stream of bytes. */
export interface Cutter extends Source {
	/** Takes the chunk over: workloads may be views of it. */
	write(chunk: Buffer): void;
	/** No more chunks. */
	end(): void;
}

/** Who is told that there is input. */
export interface Reader {
	fill(): void;
	inputFailed(reason: string): void;
}

/** What fits no buffer fits no packet. */
const MAX_WHOLE_BYTES = 0x7fffffff;

/**
 * Standard input as one workload, where it is a file or /dev/null: neither keeps anybody waiting, and what Node needs to
 * read it as a stream takes a client 3 ms more. Undefined: it is something else, or too large. Throws a GearmanError.
 */
export function wholeFile(): Source | undefined {
	try {
		const stdin = fstatSync(0);
		const isAtHand = (stdin.isFile() && stdin.size <= MAX_WHOLE_BYTES) || isNull(stdin);
		return isAtHand ? listSource([readFileSync(0)]) : undefined;
	} catch (error) {
		throw new GearmanError("BAD_ARGUMENT", `could not read the input: ${reasonOf(error)}`, { cause: error });
	}
}

function isNull(file: Stats): boolean {
	return file.isCharacterDevice() && file.rdev === statSync("/dev/null", { throwIfNoEntry: false })?.rdev;
}

export class Stdin implements Source {
	readonly #cutter: Cutter;
	#isWanted = false;

	constructor(cutter: Cutter) {
		this.#cutter = cutter;
	}

	next(): Uint8Array | undefined | null {
		const next = this.#cutter.next();
		if (next === undefined && !this.#isWanted) {
			this.#isWanted = true;
			process.stdin.resume();
		}
		return next;
	}

	/** `what` is read, in words. */
	open(jobs: Reader, what: string): void {
		const stdin = process.stdin;
		if (stdin.isTTY && process.stderr.isTTY) {
			process.stderr.write(`gearman: reading ${what} from the terminal, Ctrl-D ends\n`);
		}
		if (isFolder()) {
			process.nextTick(() => jobs.inputFailed("could not read the input: it is a directory"));
			return;
		}
		stdin.on("data", (chunk: Buffer) => {
			this.#cutter.write(chunk);
			this.#isWanted = false;
			jobs.fill();
			// next() did not ask again: the window is full.
			if (!this.#isWanted) stdin.pause();
		});
		stdin.once("end", () => {
			this.#cutter.end();
			jobs.fill();
		});
		stdin.once("error", (error) => jobs.inputFailed(`could not read the input: ${reasonOf(error)}`));
		stdin.pause();
	}

	/** The size of the input, where it is a file. */
	get totalBytes(): number | undefined {
		try {
			const { size } = fstatSync(0);
			return size > 0 && fstatSync(0).isFile() ? size : undefined;
		} catch {
			return undefined;
		}
	}

	close(): void {
		process.stdin.destroy();
	}
}

/** Node takes a directory for an empty input. */
function isFolder(): boolean {
	try {
		return fstatSync(0).isDirectory();
	} catch {
		return false;
	}
}

/** The whole of the input as one workload. */
export class Whole implements Cutter {
	#parts: Buffer[] | undefined = [];
	#bytes = 0;
	#hasEnded = false;

	write(chunk: Buffer): void {
		this.#parts?.push(chunk);
		this.#bytes += chunk.length;
	}

	end(): void {
		this.#hasEnded = true;
	}

	next(): Buffer | undefined | null {
		if (this.#bytes > MAX_WHOLE_BYTES) throw new GearmanError("BAD_ARGUMENT", "the input is too large for one job");
		if (!this.#hasEnded) return undefined;
		if (this.#parts === undefined) return null;
		const whole = Buffer.concat(this.#parts);
		this.#parts = undefined;
		return whole;
	}
}

export function listSource(workloads: readonly Uint8Array[]): Source {
	let at = 0;
	return { next: () => (at < workloads.length ? workloads[at++] : null) };
}

/** The operands as they were typed. Node has decoded them as UTF-8; where that lost bytes, Linux still has them. */
export function operandSource(operands: readonly string[]): Source {
	let words: Buffer[] | undefined;
	return listSource(
		operands.map((operand) => {
			if (!operand.includes("\ufffd")) return Buffer.from(operand, "utf8");
			words ??= typedWords();
			// Operands stand in the command line in their order, so each word is somebody's once.
			const index = words.findIndex((word) => word.toString("utf8") === operand);
			return index < 0 ? Buffer.from(operand, "utf8") : words.splice(0, index + 1)[index];
		}),
	);
}

function typedWords(): Buffer[] {
	const words: Buffer[] = [];
	try {
		const line = readFileSync("/proc/self/cmdline");
		for (let at = 0, end = line.indexOf(0); end >= 0; at = end + 1, end = line.indexOf(0, at)) {
			words.push(line.subarray(at, end));
		}
	} catch {
		// Not Linux: what Node made of them has to do.
	}
	return words;
}

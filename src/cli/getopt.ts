// The words of a command line, C's spellings included (-freverse, -nf logger, "-p 4730" as one word), → canonical words
// `--name=value` and `--name`, and operands. Knows what takes a value from options.ts; judges no value: parse.ts does.
// Called by main.ts through parse.ts; pickMode is the first thing that happens in the program.
//
//   client   operands anywhere, as GNU getopt
//   worker   operands anywhere until -w and -f were both seen, from then on the first operand ends the options:
//            `gearman -w -f wc wc -l` needs no `--`, and C's `gearman -w ./command -f x` still works
//   server   no operands but @FILE
//   admin    operands are ignored; --stat is --status

import { type Mode, type Option, operations, options } from "../options.ts";

/** Option → its texts as given, in order; a flag is "true" each time. */
export type Given = Map<string, string[]>;

export interface Scanned {
	/** `--name=value` or `--name`, in order, up to the first problem. */
	words: string[];
	operands: string[];
	/** Only single letters were used: no need for yargs. */
	isPlain: boolean;
	/** Help was asked for, be it after a problem. */
	wantsHelp: boolean;
	/** What is wrong, as a sentence. */
	problem: string | undefined;
}

type Row = readonly [name: string, option: Option];

/** Letters and long spellings → option, of one mode or of several at once. */
function index(modes: readonly Mode[]): { letters: Map<string, Row>; longs: Map<string, Row> } {
	const letters = new Map<string, Row>();
	const longs = new Map<string, Row>();
	for (const mode of modes) {
		for (const row of Object.entries<Option>(options[mode])) {
			const [name, option] = row;
			if (option.short !== undefined) letters.set(option.short, row);
			if (name.length > 1) longs.set(name, row);
			for (const alias of option.aliases ?? []) longs.set(alias, row);
		}
	}
	return { letters, longs };
}

export function takesValue(option: Option): boolean {
	return option.type !== "boolean" && option.type !== "count";
}

/** The words that make `gearman` ask the job server instead of being its client. */
function isAdminOperation(name: string): boolean {
	return name === "admin" || Object.hasOwn(operations, name);
}

/** Mode by the name the program was called by, then by its flags; a flag's value or an operand never counts as a flag. */
export function pickMode(calledAs: string, argv: readonly string[]): Mode {
	if (calledAs === "gearmand") return "server";
	if (calledAs === "gearadmin") return "admin";
	const { letters, longs } = index(["client", "worker"]);
	let isWorker = false;
	let hasFunction = false;
	for (let i = 0; i < argv.length; i++) {
		const word = argv[i] ?? "";
		if (word === "--") break;
		if (word === "-" || !word.startsWith("-")) {
			if (isWorker && hasFunction) break;
		} else if (word.startsWith("--")) {
			const equals = word.indexOf("=");
			const name = word.slice(2, equals < 0 ? undefined : equals);
			if (name === "server") return "server";
			// `--status HANDLE` is the client's question about one job, `--status` alone the server's list.
			const asksForJob = name === "status" && (equals > 0 || argv[i + 1]?.startsWith("-") === false);
			if (!asksForJob && isAdminOperation(name)) return "admin";
			if (name === "worker") isWorker = true;
			if (name === "function") hasFunction = true;
			const option = longs.get(name)?.[1];
			if (equals < 0 && option !== undefined && takesValue(option) && !option.takesFlags) i++;
		} else {
			for (let at = 1; at < word.length; at++) {
				const row = letters.get(word.charAt(at));
				if (row?.[0] === "worker") isWorker = true;
				if (row?.[0] === "function") hasFunction = true;
				if (row === undefined || !takesValue(row[1])) continue;
				if (at === word.length - 1) i++;
				break;
			}
		}
	}
	return isWorker ? "worker" : "client";
}

/** Splits a command line; never throws. */
export function getopt(mode: Mode, argv: readonly string[], { keepsOperands = mode !== "server" } = {}): Scanned {
	const { letters, longs } = index([mode]);
	const scanned: Scanned = { words: [], operands: [], isPlain: true, wantsHelp: false, problem: undefined };
	const seen = new Set<string>();
	// gearmand and gearadmin have boost's habits, gearman has getopt's.
	const isBoost = mode === "server" || mode === "admin";

	const fail = (problem: string): void => {
		scanned.problem ??= problem;
	};
	const add = ([name, option]: Row, value?: string): void => {
		if (name === "help") scanned.wantsHelp = true;
		if (scanned.problem !== undefined) return;
		const isRepeatable = option.type === "strings" || option.type === "count";
		if (isBoost && !isRepeatable && seen.has(name))
			return fail(`option '--${name}' cannot be specified more than once`);
		seen.add(name);
		if (option.insteadOf !== undefined) {
			const other = `--${option.insteadOf}`;
			scanned.words = scanned.words.filter((word) => word !== other);
		}
		scanned.words.push(value === undefined ? `--${name}` : `--${name}=${value}`);
	};
	/** Whether a word can be the value of the option before it; C's gearman takes any. */
	const isValue = (word: string | undefined): boolean => {
		if (word === undefined) return false;
		if (!isBoost || !word.startsWith("-") || word === "-") return true;
		return word.startsWith("--") ? !longs.has(word.slice(2).split("=", 1)[0] ?? "") : !letters.has(word.charAt(1));
	};
	const missing = (name: string): void => fail(`the required argument for option '--${name}' is missing`);
	const operand = (word: string): void => {
		if (keepsOperands) scanned.operands.push(word);
		else if (word.startsWith("@") && word.length > 1) {
			scanned.isPlain = false;
			const row = longs.get("config-file");
			if (row !== undefined) add(row, word.slice(1));
		} else fail(`unrecognised option '${word}'`);
	};

	for (let i = 0; i < argv.length; i++) {
		const word = argv[i] ?? "";
		if (word === "--") {
			for (const rest of argv.slice(i + 1)) operand(rest);
			break;
		}
		if (word === "-" || !word.startsWith("-")) {
			operand(word);
			if (mode === "worker" && seen.has("worker") && seen.has("function")) {
				scanned.operands.push(...argv.slice(i + 1));
				break;
			}
		} else if (word.startsWith("--")) {
			scanned.isPlain = false;
			const equals = word.indexOf("=");
			const spelled = word.slice(2, equals < 0 ? undefined : equals);
			const [row, ...others] =
				longs.has(spelled) || mode !== "admin" ? [longs.get(spelled)] : abbreviated(longs, spelled);
			if (others.length > 0) fail(ambiguous(spelled, [row, ...others]));
			else if (row === undefined) fail(`unrecognised option '${word}'${hint(mode, longs, spelled)}`);
			else if (row[1].takesFlags) {
				add(row, equals < 0 ? "" : word.slice(equals + 1));
				while (equals < 0 && isSortFlag(argv[i + 1], argv[i + 2], letters)) add(row, argv[++i]);
			} else if (!takesValue(row[1])) {
				if (equals < 0) add(row);
				else fail(`option '--${row[0]}' does not take any arguments`);
			} else if (equals >= 0) {
				if (isBoost && equals === word.length - 1) {
					fail(`the argument for option '--${row[0]}' should follow immediately after the equal sign`);
				} else add(row, word.slice(equals + 1));
			} else if (isValue(argv[i + 1])) add(row, argv[++i]);
			else missing(row[0]);
		} else {
			for (let at = 1; at < word.length; at++) {
				const row = letters.get(word.charAt(at));
				if (row === undefined) {
					fail(`unrecognised option '${isBoost ? word : `-${word.charAt(at)}`}'`);
					if (isBoost) break;
				} else if (!takesValue(row[1])) add(row);
				else {
					if (at < word.length - 1) add(row, word.slice(at + 1));
					else if (isValue(argv[i + 1])) add(row, argv[++i]);
					else missing(row[0]);
					break;
				}
			}
		}
	}
	return scanned;
}

/**
 * Whether the word behind --merge is for sort: letters sort has, the last of them perhaps -k or -t with its value. Of
 * letters both have it is ours only with a value of its own behind it: `--merge -f map`, but `--merge -n` and `-t,`.
 */
function isSortFlag(word: string | undefined, next: string | undefined, letters: Map<string, Row>): boolean {
	// What a variable that is empty makes of --merge "$FLAGS".
	if (word === "") return true;
	if (word === undefined || !/^-(?=.)[bdfghiMnRrsuVz]*(?:k.+|t(?:.|\\0))?$/s.test(word)) return false;
	const last = letters.get(word.charAt(word.length - 1))?.[1];
	const wantsValue = /^-[a-zA-Z]+$/.test(word) && last !== undefined && takesValue(last);
	return !wantsValue || next === undefined || next.startsWith("-");
}

function abbreviated(longs: Map<string, Row>, spelled: string): Row[] {
	return [...longs].filter(([name]) => spelled !== "" && name.startsWith(spelled)).map(([, row]) => row);
}

function ambiguous(spelled: string, rows: readonly (Row | undefined)[]): string {
	const names = rows.map((row) => `'--${row?.[0]}'`).sort();
	const last = names.pop();
	return `option '--${spelled}' is ambiguous and matches ${names.join(", ")}, and ${last}`;
}

const OWNERS: Readonly<Record<Mode, string>> = {
	client: "it is the client's",
	worker: "it is the worker's, and needs -w",
	server: "it is the job server's, and needs --server",
	admin: "it is the admin's",
};

/** What may help whoever wrote a long option that this mode has not. */
function hint(mode: Mode, longs: Map<string, Row>, spelled: string): string {
	const owner = (["client", "worker", "server", "admin"] as const).find((each) => index([each]).longs.has(spelled));
	return owner === undefined || owner === mode ? suggestion(longs, spelled) : `; ${OWNERS[owner]}`;
}

/** "; did you mean '--function'?" when one known name is two slips of the keyboard away, or begins with it. */
function suggestion(longs: Map<string, Row>, spelled: string): string {
	const visible = [...longs].filter(([, [, option]]) => option.hidden !== true).map(([name]) => name);
	const near = visible
		.map((name) => ({ name, slips: name.startsWith(spelled) ? 0 : distance(name, spelled) }))
		.filter(({ name, slips }) => slips <= Math.min(2, name.length / 3))
		.sort((one, other) => one.slips - other.slips);
	return near[0] === undefined ? "" : `; did you mean '--${near[0].name}'?`;
}

/** Edits from one word to the other, a swap of neighbours counting two. */
function distance(one: string, other: string): number {
	let row = Array.from({ length: other.length + 1 }, (_, at) => at);
	for (let i = 0; i < one.length; i++) {
		const next = [i + 1];
		for (let j = 0; j < other.length; j++) {
			const kept = (row[j] ?? 0) + (one[i] === other[j] ? 0 : 1);
			next.push(Math.min(kept, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
		}
		row = next;
	}
	return row[other.length] ?? 0;
}

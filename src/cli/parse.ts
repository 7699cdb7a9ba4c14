// Canonical words of getopt.ts → `Options<M>`: command line over environment over config file over default. Called by
// main.ts. Two roads lead to the same values (test/cli/parse.test.js holds them equal): a loop for lines of single
// letters only, which is what starts fast, and yargs (words.ts, loaded then) for long options and config files.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { milliseconds } from "../duration.ts";
import { GearmanError } from "../errors.ts";
import { type Mode, type Option, type Options, options } from "../options.ts";
import { reasonOf } from "../reason.ts";
import type { Configured } from "./config.ts";
import { type Given, getopt, type Scanned } from "./getopt.ts";

export interface Parsed<M extends Mode> {
	options: Options<M>;
	operands: string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

const MAX_32 = 0x7fffffff;
const DEFAULT_CONFIG_FILE = "/etc/gearmand.conf";

const FORMS = {
	size: [/^\s*\d*[1-9]\d*[KMG]?B?\s*$/i, "a size is in bytes, or as 64K, 8M, 1G"],
	mode: [/^0?[0-7]{3}$/, "it is an octal number such as 0660"],
} as const;

const NO_WORDS: Given = new Map();
const NO_CONFIG: ReadonlyMap<string, Configured> = new Map();

/** Throws GearmanError USAGE with a sentence; the caller knows how its mode prints it. */
export async function parse<M extends Mode>(mode: M, argv: readonly string[], env: Environment): Promise<Parsed<M>> {
	const scanned = getopt(mode, argv);
	// gearman -H wins over any error; gearmand and gearadmin want a line without errors first.
	if (scanned.wantsHelp && (mode === "client" || mode === "worker")) {
		return { options: resolve(mode, new Map([["help", ["true"]]]), {}, NO_WORDS, NO_CONFIG, []), operands: [] };
	}
	const given = await read(mode, scanned);
	let file = NO_WORDS;
	if (mode === "server") {
		const named =
			given.get("config-file")?.at(-1) ?? environment("config-file", options.server["config-file"], env)?.[1];
		file = await readConfigFile(named);
	}
	const path = configFile(mode, given, env);
	// All that is wrong in the file is told at once.
	const problems: string[] = [];
	const config =
		path === undefined
			? NO_CONFIG
			: (await import("./config.ts")).readConfig(path, mode, Object.keys(options), options[mode], problems);
	const resolved = resolve(mode, given, env, file, config, problems);
	if (problems.length > 0) throw new GearmanError("BAD_ARGUMENT", problems.join("\n"));
	return { options: resolved, operands: scanned.operands };
}

/** The configuration file: the one named, the user's, or the machine's; undefined when there is none. */
function configFile(mode: Mode, given: Given, env: Environment): string | undefined {
	const named = given.get("config")?.at(-1) ?? environment("config", options[mode].config, env)?.[1];
	if (named !== undefined) return named;
	const own = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, ".config") : undefined);
	// Asked first, not tried: a client that finds none has lost 10 µs.
	return [own, "/etc"]
		.map((folder) => folder && join(folder, "gearman", "config.toml"))
		.find((path) => path && existsSync(path));
}

/** The two roads. */
async function read(mode: Mode, scanned: Scanned): Promise<Given> {
	if (scanned.problem !== undefined) throw new GearmanError("USAGE", scanned.problem);
	if (scanned.isPlain) return fold(scanned.words);
	return (await import("./words.ts")).parseWords(mode, scanned.words);
}

/** The quick road. */
export function fold(words: readonly string[]): Given {
	const given: Given = new Map();
	for (const word of words) {
		const equals = word.indexOf("=");
		const name = word.slice(2, equals < 0 ? undefined : equals);
		const value = equals < 0 ? "true" : word.slice(equals + 1);
		const values = given.get(name);
		if (values === undefined) given.set(name, [value]);
		else values.push(value);
	}
	return given;
}

/** Puts the layers on one another and reads the texts as what the table says. Adds to `problems` those of the file. */
function resolve<M extends Mode>(
	mode: M,
	given: Given,
	env: Environment,
	file: Given,
	config: ReadonlyMap<string, Configured>,
	problems: string[],
): Options<M> {
	const read: Record<string, unknown> = {};
	for (const [name, option] of Object.entries<Option>(options[mode])) {
		const words = given.get(name);
		const variable = words === undefined ? environment(name, option, env) : undefined;
		const fallback = option.default === undefined ? undefined : [String(option.default)];
		const filed = words === undefined && variable === undefined ? file.get(name) : undefined;
		const layers = words ?? variable?.slice(1) ?? filed;
		const configured = layers === undefined ? config.get(name) : undefined;
		const where = variable === undefined ? configured?.where : `environment variable '${variable[0]}'`;
		const texts = layers ?? configured?.texts ?? fallback;
		try {
			read[name] = coerce(mode, name, option, texts, where, configured !== undefined);
		} catch (error) {
			if (configured === undefined || !(error instanceof GearmanError)) throw error;
			problems.push(error.message);
		}
	}
	return read as Options<M>;
}

/** [variable, value] that speaks for an option, several values by comma where it may be repeated; or undefined. */
function environment(name: string, option: Option, env: Environment): [string, ...string[]] | undefined {
	if (option.isAct) return undefined;
	for (const variable of variables(name, option)) {
		const value = env[variable];
		// Kubernetes sets GEARMAND_PORT=tcp://10.0.0.1:4730 for a service called gearmand.
		if (value !== undefined && value !== "" && !/^(tcp|udp|sctp):\/\//.test(value)) {
			return [variable, ...(option.type === "strings" ? value.split(",").map((part) => part.trim()) : [value])];
		}
	}
	return undefined;
}

/** Environment variables of an option, the first one set counts; for the docs too. */
export function variables(name: string, option: Option): string[] {
	if (option.isAct) return [];
	return [`GEARMAN_${name.toUpperCase().replaceAll("-", "_")}`, ...(option.env ?? [])];
}

/** Texts → value: one function for every road and layer. `where` they are from, when not the command line. */
function coerce(
	mode: Mode,
	name: string,
	option: Option,
	texts: readonly string[] | undefined,
	where = `option '--${name}'`,
	isConfigured = false,
): unknown {
	if (option.type === "count") return texts?.length ?? 0;
	const text = texts?.at(-1);
	if (texts === undefined || text === undefined) {
		if (option.type === "boolean") return false;
		return option.type === "strings" ? [] : undefined;
	}
	const invalid = (value: string): GearmanError => {
		if (isConfigured) {
			return new GearmanError("BAD_ARGUMENT", `the value ('${value}') of ${where} is invalid${expected(option)}`);
		}
		if (mode === "server" && name === "verbose")
			return new GearmanError("USAGE", `Invalid value for --verbose supplied${expected(option)}`);
		if (mode === "server" && name === "hashtable-buckets" && Number(value) <= 0) {
			return new GearmanError("USAGE", "hashtable-buckets has to be greater than 0");
		}
		return new GearmanError("USAGE", `the argument ('${value}') for ${where} is invalid${expected(option)}`);
	};
	const choose = (value: string): string => {
		if (option.form !== undefined && !FORMS[option.form][0].test(value)) throw invalid(value);
		if (option.choices === undefined || option.choices.includes(value)) return value;
		const lower = value.toLowerCase();
		if (option.choices.includes(lower)) return lower;
		throw invalid(value);
	};
	switch (option.type) {
		case "boolean":
			if (/^(1|true|yes|on)$/i.test(text)) return true;
			if (/^(0|false|no|off)$/i.test(text)) return false;
			throw invalid(text);
		case "strings":
			return texts.map(choose);
		case "string":
			return name === "port" && (mode === "client" || mode === "worker") ? portNumber(text, invalid) : choose(text);
		case "number":
		case "duration": {
			const value = option.type === "number" ? wholeNumber(text, mode) : milliseconds(text);
			const [least, most] = option.range ?? [0, Number.MAX_SAFE_INTEGER];
			if (value === undefined || value < least || value > most) throw invalid(text);
			return value < 0 && option.negativeIsNone ? undefined : value;
		}
	}
}

/** What would be right, where the option's name does not say it. */
function expected({ type, form, choices, range: [least, most] = [0, Number.MAX_SAFE_INTEGER] }: Option): string {
	if (form !== undefined) return `: ${FORMS[form][1]}`;
	if (type === "boolean") return ": it is true or false";
	if (choices !== undefined) return `: it is one of ${choices.join(", ")}`;
	if (type === "duration")
		return `: a time is in milliseconds, or as 500ms, 30s, 5m, 2h, 1d${most === MAX_32 ? ", at most 24d" : ""}`;
	if (type !== "number") return "";
	return `: it is a whole number, ${least < -1 ? "" : `${least} `}${most >= MAX_32 ? "or more" : `to ${most}`}`;
}

/** As C's gearman reads -p: atoi, and 4730 for nothing usable. */
function portNumber(text: string, invalid: (text: string) => GearmanError): string {
	const port = Number.parseInt(text, 10);
	if (port > 65_535) throw invalid(text);
	return port > 0 ? String(port) : "4730";
}

/** gearmand takes digits only; gearman and gearadmin blanks around them. */
function wholeNumber(text: string, mode: Mode): number | undefined {
	const trimmed = mode === "server" ? text : text.trim();
	return /^[+-]?\d+$/.test(trimmed) ? Number(trimmed) : undefined;
}

/**
 * gearmand's file: words as on the command line, over any number of lines, `#` to the end of a line a comment. Words
 * that are no options are passed over, as in C, but not in silence.
 */
async function readConfigFile(path: string | undefined): Promise<Given> {
	let text: string;
	try {
		text = readFileSync(path ?? DEFAULT_CONFIG_FILE, "utf8");
	} catch (error) {
		if (path === undefined) return NO_WORDS;
		throw new GearmanError("USAGE", `Could not open configuration file. ${path}: ${reasonOf(error)}`);
	}
	const file = path ?? DEFAULT_CONFIG_FILE;
	const words = text.split("\n").flatMap((line) => line.replace(/(^|\s)#.*/, "").split(/\s+/));
	const scanned = getopt(
		"server",
		words.filter((word) => word !== ""),
		{ keepsOperands: true },
	);
	try {
		const given = await read("server", { ...scanned, isPlain: false });
		for (const name of ["check-args", "config-file"]) {
			if (given.has(name)) throw new GearmanError("USAGE", `unrecognised option '--${name}'`);
		}
		for (const word of scanned.operands)
			process.stderr.write(`gearmand: ${file}: '${word}' is not an option: ignored\n`);
		return given;
	} catch (error) {
		throw error instanceof GearmanError ? new GearmanError("USAGE", `${error.message} in ${file}`) : error;
	}
}

// The configuration file: TOML, a section a mode, keys as the long options. Loaded by parse.ts only when there is a file.
//
//   [server]
//   listen = ["127.0.0.1", "unix:/run/gearman/socket"]
//   max-packet-size = "64M"

import { readFileSync } from "node:fs";
import { parse, TomlError } from "smol-toml";
import { GearmanError } from "../errors.ts";
import type { Option } from "../options.ts";
import { reasonOf } from "../reason.ts";

/** What the file says of an option: its texts, as on a command line, and where that stands. */
export interface Configured {
	readonly texts: string[];
	readonly where: string;
}

/**
 * The section of one mode. Adds to `problems` a sentence for each thing that is wrong, with file and line where they are
 * known. Throws GearmanError BAD_ARGUMENT for a file that cannot be read at all.
 */
export function readConfig(
	path: string,
	mode: string,
	modes: readonly string[],
	rows: Readonly<Record<string, Option>>,
	problems: string[],
): Map<string, Configured> {
	const text = readText(path);
	const refuse = (section: string, key: string | undefined, why: string): void => {
		problems.push(`${place(path, lineOf(text, section, key))}: ${why}`);
	};
	const document = parseText(path, text);
	for (const [section, table] of Object.entries(document)) {
		if (!modes.includes(section)) {
			refuse(
				section,
				undefined,
				`"${section}" is no section; there are ${modes.map((name) => `[${name}]`).join(", ")}`,
			);
		} else if (!isTable(table)) refuse(section, undefined, `"${section}" has to be a section: [${section}]`);
	}
	const configured = new Map<string, Configured>();
	const section = document[mode];
	for (const [key, value] of isTable(section) ? Object.entries(section) : []) {
		const why = whyNot(mode, key, value, Object.hasOwn(rows, key) ? rows[key] : undefined);
		if (why !== undefined) refuse(mode, key, why);
		else {
			configured.set(key, {
				texts: (Array.isArray(value) ? value : [value]).map(String),
				where: `"${key}" in ${place(path, lineOf(text, mode, key))}`,
			});
		}
	}
	return configured;
}

/** Why a key cannot have that value; undefined when it can, as far as its type goes. */
function whyNot(mode: string, key: string, value: unknown, option: Option | undefined): string | undefined {
	if (option === undefined) return `[${mode}] has no option "${key}"`;
	if (option.isAct || key === "config" || key === "config-file") {
		return `"${key}" belongs on the command line: it says what to do, not how`;
	}
	if (Array.isArray(value) && option.type !== "strings") return `"${key}" has one value, not a list`;
	const values = Array.isArray(value) ? value : [value];
	if (!values.every(isPlain)) return `"${key}" has to be a string, a number, true or false`;
	// TOML's 0o660 comes as 432, which would be read as an octal number once more.
	if (option.form === "mode" && typeof value !== "string") return `"${key}" has to be a string, as "0660"`;
	return undefined;
}

function readText(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch (error) {
		throw new GearmanError("BAD_ARGUMENT", `could not read the configuration file ${path}: ${reasonOf(error)}`, {
			cause: error,
		});
	}
}

function parseText(path: string, text: string): Record<string, unknown> {
	try {
		return parse(text);
	} catch (error) {
		if (!(error instanceof TomlError)) throw error;
		const why = error.message.split("\n", 1)[0]?.replace(/^Invalid TOML document: /, "");
		throw new GearmanError("BAD_ARGUMENT", `${place(path, error.line)}: this is not TOML: ${why}`, { cause: error });
	}
}

function place(path: string, line: number | undefined): string {
	return line === undefined ? path : `${path}, line ${line}`;
}

function isTable(value: unknown): value is Record<string, unknown> {
	return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function isPlain(value: unknown): boolean {
	return ["string", "number", "bigint", "boolean"].includes(typeof value);
}

/** The line of a key, or of its section; undefined when it is written in a way too clever for this. */
function lineOf(text: string, section: string, key: string | undefined): number | undefined {
	let current = "";
	const lines = text.split("\n");
	for (const [at, line] of lines.entries()) {
		const header = /^\s*\[+\s*"?([^"\].]+?)"?\s*\]/.exec(line)?.[1];
		if (header !== undefined) current = header;
		const [, name] = /^\s*"?([\w-]+)"?\s*[=.]/.exec(line) ?? [];
		if (
			key === undefined
				? header === section || (current === "" && name === section)
				: current === section && name === key
		)
			return at + 1;
	}
	return undefined;
}

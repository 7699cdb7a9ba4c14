// The slow road of parse.ts: yargs' parser, fed from options.ts, for command lines with long options and config files.

import { Parser } from "yargs/helpers";
import { type Mode, type Option, options } from "../options.ts";
import { type Given, takesValue } from "./getopt.ts";

const configuration = {
	"boolean-negation": false,
	"camel-case-expansion": false,
	"dot-notation": false,
	"parse-numbers": false,
	"parse-positional-numbers": false,
	"populate--": true,
};

/** Canonical words → what was given. Letters, operands and unknown words are getopt.ts' and never come here. */
export function parseWords(mode: Mode, words: readonly string[]): Given {
	const rows = Object.entries<Option>(options[mode]);
	const named = (is: (option: Option) => boolean): string[] =>
		rows.filter(([, option]) => is(option)).map(([name]) => name);
	const known = {
		boolean: named((option) => option.type === "boolean"),
		count: named((option) => option.type === "count"),
		string: named(takesValue),
		configuration,
	};
	// yargs takes a pair of quotes off what follows the "="; a second "=" in front keeps them.
	const argv: Record<string, unknown> = Parser(
		words.map((word) => word.replace("=", "==")),
		known,
	);
	const given: Given = new Map();
	for (const [name, option] of rows) {
		const value = argv[name];
		if (value === undefined || value === 0) continue;
		const values = Array.isArray(value) ? value.map(String) : [String(value)];
		if (option.type === "count") given.set(name, Array(Number(value)).fill("true"));
		else given.set(name, takesValue(option) ? values.map((text) => text.slice(1)) : values);
	}
	return given;
}

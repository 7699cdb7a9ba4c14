// The text of --help, laid out by yargs from options.ts: at build time, and at run time only from a tree that was not
// built (usage.ts).

import yargs from "yargs";
import { type Mode, type Option, options } from "../options.ts";

/** What may follow the name, line by line, in --help, README and man pages. */
export const SYNOPSES: Readonly<Record<Mode, readonly string[]>> = {
	client: ["gearman [OPTIONS] -f FUNCTION [WORKLOAD]...", "gearman --status HANDLE"],
	worker: ["gearman -w [OPTIONS] -f FUNCTION [COMMAND [ARGUMENT]...]"],
	server: ["gearmand [OPTIONS] [@FILE]", "gearman --server [OPTIONS]"],
	admin: ["gearadmin [OPTIONS]", "gearman --admin [OPTIONS]"],
};

/** What no option says: after the options in --help and in man pages. */
export const NOTES: Readonly<Record<Mode, string>> = {
	client:
		"Each WORKLOAD is a job; without any, standard input is the workload.\nOther modes: gearman -w --help (worker), gearman --server --help, gearman --admin --help.",
	worker:
		"COMMAND is run for each job, the workload on its standard input; without one, workloads are written to standard output.\nOnce -w and -f were given, the first operand is COMMAND and all after it belongs to it; before that, options may follow it.",
	server: "FILE holds more options, as on the command line, over any number of lines; # begins a comment.",
	admin: "Several questions may be asked at once. Options may be shortened: --stat.",
};

/** Command and meaning; in --help and man pages. */
export const EXAMPLES: Readonly<Record<Mode, readonly (readonly [string, string])[]>> = {
	client: [
		["gearman -f wc < FILE", "Run wc with the file as workload"],
		["gearman -f resize -b a.png b.png", "Queue two jobs and go"],
		["gearman -nf log < access.log", "A job a line"],
		["gearman -f wc --split 1000 < FILE", "1000 lines a job"],
	],
	worker: [
		["gearman -w -f wc wc -l", "Count lines"],
		["gearman -w -f resize -j 4 ./resize.sh", "Four at once"],
		["gearman -w -f up --keep -n ./up.sh", "One process, a job a line"],
	],
	server: [
		["gearmand -p 4731 -L 127.0.0.1", "Listen on this machine only"],
		["gearmand -d -P /run/gearmand.pid", "Run in the background"],
	],
	admin: [
		["gearadmin --status --workers", "Both lists"],
		["gearadmin --top", "Functions and workers, live"],
		["gearadmin -h queue1 --watch 2s --status", "Again every two seconds"],
	],
};

/** The text of --help, 80 columns. */
export async function renderHelp(mode: Mode): Promise<string> {
	const parser = yargs([]).locale("en").help(false).version(false).wrap(80);
	const rows = Object.entries<Option>(options[mode]).filter(([name, option]) => !option.hidden && name.length > 1);
	// Options without a heading of their own come last.
	for (const [name, option] of [...rows.filter(([, { group }]) => group), ...rows.filter(([, { group }]) => !group)]) {
		parser.option(option.arg === undefined ? name : `${name} ${option.arg}`, {
			describe: option.choices === undefined ? option.describe : `${option.describe}: ${option.choices.join(", ")}`,
			group: `${option.group ?? "Other"}:`,
			...(option.short === undefined ? {} : { alias: option.short }),
			...(option.default === undefined ? {} : { defaultDescription: String(option.default) }),
		});
	}
	for (const [command, meaning] of EXAMPLES[mode]) parser.example(command, meaning);
	parser.epilogue(NOTES[mode]);
	const [first, ...others] = SYNOPSES[mode];
	const usage = [`Usage: ${first}`, ...others.map((line) => `   or: ${line}`)].join("\n");
	// yargs takes a letter that is a digit for a word: "    --null, --0" → "-0, --null".
	const text = (await parser.getHelp()).replace(/^ {6}--(\S+), --(\d)/gm, "  -$2, --$1     ");
	return `${usage}\n\n${text}\n`;
}

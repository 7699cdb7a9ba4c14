// Man pages in mdoc(7), from options.ts and the notes and examples that --help shows.

import { EXAMPLES, NOTES, SYNOPSES } from "../../dist/cli/help.js";
import { variables } from "../../dist/cli/parse.js";
import { options } from "../../dist/options.js";

const PAGES = [
	{
		name: "gearman",
		section: 1,
		summary: "Gearman client and worker",
		about: [
			"With the default options a client: submits jobs to a job server, waits for them and prints what they return. With",
			"-w a worker: waits for jobs and runs a command for each.",
		],
		modes: { client: "CLIENT OPTIONS", worker: "WORKER OPTIONS" },
		exits: [
			["0", "All jobs are done."],
			["1", "A job failed, or the command line is wrong."],
			["69", "No job server could be reached, it was lost, or nobody can do the function (--require-worker)."],
			["70", "A bug of this program."],
			["75", "Timed out."],
			["Others", "That of the command of --reduce, when all else is done."],
		],
		also: ["gearadmin 1", "gearmand 8"],
	},
	{
		name: "gearadmin",
		section: 1,
		summary: "ask and change a Gearman job server",
		about: ["Sends administrative commands to a job server and prints the answers."],
		modes: { admin: "OPTIONS" },
		exits: [
			["0", "The server answered."],
			["1", "The server refused, or the command line is wrong."],
			["69", "No job server could be reached."],
			["75", "Timed out."],
		],
		also: ["gearman 1", "gearmand 8"],
	},
	{
		name: "gearmand",
		section: 8,
		summary: "Gearman job server",
		about: ["Takes jobs from clients, keeps them, and gives each to a worker that can do it."],
		modes: { server: "OPTIONS" },
		exits: [
			["0", "Ended by a signal or an administrator."],
			["1", "It could not start."],
			["70", "A bug of this program."],
		],
		also: ["gearadmin 1", "gearman 1"],
	},
];

/** Text → roff: backslashes, hyphens that are minus signs, and lines that would be requests. */
const roff = (text) =>
	text
		.replaceAll("\\", "\\e")
		.replaceAll("-", "\\-")
		.replace(/^([.'])/gm, "\\&$1");
/** One word or several as one argument of a macro. */
const argument = (text) => `"${roff(text).replaceAll('"', '""')}"`;
/** A sentence begins a line, as mdoc wants it, and no line is longer than 78 columns. */
const prose = (text) =>
	text
		.split("\n")
		.flatMap((line) => line.split(/(?<=\.) +(?=[A-Z])/))
		.flatMap((sentence) => sentence.match(/.{1,66}(?=\s|$)/g) ?? [])
		.map((line) => roff(line.trim()));

function spellings(name, option) {
	const words = [];
	if (option.short !== undefined) words.push(`Fl ${roff(option.short)}`);
	if (name.length > 1) words.push(`Fl \\-${roff(name)}`);
	const arg = option.arg === undefined ? "" : ` Ar ${argument(option.arg)}`;
	return `.It ${words.join(" , ")}${arg}`;
}

function optionList(mode) {
	const lines = [".Bl -tag -width Ds"];
	for (const [name, option] of Object.entries(options[mode])) {
		if (option.hidden) continue;
		lines.push(spellings(name, option), ...prose(`${option.describe}.`));
		if (option.choices !== undefined) lines.push(`One of ${roff(option.choices.join(", "))}.`);
		if (option.default !== undefined) lines.push(`Default: ${roff(String(option.default))}.`);
	}
	return [...lines, ".El"];
}

function environment(modes) {
	const named = new Map();
	for (const mode of modes) {
		for (const [name, option] of Object.entries(options[mode])) {
			if (!option.hidden && name.length > 1) for (const variable of variables(name, option)) named.set(variable, name);
		}
	}
	const items = [...named].sort().flatMap(([variable, name]) => [`.It Ev ${variable}`, `As`, `.Fl \\-${roff(name)} .`]);
	return ["Options not given are read from the environment.", ".Bl -tag -width Ds", ...items, ".El"];
}

function page({ name, section, summary, about, modes, exits, also }, date) {
	const keys = Object.keys(modes);
	const synopsis = keys
		.flatMap((mode) => SYNOPSES[mode])
		.map((line) => [".Nm", ...roff(line.replace(/^\S+ /, "")).split("\n")]);
	const lines = [
		`.\\" Made from the option table; not to be edited.`,
		`.Dd ${date}`,
		`.Dt ${name.toUpperCase()} ${section}`,
		".Os",
		".Sh NAME",
		`.Nm ${name}`,
		`.Nd ${summary}`,
		".Sh SYNOPSIS",
		...synopsis.flat(),
		".Sh DESCRIPTION",
		...prose(about.join(" ")),
		...keys.flatMap((mode) => [`.Sh ${modes[mode]}`, ...prose(NOTES[mode]), ...optionList(mode)]),
		".Pp",
		`A TIME is a number of milliseconds, or a number with ms, s, m, h or d after it.`,
		".Sh ENVIRONMENT",
		...environment(keys),
		...(keys.includes("worker") ? WORKER : []),
		...(name === "gearmand" ? SERVER : []),
		".Sh FILES",
		".Bl -tag -width Ds",
		".It Pa ~/.config/gearman/config.toml",
		".It Pa /etc/gearman/config.toml",
		"Options in TOML, a section a mode: the first that is there, unless",
		".Fl \\-config",
		"names another.",
		...(name === "gearmand"
			? [".It Pa /etc/gearmand.conf", "Options as on the command line, when there is such a file."]
			: []),
		".El",
		".Sh EXIT STATUS",
		".Bl -tag -width Ds",
		...exits.flatMap(([code, meaning]) => [`.It ${code}`, ...prose(meaning)]),
		".El",
		".Sh EXAMPLES",
		...keys
			.flatMap((mode) => EXAMPLES[mode])
			.flatMap(([command, meaning], at) => [...(at === 0 ? [] : [".Pp"]), `${roff(meaning)}:`, `.Dl ${roff(command)}`]),
		".Sh SEE ALSO",
		also.map((other) => `.Xr ${other}`).join(" ,\n"),
	];
	return `${lines.join("\n")}\n`;
}

/** What a worker tells its command, and how it ends. */
const WORKER = [
	".Pp",
	"The command of a worker is given",
	".Ev GEARMAN_FUNCTION , GEARMAN_HANDLE",
	"and",
	".Ev GEARMAN_UNIQUE .",
	"Lines such as 3/10 that it writes to the descriptor in",
	".Ev GEARMAN_STATUS_FD",
	"are its job's progress.",
	".Sh SIGNALS",
	"A worker that gets SIGTERM or SIGINT takes no more jobs,",
	"finishes those that run and exits 0;",
	"a second one kills them and gives them back.",
];

/** What the server makes of signals. */
const SERVER = [
	".Sh SIGNALS",
	".Bl -tag -width Ds",
	".It SIGTERM , SIGINT",
	"Stop: at once, or as",
	".Fl \\-drain\\-timeout",
	"says; a second one at once.",
	".It SIGUSR1 , SIGUSR2",
	"Take no more connections and jobs, and stop when the last job is done.",
	".It SIGHUP",
	"Open the log file anew and read the certificates again.",
	".El",
];

/** File name → text, of every man page. */
export function manPages() {
	const now =
		process.env.SOURCE_DATE_EPOCH === undefined ? new Date() : new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000);
	const date = new Intl.DateTimeFormat("en-US", { dateStyle: "long", timeZone: "UTC" }).format(now);
	return Object.fromEntries(PAGES.map((each) => [`${each.name}.${each.section}`, page(each, date)]));
}

// Completion for bash, zsh and fish: static files, for a shell that must not start Node at every TAB.
import { operations, options } from "../../dist/options.js";

const MODES = Object.keys(options);
const FILES = new Set(["FILE"]);

const rows = (mode) => Object.entries(options[mode]).filter(([, option]) => !option.hidden);
const hasValue = (option) => option.type !== "boolean" && option.type !== "count";
const words = ([name, option]) => [
	...(option.short ? [`-${option.short}`] : []),
	...(name.length > 1 ? [`--${name}`] : []),
];
const isRepeatable = (option) => option.type === "strings" || option.type === "count";

/** Flags by which plain `gearman` asks the job server. */
const ADMIN = rows("admin")
	.filter(([name]) => name === "admin" || (Object.hasOwn(operations, name) && name !== "status"))
	.map(([name]) => `--${name}`);

function bash() {
	const values = MODES.flatMap((mode) =>
		rows(mode)
			.filter(([, option]) => hasValue(option))
			.map((row) => {
				const patterns = words(row).map((word) => `${mode}:${word}`);
				const { choices, arg } = row[1];
				const found = choices ? `-W "${choices.join(" ")}"` : FILES.has(arg) ? "-f" : undefined;
				const reply = found === undefined ? "COMPREPLY=()" : `mapfile -t COMPREPLY < <(compgen ${found} -- "$current")`;
				return `\t${patterns.join(" | ")}) ${reply}; return ;;`;
			}),
	);
	return `# bash completion for gearman, gearmand and gearadmin; made from the option table
_gearman() {
	local mode=client word all current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
	case \${COMP_WORDS[0]##*/} in
	gearmand) mode=server ;;
	gearadmin) mode=admin ;;
	*)
		for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
			case $word in
			--) break ;;
			--server) mode=server; break ;;
			${ADMIN.join(" | ")}) mode=admin; break ;;
			-w | --worker) mode=worker ;;
			esac
		done
		;;
	esac
	# --option=value arrives as three words.
	if [[ $current == "=" ]]; then current=; elif [[ $previous == "=" ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}; fi
	case $mode:$previous in
${values.join("\n")}
	esac
	case $mode in
${MODES.map((mode) => `\t${mode}) all="${rows(mode).flatMap(words).join(" ")}" ;;`).join("\n")}
	esac
	if [[ $mode == client && $COMP_CWORD == 1 ]]; then all+=" -w --worker --server ${ADMIN.join(" ")}"; fi
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$all" -- "$current")
	elif [[ $mode == worker ]]; then
		mapfile -t COMPREPLY < <(compgen -c -- "$current")
	fi
}
complete -o default -F _gearman gearman gearmand gearadmin
`;
}

function zsh() {
	const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
	const plain = (text) => text.replace(/[\\[\]:]/g, "\\$&");
	const spec = (row) => {
		const [name, option] = row;
		const message = plain(option.arg ?? name);
		const action = option.choices ? `(${option.choices.join(" ")})` : FILES.has(option.arg) ? "_files" : " ";
		const value = hasValue(option) ? `:${message}:${action}` : "";
		return words(row).map((word) => {
			const others = isRepeatable(option) ? "*" : `(${words(row).join(" ")})`;
			const attached = hasValue(option) ? (word.startsWith("--") ? "=" : "+") : "";
			return quote(`${others}${word}${attached}[${plain(option.describe)}]${value}`);
		});
	};
	const operands = {
		client: quote("*:workload: "),
		worker: `${quote("(-):command:_command_names -e")} ${quote("*::argument:_normal")}`,
	};
	const cases = MODES.map(
		(mode) =>
			`\t${mode})\n\t\t_arguments -s -S \\\n${[...rows(mode).flatMap(spec), ...(operands[mode] ? [operands[mode]] : [])].map((line) => `\t\t\t${line}`).join(" \\\n")} ;;`,
	);
	return `#compdef gearman gearmand gearadmin
# zsh completion; made from the option table

local mode=client word
case \${service:t} in
	gearmand) mode=server ;;
	gearadmin) mode=admin ;;
	*)
		for word in "\${(@)words[2,CURRENT-1]}"; do
			case $word in
				--) break ;;
				--server) mode=server; break ;;
				${ADMIN.join("|")}) mode=admin; break ;;
				-w|--worker) mode=worker ;;
			esac
		done ;;
esac
case $mode in
${cases.join("\n")}
esac
`;
}

function fish() {
	const quote = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
	const isWorker = "__fish_seen_argument -s w -l worker";
	const isServer = "__fish_seen_argument -l server";
	const isAdmin = `__fish_seen_argument ${ADMIN.map((word) => `-l ${word.slice(2)}`).join(" ")}`;
	const line =
		(command, condition) =>
		([name, option]) => {
			const parts = [`complete -c ${command}`];
			if (condition !== undefined) parts.push(`-n ${quote(condition)}`);
			if (option.short) parts.push(`-s ${option.short}`);
			if (name.length > 1) parts.push(`-l ${name}`);
			if (option.choices) parts.push(`-x -a ${quote(option.choices.join(" "))}`);
			else if (hasValue(option)) parts.push(FILES.has(option.arg) ? "-r -F" : "-x");
			return `${parts.join(" ")} -d ${quote(option.describe)}`;
		};
	return `# fish completion for gearman, gearmand and gearadmin; made from the option table
${[
	...rows("client").map(line("gearman", `not ${isWorker}; and not ${isServer}; and not ${isAdmin}`)),
	...rows("worker").map(line("gearman", isWorker)),
	...rows("server").map(line("gearman", isServer)),
	...rows("admin").map(line("gearman", isAdmin)),
	`complete -c gearman -n '__fish_is_nth_token 1' -s w -l worker -d ${quote(options.worker.worker.describe)}`,
	`complete -c gearman -n '__fish_is_nth_token 1' -l server -d ${quote(options.server.server.describe)}`,
	`complete -c gearman -n '__fish_is_nth_token 1' -l admin -d ${quote(options.admin.admin.describe)}`,
	...rows("server").map(line("gearmand")),
	...rows("admin").map(line("gearadmin")),
].join("\n")}
`;
}

/** File name → text, as the shells look for them. */
export function completions() {
	return { "gearman.bash": bash(), _gearman: zsh(), "gearman.fish": fish() };
}

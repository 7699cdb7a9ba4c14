// A terminal that a program runs in and a test looks at: tmux, with a server of its own.

import { spawnSync } from "node:child_process";
import { until } from "./until.js";

export const hasTmux = spawnSync("tmux", ["-V"]).status === 0;
let lastNumber = 0;

/** Runs a shell command in a terminal of that size. */
export function openTerminal(t, command, { columns = 80, lines = 24 } = {}) {
	const socket = `gearman-test-${process.pid}-${++lastNumber}`;
	const tmux = (...args) => {
		const { stdout, stderr, status } = spawnSync("tmux", ["-L", socket, "-f", "/dev/null", ...args], {
			encoding: "utf8",
			env: { ...process.env, LC_ALL: "C.UTF-8" },
		});
		if (status !== 0) throw new Error(`tmux ${args[0]}: ${stderr}`);
		return stdout;
	};
	tmux("new-session", "-d", "-x", `${columns}`, "-y", `${lines}`, command);
	t.teardown(() => tmux("kill-server"));
	/** The screen's lines as they are now. */
	const screen = () => tmux("capture-pane", "-p").split("\n").slice(0, -1);
	return {
		screen,
		/** Waits until a line matches; the match. */
		async shows(pattern) {
			try {
				return await until(() =>
					screen()
						.map((line) => pattern.exec(line))
						.find((match) => match !== null),
				);
			} catch {
				throw new Error(`${pattern} is not on the screen:\n${screen().join("\n")}`);
			}
		},
		async hides(pattern) {
			await until(() => !screen().some((line) => pattern.test(line)), `a screen without ${pattern}`);
		},
		/** Keys by tmux's names; letters are themselves. */
		press: (...keys) => tmux("send-keys", ...keys),
		resize: (columns, lines) => tmux("resize-window", "-x", `${columns}`, "-y", `${lines}`),
		/** What tmux knows of the terminal, e.g. alternate_on. */
		is: (flag) => tmux("display-message", "-p", `#{${flag}}`).trim(),
	};
}

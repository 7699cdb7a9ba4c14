// The whole terminal for one program: its other screen, keys one by one, and everything as it was at the end, however the
// program ends. Frames are written in one go.

import { writeSync } from "node:fs";

const ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l";
/** Terminals that know this show a frame when it is whole; others pass it over. */
const BEGIN_FRAME = "\x1b[?2026h";
const END_FRAME = "\x1b[?2026l";
const STDOUT = 1;
const SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;

const KEYS: Readonly<Record<string, string>> = {
	"\x03": "ctrl-c",
	"\x1a": "ctrl-z",
	"\r": "enter",
	"\n": "enter",
	"\x7f": "backspace",
	"\b": "backspace",
	"\x1b": "escape",
	"\x1b[A": "up",
	"\x1bOA": "up",
	"\x1b[B": "down",
	"\x1bOB": "down",
	"\x1b[5~": "pageup",
	"\x1b[6~": "pagedown",
	"\x1b[H": "home",
	"\x1bOH": "home",
	"\x1b[1~": "home",
	"\x1b[F": "end",
	"\x1bOF": "end",
	"\x1b[4~": "end",
};
// biome-ignore lint/suspicious/noControlCharactersInRegex: keys are sent so
const KEY = /\x1b(?:\[[\d;]*[A-Za-z~]|O[A-Za-z])?|./gsu;

export class Terminal {
	readonly #onKey: (key: string) => void;
	readonly #onResize: () => void;
	readonly #leave = () => this.leave();
	#isIn = false;

	/** `onKey` gets a key's name or character, `onResize` is called when a frame has to be drawn anew. */
	constructor(onKey: (key: string) => void, onResize: () => void) {
		this.#onKey = onKey;
		this.#onResize = onResize;
	}

	get columns(): number {
		return process.stdout.columns || 80;
	}

	get lines(): number {
		return process.stdout.rows || 24;
	}

	enter(): void {
		process.on("exit", this.#leave);
		// Before whoever writes what went wrong: on this screen nobody would see it.
		process.prependListener("uncaughtException", this.#leave);
		for (const [signal, number] of Object.entries(SIGNALS)) {
			process.on(signal, () => {
				this.leave();
				process.exit(128 + number);
			});
		}
		process.stdout.on("resize", this.#onResize);
		process.stdin.setEncoding("utf8");
		process.stdin.on("data", (keys: string) => this.#take(keys));
		// The terminal is gone.
		process.stdin.on("end", () => this.#onKey("ctrl-c"));
		process.stdin.on("error", () => this.#onKey("ctrl-c"));
		this.#begin();
	}

	/** Puts everything back. Does no harm twice. */
	leave(): void {
		if (!this.#isIn) return;
		this.#isIn = false;
		try {
			process.stdin.setRawMode(false);
			writeSync(STDOUT, LEAVE);
		} catch {
			// There is no terminal any more.
		}
		process.stdin.pause();
	}

	/** Lines no wider than the terminal, and no more than it has. */
	show(lines: readonly string[]): void {
		if (!this.#isIn) return;
		const frame = lines.map((line) => `${line}\x1b[K`).join("\r\n");
		process.stdout.write(`${BEGIN_FRAME}\x1b[H${frame}\x1b[J${END_FRAME}`);
	}

	#begin(): void {
		this.#isIn = true;
		process.stdin.setRawMode(true);
		process.stdin.resume();
		process.stdout.write(ENTER);
	}

	#take(keys: string): void {
		for (const [key] of keys.matchAll(KEY)) {
			const name = KEYS[key] ?? key;
			if (name === "ctrl-z") this.#suspend();
			else if (!name.startsWith("\x1b")) this.#onKey(name);
		}
	}

	#suspend(): void {
		this.leave();
		process.once("SIGCONT", () => {
			this.#begin();
			this.#onResize();
		});
		process.kill(0, "SIGTSTP");
	}
}

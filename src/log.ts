// The server's log: one line an event, a no-op for levels that are off. Lines of one turn leave in one write.
// Lines look as gearmand's do:  "   INFO 2026-01-31 09:05:00.123000 [  main ] Listening on 0.0.0.0:4730"
// or are JSON:  {"time":"2026-01-31T08:05:00.123Z","level":"info","message":"Listening on 0.0.0.0:4730"}
// In the systemd journal, which has time and level of its own:  "<6>Listening on 0.0.0.0:4730"
// Names are in it, and sizes; what is in a job never is.

import { isUtf8 } from "node:buffer";
import { closeSync, fstatSync, openSync, writeSync } from "node:fs";

/** From the gravest to the chattiest. A log at a level writes that level and those before it. */
export const LEVELS = ["FATAL", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"] as const;
export type Level = (typeof LEVELS)[number];

export type LogFormat = "text" | "json";

/** What a line is about: fields of their own in JSON. In text the message says all of it. */
export interface LogFields {
	/** Address and port. */
	readonly peer?: string;
	/** Its handle. */
	readonly job?: string;
	readonly function?: string;
	readonly unique?: string;
}

const STDERR = 2;

export class Log {
	readonly level: Level;
	/** Ask before building a costly line. */
	readonly isNotice: boolean;
	readonly isDebug: boolean;
	readonly #format: LogFormat;
	readonly #isJournal: boolean;
	readonly #path: string | undefined;
	readonly #also: ((level: Level, line: string) => void) | undefined;
	/** Kinds of errorOnceASecond(), which are few and fixed: when a line was written, and how many were not since. */
	readonly #floods = new Map<string, { lastMs: number; skipped: number }>();
	#fd: number | undefined;
	#lines: string[] = [];
	#lostBytes = 0;
	#isScheduled = false;

	/**
	 * `file`: a path, "stderr" or "none". `also` gets every line too (syslog).
	 * Throws the file system's error when the path cannot be opened.
	 */
	constructor(
		level: Level = "ERROR",
		file = "none",
		also?: (level: Level, line: string) => void,
		format: LogFormat = "text",
	) {
		this.level = level;
		this.#format = format;
		this.isNotice = LEVELS.indexOf(level) >= LEVELS.indexOf("NOTICE");
		this.isDebug = level === "DEBUG";
		this.#also = also;
		this.#path = file === "stderr" || file === "none" ? undefined : file;
		this.#isJournal = file === "stderr" && isJournal(STDERR);
		if (file === "stderr") this.#fd = STDERR;
		else if (this.#path !== undefined) this.#fd = openSync(this.#path, "a", 0o640);
	}

	fatal(line: string): void {
		this.#write("FATAL", line);
	}

	error(line: string): void {
		this.#write("ERROR", line);
	}

	warning(line: string, fields?: LogFields): void {
		this.#write("WARNING", line, fields);
	}

	/** What the operator has to know once: written at every level. */
	caution(line: string): void {
		this.#append("WARNING", line);
	}

	/** For what may come in floods: lines of one kind at most once a second. */
	errorOnceASecond(line: string, kind = line): void {
		const nowMs = Date.now();
		const flood = this.#floods.get(kind) ?? { lastMs: 0, skipped: 0 };
		this.#floods.set(kind, flood);
		if (nowMs - flood.lastMs < 1000) flood.skipped++;
		else {
			this.error(flood.skipped === 0 ? line : `${line} (and ${flood.skipped} like it before)`);
			flood.lastMs = nowMs;
			flood.skipped = 0;
		}
	}

	notice(line: string, fields?: LogFields): void {
		if (this.isNotice) this.#write("NOTICE", line, fields);
	}

	info(line: string, fields?: LogFields): void {
		this.#write("INFO", line, fields);
	}

	debug(line: string, fields?: LogFields): void {
		if (this.isDebug) this.#write("DEBUG", line, fields);
	}

	/** Opens the log file anew (after it was moved away). Goes on with the old one when that fails. */
	reopen(): void {
		this.notice("SIGHUP, reopening log file");
		this.flush();
		if (this.#path === undefined || this.#fd === undefined) return;
		const old = this.#fd;
		this.#fd = openSync(this.#path, "a", 0o640);
		closeSync(old);
	}

	/** Writes what has gathered. */
	flush(): void {
		this.#isScheduled = false;
		if (this.#lines.length === 0) return;
		const lost = this.#lostBytes;
		if (lost > 0) this.#lines.unshift(this.#line("ERROR", `(${lost} bytes of log could not be written)`));
		// A line of text is bytes: names from the wire are latin1 strings of their bytes.
		const bytes = Buffer.from(`${this.#lines.join("\n")}\n`, this.#format === "json" ? "utf8" : "latin1");
		this.#lostBytes = 0;
		this.#lines = [];
		if (this.#fd === undefined) return;
		let at = 0;
		try {
			while (at < bytes.length) at += writeSync(this.#fd, bytes, at);
		} catch {
			// Disk full, or whoever reads our stderr is slow or gone: no reason to end the server, and nowhere to say so
			// now. What is left of these lines is lost; the next write that works says that.
			this.#lostBytes += bytes.length - at;
		}
	}

	#write(level: Level, message: string, fields?: LogFields): void {
		if (LEVELS.indexOf(level) <= LEVELS.indexOf(this.level)) this.#append(level, message, fields);
	}

	#append(level: Level, message: string, fields?: LogFields): void {
		this.#also?.(level, message);
		if (this.#fd === undefined) return;
		this.#lines.push(this.#line(level, message, fields));
		if (this.#lines.length >= 512) this.flush();
		else if (!this.#isScheduled) {
			this.#isScheduled = true;
			setImmediate(() => this.flush());
		}
	}

	#line(level: Level, message: string, fields?: LogFields): string {
		// Not above "critical": the journal shows what is graver to everybody who is logged in.
		const prefix = this.#isJournal ? `<${Math.max(LEVELS.indexOf(level), LEVELS.indexOf("CRITICAL"))}>` : "";
		if (this.#format === "text") {
			const text = message.replace(/[\r\n]+/g, " ");
			return this.#isJournal ? prefix + text : `${level.padStart(7)} ${timestamp()} [  main ] ${text}`;
		}
		const line = { time: new Date().toISOString(), level: level.toLowerCase(), message, ...fields };
		return prefix + JSON.stringify(line, (_, value) => (typeof value === "string" ? decoded(value) : value));
	}
}

/** Whether systemd has connected this descriptor with its journal, and nobody has redirected it since. */
function isJournal(fd: number): boolean {
	const stream = process.env.JOURNAL_STREAM;
	if (!stream) return false;
	const { dev, ino } = fstatSync(fd);
	return stream === `${dev}:${ino}`;
}

/** The bytes a latin1 string stands for, as text where they are; what is text already stays so. */
function decoded(text: string): string {
	if (!/^[\0-\xff]*$/.test(text) || /^[\0-\x7f]*$/.test(text)) return text;
	const bytes = Buffer.from(text, "latin1");
	return isUtf8(bytes) ? bytes.toString() : text;
}

/** Local time as YYYY-MM-DD HH:MM:SS.uuuuuu. */
function timestamp(): string {
	const now = new Date();
	const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
	return `${local.toISOString().slice(0, 23).replace("T", " ")}000`;
}

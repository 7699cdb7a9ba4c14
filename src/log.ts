// The server's log: one line an event, a no-op for levels that are off. Lines of one turn leave in one write.
// Lines look as gearmand's do:  "   INFO 2026-01-31 09:05:00.123000 [  main ] Listening on 0.0.0.0:4730"

import { closeSync, openSync, writeSync } from "node:fs";

/** From the gravest to the chattiest. A log at a level writes that level and those before it. */
export const LEVELS = ["FATAL", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"] as const;
export type Level = (typeof LEVELS)[number];

const STDERR = 2;

export class Log {
	readonly level: Level;
	/** Ask before building a costly line. */
	readonly isNotice: boolean;
	readonly isDebug: boolean;
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
	constructor(level: Level = "ERROR", file = "none", also?: (level: Level, line: string) => void) {
		this.level = level;
		this.isNotice = LEVELS.indexOf(level) >= LEVELS.indexOf("NOTICE");
		this.isDebug = level === "DEBUG";
		this.#also = also;
		this.#path = file === "stderr" || file === "none" ? undefined : file;
		if (file === "stderr") this.#fd = STDERR;
		else if (this.#path !== undefined) this.#fd = openSync(this.#path, "a", 0o640);
	}

	fatal(line: string): void {
		this.#write("FATAL", line);
	}

	error(line: string): void {
		this.#write("ERROR", line);
	}

	warning(line: string): void {
		this.#write("WARNING", line);
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

	notice(line: string): void {
		if (this.isNotice) this.#write("NOTICE", line);
	}

	info(line: string): void {
		this.#write("INFO", line);
	}

	debug(line: string): void {
		if (this.isDebug) this.#write("DEBUG", line);
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
		// A line is bytes: names from the wire are latin1 strings of their bytes.
		if (this.#lostBytes > 0) this.#lines.unshift(`(${this.#lostBytes} bytes of log could not be written)`);
		const bytes = Buffer.from(`${this.#lines.join("\n")}\n`, "latin1");
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

	#write(level: Level, message: string): void {
		if (LEVELS.indexOf(level) <= LEVELS.indexOf(this.level)) this.#append(level, message);
	}

	#append(level: Level, message: string): void {
		this.#also?.(level, message);
		if (this.#fd === undefined) return;
		this.#lines.push(`${level.padStart(7)} ${timestamp()} [  main ] ${message.replace(/[\r\n]+/g, " ")}`);
		if (this.#lines.length >= 512) this.flush();
		else if (!this.#isScheduled) {
			this.#isScheduled = true;
			setImmediate(() => this.flush());
		}
	}
}

/** Local time as YYYY-MM-DD HH:MM:SS.uuuuuu. */
function timestamp(): string {
	const now = new Date();
	const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
	return `${local.toISOString().slice(0, 23).replace("T", " ")}000`;
}

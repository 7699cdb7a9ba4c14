// `gearman --top`: functions and workers, live in the terminal, by the admin text protocol: also of C's server, which
// tells less. Asks, draws, and listens to keys; what the screen looks like is top-screen.ts' business.

import { Admin } from "../admin/admin.ts";
import { GearmanError } from "../errors.ts";
import { nameOf } from "../net/connection.ts";
import type { Options } from "../options.ts";
import { serversOf } from "./servers.ts";
import { Terminal } from "./terminal.ts";
import { type Answers, type Reading, type Row, read, rowsOf } from "./top-reading.ts";
import { compare, type Seen, SORTS, screen, type View } from "./top-screen.ts";

const INTERVAL_MS = 2000;
/** Times of jobs are those of this long. */
const TIMES_MS = 10_000;
const HISTORY = 500;

/** The exit code. */
export async function run(options: Options<"admin">): Promise<number> {
	if (!process.stdin.isTTY || !process.stdout.isTTY) {
		const instead = "--status, --workers and --metrics print once, or again by --watch";
		throw new GearmanError("BAD_ARGUMENT", `--top needs a terminal; ${instead}`);
	}
	const admins = serversOf(options).map((server) => new Admin(server, { timeoutMs: options.timeout }));
	const top = new Top(admins, options.watch ?? INTERVAL_MS);
	const terminal = new Terminal(
		(key) => top.press(key),
		() => top.draw(),
	);
	try {
		return await top.run(terminal);
	} finally {
		terminal.leave();
		for (const admin of admins) admin.close();
	}
}

type Changing<T> = { -readonly [K in keyof T]: T[K] };

class Top {
	readonly #admins: readonly Admin[];
	readonly #view: Changing<Omit<View, "columns" | "lines">>;
	#terminal: Terminal | undefined;
	/** As long as times look back, oldest first. */
	#readings: Reading[] = [];
	#troubles: string[] = [];
	#history: (number | undefined)[] = [];
	/** As last listed. */
	#rows: Row[] = [];
	/** The name of the selected row: it stays selected wherever it goes. */
	#selectedName: string | undefined;
	/** Servers that have said that they know no `metrics`. */
	readonly #without = new Set<Admin>();
	#isOver = false;
	#setOver: () => void = () => {};
	readonly #over = new Promise<void>((resolve) => {
		this.#setOver = resolve;
	});
	#wake: () => void = () => {};

	constructor(admins: readonly Admin[], intervalMs: number) {
		this.#admins = admins;
		this.#view = {
			sort: "activity",
			filter: "",
			isTyping: false,
			showsHelp: false,
			workers: "selected",
			selected: 0,
			intervalMs,
		};
	}

	async run(terminal: Terminal): Promise<number> {
		this.#terminal = terminal;
		terminal.enter();
		this.draw();
		while (!this.#isOver) {
			await Promise.race([this.#ask(), this.#over]);
			this.draw();
			await Promise.race([this.#rest(), this.#over]);
		}
		return 0;
	}

	/** One key, by its name or character. */
	press(key: string): void {
		const view = this.#view;
		if (key === "ctrl-c") this.#end();
		else if (view.showsHelp) view.showsHelp = false;
		else if (view.isTyping) this.#type(key);
		else if (key === "q") this.#end();
		else if (key === "?" || key === "h") view.showsHelp = true;
		else if (key === "/") view.isTyping = true;
		else if (key === "escape") view.filter = "";
		else if (key === "s" || key === "S") {
			const by = key === "s" ? 1 : SORTS.length - 1;
			view.sort = SORTS[(SORTS.indexOf(view.sort) + by) % SORTS.length];
		} else if (key === "w") {
			view.workers = view.workers === "selected" ? "all" : view.workers === "all" ? "none" : "selected";
		} else if (key === " ") this.#wake();
		else this.#move(key);
		this.draw();
	}

	/** Puts what is known on the screen. */
	draw(): void {
		const terminal = this.#terminal;
		if (terminal === undefined || this.#isOver) return;
		const now = this.#readings.at(-1);
		const before = this.#readings.at(-2);
		const filter = this.#view.filter.toLowerCase();
		const all = now === undefined ? [] : rowsOf(now, before, this.#readings[0]);
		this.#rows = all.filter(({ name }) => name.toLowerCase().includes(filter)).sort(compare(this.#view.sort));
		const found = this.#rows.findIndex(({ name }) => name === this.#selectedName);
		if (found >= 0) this.#view.selected = found;
		this.#select(this.#view.selected, this.#selectedName !== undefined);
		const seen: Seen = {
			servers: this.#admins.map(({ address }) => nameOf(address)),
			troubles: this.#troubles,
			now,
			before,
			rows: this.#rows,
			history: this.#history,
			clock: new Date().toTimeString().slice(0, 8),
		};
		terminal.show(screen(seen, { ...this.#view, columns: terminal.columns, lines: terminal.lines }));
	}

	/** Asks all servers; those that are away are asked again the next time. */
	async #ask(): Promise<void> {
		const results = await Promise.allSettled(this.#admins.map((admin) => this.#answersOf(admin)));
		const answers: Answers[] = [];
		const troubles: string[] = [];
		for (const [i, result] of results.entries()) {
			if (result.status === "fulfilled") answers.push(result.value);
			else if (result.reason instanceof GearmanError) {
				const { message } = result.reason;
				const server = nameOf(this.#admins[i].address);
				troubles.push(`No answer, trying again: ${message.includes(server) ? message : `${server}: ${message}`}`);
				// It may be another server when it is back.
				this.#without.delete(this.#admins[i]);
			} else throw result.reason;
		}
		this.#troubles = troubles;
		if (answers.length > 0) this.#take(read(Date.now(), answers));
	}

	async #answersOf(admin: Admin): Promise<Answers> {
		const [status, workers, samples] = await Promise.all([
			admin.status(),
			admin.workers(),
			this.#without.has(admin) ? undefined : admin.metrics().catch((error) => this.#hasNone(admin, error)),
		]);
		return { status, workers, samples };
	}

	#hasNone(admin: Admin, error: unknown): undefined {
		if (!(error instanceof GearmanError) || error.code !== "SERVER_ERROR") throw error;
		this.#without.add(admin);
	}

	#take(reading: Reading): void {
		const before = this.#readings.at(-1);
		this.#readings.push(reading);
		while (this.#readings.length > 2 && reading.atMs - this.#readings[1].atMs >= TIMES_MS) this.#readings.shift();
		const rows = rowsOf(reading, before, undefined);
		const has = (key: "out" | "queued") => rows.some((row) => row[key] !== undefined);
		const key = reading.facts === undefined ? "queued" : "out";
		this.#history.push(has(key) ? rows.reduce((sum, row) => sum + (row[key] ?? 0), 0) : undefined);
		if (this.#history.length > HISTORY) this.#history.shift();
	}

	/** Until it is time to ask again, or a key says so. */
	async #rest(): Promise<void> {
		await new Promise<void>((resolve) => {
			const timer = setTimeout(resolve, this.#view.intervalMs);
			this.#wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});
		this.#wake = () => {};
	}

	#type(key: string): void {
		const view = this.#view;
		if (key === "enter") view.isTyping = false;
		else if (key === "escape") {
			view.isTyping = false;
			view.filter = "";
		} else if (key === "backspace") view.filter = [...view.filter].slice(0, -1).join("");
		else if ([...key].length === 1) view.filter += key;
	}

	#move(key: string): void {
		const page = Math.max(1, Math.floor((this.#terminal?.lines ?? 24) / 3));
		const steps: Readonly<Record<string, number>> = {
			j: 1,
			down: 1,
			k: -1,
			up: -1,
			pagedown: page,
			pageup: -page,
			home: Number.NEGATIVE_INFINITY,
			g: Number.NEGATIVE_INFINITY,
			end: Number.POSITIVE_INFINITY,
			G: Number.POSITIVE_INFINITY,
		};
		if (key in steps) this.#select(this.#view.selected + steps[key], true);
	}

	/** `isMeant`: this row, wherever it goes; otherwise whichever is there. */
	#select(index: number, isMeant: boolean): void {
		this.#view.selected = Math.max(0, Math.min(this.#rows.length - 1, index));
		if (isMeant) this.#selectedName = this.#rows[this.#view.selected]?.name ?? this.#selectedName;
	}

	#end(): void {
		this.#isOver = true;
		this.#setOver();
	}
}

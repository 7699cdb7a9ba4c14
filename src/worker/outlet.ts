// Where a command writes to and we read from: its stdout and its status. A pipe without a name that is used again for job
// after job, and read in one go when the command has exited; only one that runs for longer, or writes more than a pipe
// holds, is listened to. Called by command.ts. Where there is no mkfifo(1) or no /proc it is Node's own pipe, a new one
// each time.
//
// Measured, 100 bytes through cat (Node 20.20): 0.82 ms of CPU a job in the worker instead of 1.27, of which 0.22 are for
// the pipe and 0.23 for not listening; the fork is most of the rest. And Node's own pipes are sockets, which cannot be
// opened by name: a command that opens /dev/stdout would fail with ENXIO.

import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fastFolder } from "./stdin.ts";

/** Takes a chunk; returns a promise when the next should wait until it resolves. */
type Write = (chunk: Buffer) => Promise<void> | undefined;

/** As much as a pipe holds. */
const chunk = Buffer.allocUnsafeSlow(64 * 1024);
const READ = constants.O_RDONLY | constants.O_NONBLOCK;
let isUnable = false;

/** Makes outlets, each to be used by one command at a time. */
export function makeOutlets(wanted: number): Outlet[] {
	const pipes = isUnable ? [] : makePipes(wanted);
	return Array.from({ length: wanted }, (_, at) => new Outlet(pipes[at]));
}

export class Outlet {
	/** The pipe's reading end; undefined: Node makes one. */
	#reader: number | undefined;
	#writer: number | undefined;
	#stream: Readable | undefined;
	#hasEnded = false;

	constructor(reader: number | undefined) {
		this.#reader = reader;
	}

	/** What spawn() is to give to the command. */
	open(): number | "pipe" {
		this.#hasEnded = false;
		if (this.#reader === undefined) return "pipe";
		// The one writing end there is: once the command has closed it, the pipe has ended.
		this.#writer = openSync(pathOf(this.#reader), constants.O_WRONLY);
		return this.#writer;
	}

	/** The command has it, or never will; `stream` is what spawn() made of "pipe". */
	handOver(stream?: Readable | null): void {
		this.#stream = stream ?? undefined;
		if (this.#writer !== undefined) closeSync(this.#writer);
		this.#writer = undefined;
	}

	/** Node's own pipe: what is in it when the command exits is lost unless somebody listens. */
	get mustListen(): boolean {
		return this.#stream !== undefined;
	}

	/** Reads what has been written so far. True when nobody is left to write more. */
	drain(write: Write): boolean {
		if (this.#reader === undefined || this.#stream !== undefined) return false;
		try {
			for (let length = readSync(this.#reader, chunk); length > 0; length = readSync(this.#reader, chunk)) {
				write(Buffer.from(chunk.subarray(0, length)));
			}
			this.#hasEnded = true;
		} catch {
			// EAGAIN: empty, and somebody may write more.
		}
		return this.#hasEnded;
	}

	/** Reads as it comes. Resolves when nobody is left to write more, or it was closed. */
	listen(write: Write): Promise<void> {
		if (this.#reader !== undefined) {
			// It closes its descriptor at the end, so the next command's is another. Not the other way round: Linux tells
			// the end only to a reader that was there before the writer.
			const fd = this.#reader;
			this.#reader = openSync(pathOf(fd), READ);
			this.#stream = new Socket({ fd, readable: true, writable: false });
		}
		const stream = this.#stream;
		if (stream === undefined) return Promise.resolve();
		stream.on("data", (bytes: Buffer) => {
			const written = write(bytes);
			if (written === undefined) return;
			stream.pause();
			void written.then(() => stream.resume());
		});
		return new Promise((resolve) => {
			stream.on("error", () => undefined);
			stream.once("end", () => {
				this.#hasEnded = true;
			});
			stream.once("close", resolve);
		});
	}

	/** Whether it can be used again: not while somebody may still write to it. */
	close(): boolean {
		const stream = this.#stream;
		this.#stream = undefined;
		stream?.destroy();
		if (this.#reader === undefined) return false;
		if (this.#hasEnded || this.drain(() => undefined)) return true;
		closeSync(this.#reader);
		return false;
	}
}

/** Named pipes, opened and then relieved of their names: nothing is left behind, however we end. */
function makePipes(wanted: number): number[] {
	const pipes: number[] = [];
	let folder: string | undefined;
	try {
		folder = mkdtempSync(join(fastFolder(), "gearman-"));
		const at = folder;
		const paths = Array.from({ length: wanted }, (_, number) => join(at, String(number)));
		execFileSync("mkfifo", ["-m", "600", ...paths], { stdio: "ignore" });
		for (const path of paths) pipes.push(openSync(path, READ));
		for (const pipe of pipes) closeSync(openSync(pathOf(pipe), READ));
		return pipes;
	} catch {
		isUnable = true;
		for (const pipe of pipes) closeSync(pipe);
		return [];
	} finally {
		if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
	}
}

/** Opens a pipe's other end, or the same again. */
function pathOf(descriptor: number): string {
	return `/proc/self/fd/${descriptor}`;
}

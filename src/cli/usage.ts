// What the program says about itself: --help, --version, and how a command line goes wrong, each in its mode's shape.
// Help is laid out by yargs at build time into dist/help, so that printing it does not have to wait for yargs.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { Mode } from "../options.ts";

const HOMEPAGE = "https://www.npmjs.com/package/gearman";

/** The name the program was called by. */
export const calledAs = basename(process.argv[1] ?? "gearman");

export async function helpOf(mode: Mode): Promise<string> {
	try {
		return readFileSync(new URL(`../help/${mode}.txt`, import.meta.url), "utf8");
	} catch {
		return (await import("./help.ts")).renderHelp(mode);
	}
}

export function versionOf(mode: Mode): string {
	const { version }: { version: string } = JSON.parse(
		readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
	);
	return mode === "server" ? `\ngearmand ${version} - ${HOMEPAGE}\n` : `${calledAs} ${version}\n`;
}

/**
 * Prints what is wrong with the command line, in the shape of C's program of that mode, and resolves to exit code 1. The
 * options are not all listed: what is wrong would scroll away.
 */
export async function usage(mode: Mode, text: string): Promise<number> {
	if (mode === "server") process.stderr.write(`${calledAs}: ${text}\n`);
	else if (mode === "admin") process.stderr.write(`${calledAs} : ${text}\n\n${await synopsisOf(mode)}`);
	else process.stderr.write(`\n${calledAs}\tError in usage(${text}).\n\n${await synopsisOf(mode)}`);
	return 1;
}

/** The first lines of --help, and where the others are. */
async function synopsisOf(mode: Mode): Promise<string> {
	const [synopsis] = (await helpOf(mode)).split("\n\n", 1);
	const help = { client: "--help", worker: "-w --help", server: "--server --help", admin: "--admin --help" }[mode];
	return `${synopsis}\n${calledAs} ${calledAs === "gearman" ? help : "--help"} lists the options.\n`;
}

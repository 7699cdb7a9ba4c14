// Sizes as people write them: 1048576, 64K, 1M, 2G.

import { GearmanError } from "../errors.ts";

const UNITS: Record<string, number> = { "": 1, K: 1 << 10, M: 1 << 20, G: 1 << 30 };

/** Bytes. Throws GearmanError BAD_ARGUMENT, naming the option. */
export function sizeInBytes(option: string, text: string): number {
	const [, digits, unit] = /^(\d+)([KMG]?)B?$/i.exec(text.trim()) ?? [];
	const bytes = Number(digits) * UNITS[unit?.toUpperCase() ?? ""];
	if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
	throw new GearmanError(
		"BAD_ARGUMENT",
		`the argument ('${text}') for option '--${option}' is invalid: a size is in bytes, or as 64K, 8M, 1G`,
	);
}

// The admin protocol's lines: words separated by blanks, replies of one line or of many ended by a line with a dot.

/** The words of a line; blanks in front, behind and between count for nothing. */
export function words(line: string): string[] {
	return line.split(" ").filter((word) => word !== "");
}

/** Commands whose reply is a list ended by ".": all others answer one line. */
const LISTS = ["status", "prioritystatus", "workers", "show jobs", "show unique jobs"];

/** True when the reply to this line is a list. */
export function hasListReply(line: string): boolean {
	const text = words(line).join(" ").toLowerCase();
	return LISTS.some((command) => text === command || text.startsWith(`${command} `));
}

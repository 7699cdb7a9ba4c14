// Why the system refused something, in words: what Node throws for sockets, files and programs → the end of a sentence.
// Used by everybody who tells a user about it, so that nobody is shown an error of Node's or OpenSSL's as it is.

const REASONS: Readonly<Record<string, string>> = {
	E2BIG: "arguments and environment too long",
	EACCES: "permission denied",
	EADDRNOTAVAIL: "address not available",
	EAGAIN: "too many processes",
	EAI_AGAIN: "the host name could not be looked up",
	ECONNABORTED: "connection aborted",
	ECONNREFUSED: "connection refused",
	ECONNRESET: "connection reset by peer",
	EHOSTUNREACH: "no route to host",
	EISDIR: "it is a directory",
	EMFILE: "too many open files",
	ENETUNREACH: "network unreachable",
	ENOENT: "no such file",
	ENOTDIR: "not a directory",
	ENOTFOUND: "host name not found",
	EPIPE: "connection closed by peer",
	ETIMEDOUT: "timed out",
};

/** What to say of a file that is to be written: it is the folder that is not there. */
export const WRITING: Readonly<Record<string, string>> = { ENOENT: "no such directory" };

/** `instead` has the words of the codes that mean more here than elsewhere. */
export function reasonOf(error: unknown, instead: Readonly<Record<string, string>> = {}): string {
	if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0], instead);
	if (!(error instanceof Error)) return String(error);
	const code = "code" in error && typeof error.code === "string" ? error.code : "";
	// "ENOSPC: no space left on device, write" and "80…:error:0A…:SSL routines:f:no shared cipher:…" have it in the middle.
	const inside = /^E[A-Z0-9]+: (.+?), \w+|:SSL routines:[^:]*:([^:]*)/.exec(error.message);
	return instead[code] ?? REASONS[code] ?? inside?.[1] ?? inside?.[2] ?? error.message;
}

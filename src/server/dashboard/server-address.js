// The command line that reaches this server.

/** "gearman", with -h and -p where the server is not where gearman looks by itself. */
export function gearman({ port }) {
	const host = location.hostname;
	const isHere = ["localhost", "127.0.0.1", "[::1]", ""].includes(host);
	return ["gearman", !isHere && `-h ${host}`, port !== 4730 && port > 0 && `-p ${port}`].filter(Boolean).join(" ");
}

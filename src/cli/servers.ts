// The job servers a command line names: -h, -p and the TLS options, alike in client, worker and admin.

import { GearmanError } from "../errors.ts";
import { DEFAULT_PORT, parseServers, type ServerAddress } from "../net/connection.ts";

export interface ConnectionOptions {
	host: readonly string[];
	port: string;
	ssl: boolean;
	"ssl-ca-file": string | undefined;
	"ssl-certificate": string | undefined;
	"ssl-key": string | undefined;
}

/** Throws GearmanError BAD_ARGUMENT. */
export function serversOf(options: ConnectionOptions): ServerAddress[] {
	const tls = options.ssl
		? {
				caFile: options["ssl-ca-file"],
				certificateFile: options["ssl-certificate"],
				keyFile: options["ssl-key"],
			}
		: undefined;
	return parseServers(options.host, portOf(options.port), tls);
}

/** "4730", " 4730" (as in `-p " 4730"`) or the service name; 0 is the default, as in C. */
function portOf(text: string): number {
	const port = text.trim();
	if (port === "" || port === "gearman" || /^0+$/.test(port)) return DEFAULT_PORT;
	if (!/^\d+$/.test(port)) throw new GearmanError("BAD_ARGUMENT", `"${text}" is not a port`);
	return Number(port);
}

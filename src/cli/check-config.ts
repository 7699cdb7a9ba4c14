// `gearman --server --check-config`: whether the server would start with these options, as far as that can be told while
// another one runs: nothing is listened on, and no file is made.

import { accessSync, constants, existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Options } from "../options.ts";
import { reasonOf, WRITING } from "../reason.ts";
import { nameOf, parseEndpoint, resolveEndpoints } from "../server/endpoint.ts";
import { loadProtocol } from "../server/protocols/index.ts";
import type { Server } from "../server/server.ts";
import { keepsFiles, loadStore } from "../server/stores/index.ts";

/** Prints a line for each part, and resolves to the exit code. */
export async function checkConfig(server: Server, options: Options<"server">): Promise<number> {
	const { listen, adminListen, httpListen, protocols, port, queueType, storeOptions, tls } = server.options;
	let code = 0;
	const check = async (part: string, look: () => Promise<string> | string): Promise<void> => {
		try {
			process.stdout.write(`${part}: ${await look()}\n`);
		} catch (error) {
			process.stdout.write(`${part}: NOT GOOD: ${reasonOf(error)}\n`);
			code = 1;
		}
	};
	const addresses = async (texts: readonly string[]): Promise<string> => {
		const endpoints = await resolveEndpoints(texts.map(parseEndpoint));
		return endpoints.map((at) => nameOf("host" in at ? { ...at, port: at.port ?? port } : at)).join(", ");
	};
	await check("listen", () => addresses(listen));
	if (adminListen.length > 0) await check("admin-listen", () => addresses(adminListen));
	if (httpListen.length > 0) await check("http-listen", () => addresses(httpListen));
	for (const name of protocols) {
		await check(`protocol ${name}`, async () => {
			if ((await loadProtocol(name)) === undefined) throw new Error("there is no such protocol");
			return "good";
		});
	}
	await check("TLS", async () => {
		await server.gate.open();
		if (tls === undefined) return options["ssl-certificate"] === undefined ? "none" : "none: there is no --ssl";
		const why = (await import("../net/tls.ts")).whyNotNow(tls.certificateFile);
		if (why !== undefined) throw new Error(why);
		if (tls.caFile === undefined) return "good; clients need no certificate";
		return `good; client certificates are ${tls.verify === "optional" ? "optional" : "required"}`;
	});
	await check("rules", () => (server.gate.access.isOpen ? "none: everybody may connect" : "good"));
	await check("store", async () => {
		const { "state-dir": folder = "." } = storeOptions;
		if (keepsFiles(queueType)) return `${queueType}, in ${writable(folder)}`;
		const store = await loadStore(queueType, { port, options: storeOptions });
		await store.open();
		await store.close();
		return `${queueType}, reachable`;
	});
	for (const name of ["log-file", "pid-file"] as const) {
		const path = options[name];
		if (path === undefined || path === "stderr" || path === "none") continue;
		await check(name, () => {
			demandWritable(existsSync(path) ? path : dirname(path));
			return path;
		});
	}
	process.stdout.write(code === 0 ? "The configuration is good\n" : "The configuration is not good\n");
	return code;
}

/** The folder when it can be written, or made. Throws. */
function writable(path: string): string {
	if (existsSync(path)) demandWritable(path);
	else writable(dirname(path));
	return path;
}

function demandWritable(path: string): void {
	try {
		accessSync(path, constants.W_OK);
	} catch (error) {
		throw new Error(`${path} cannot be written: ${reasonOf(error, WRITING)}`, { cause: error });
	}
}

// Lays out bytecode that start.cjs starts from: runs the program with the arguments given, which end it, and writes what has
// none yet as it is then, with every function that call needed, where that of a text just compiled has next to none. Server
// and worker are this process too. Called by build.js.
import { existsSync, writeFileSync } from "node:fs";
import { Server, Worker } from "../dist/index.js";

const server = new Server({ listen: ["127.0.0.1"], port: 0 });
await server.start();
void new Worker(`127.0.0.1:${server.port}`).add("x", ({ workload }) => workload).run();

process.argv.push("-h", "127.0.0.1", "-p", String(server.port));
const { default: loaded } = await import("../dist/cli/start.cjs");
process.once("exit", () => {
	for (const { script, bytecodeFile } of loaded.values())
		if (!existsSync(bytecodeFile)) writeFileSync(bytecodeFile, script.createCachedData());
});

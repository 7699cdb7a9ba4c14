// Lays out the bytecode that bin/gearman starts from: as it is once a client has run, with every function that one needed,
// where that of a text just compiled has next to none. Server, worker and client are all this process, which the client ends.
import { writeFileSync } from "node:fs";
import { Server, Worker } from "../dist/index.js";

const server = new Server({ listen: ["127.0.0.1"], port: 0 });
await server.start();
void new Worker(`127.0.0.1:${server.port}`).add("x", ({ workload }) => workload).run();

process.argv.push("-h", "127.0.0.1", "-p", String(server.port), "-f", "x");
const { default: program } = await import("../bin/gearman");
process.once("exit", () => writeFileSync(program.bytecodeFile, program.script.createCachedData()));

#!/usr/bin/env node
// Real database servers for trying things out: scripts/services.js [postgres mysql redis memcached] [-- command …]
//
// Starts those named, or all that are installed, each in a temporary folder and on a free port of 127.0.0.1, and prints
// one line of JSON: name → { port, options }, options being those of the job server that lead there. They run until
// standard input ends or a signal comes, or, with a command, until that ends, which finds the JSON in $SERVICES.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { services, startService } from "../test/helpers/services.js";

const dashes = process.argv.indexOf("--");
const [names, command] =
	dashes < 0 ? [process.argv.slice(2), []] : [process.argv.slice(2, dashes), process.argv.slice(dashes + 1)];
const unknown = names.find((name) => !Object.hasOwn(services, name));
if (unknown !== undefined) {
	console.error(`scripts/services.js: no such service: ${unknown}; there are ${Object.keys(services).join(", ")}`);
	process.exit(1);
}

const asked = new Promise((resolve) => {
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
		process.once(signal, () => resolve(128 + constants.signals[signal]));
});
const running = new Map();
try {
	for (const name of names.length > 0 ? names : Object.keys(services)) {
		const service = await startService(name);
		if (service !== undefined) running.set(name, service);
		else console.error(`scripts/services.js: ${name} is not installed`);
	}
	const addresses = JSON.stringify(
		Object.fromEntries([...running].map(([name, { port, options }]) => [name, { port, options }])),
	);
	if (command.length > 0) {
		const child = spawn(command[0], command.slice(1), {
			stdio: "inherit",
			env: { ...process.env, SERVICES: addresses },
		});
		const ended = once(child, "exit").then(([code]) => code ?? 1);
		process.exitCode = await Promise.race([ended, asked]);
		child.kill();
	} else {
		console.log(addresses);
		process.exitCode = await Promise.race([once(process.stdin.resume(), "end").then(() => 0), asked]);
		process.stdin.destroy();
	}
} finally {
	await Promise.all([...running.values()].map((service) => service.stop()));
}

// The types that users of the library get: the README's examples compile against them, and the members that are public
// for the package's other modules alone are not there.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import ts from "typescript";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** What the compiler says of modules that lie beside package.json, at its strictest. */
function complaints(...codes) {
	const options = {
		strict: true,
		exactOptionalPropertyTypes: true,
		noUncheckedIndexedAccess: true,
		noEmit: true,
		target: ts.ScriptTarget.ES2022,
		module: ts.ModuleKind.NodeNext,
		types: ["node"],
	};
	const host = ts.createCompilerHost(options);
	const modules = new Map(codes.map((code, i) => [at(`example-${i}.mts`), code]));
	const { fileExists, readFile } = host;
	host.fileExists = (name) => modules.has(name) || fileExists(name);
	host.readFile = (name) => modules.get(name) ?? readFile(name);
	// Its own declarations are checked whole, those of others are theirs.
	const program = ts.createProgram([...modules.keys()], options, host);
	const own = program.getSourceFiles().filter(({ fileName }) => !fileName.includes("/node_modules/"));
	return own
		.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
		.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}

test("the README's library examples compile at the compiler's strictest", (t) => {
	const readme = readFileSync(at("README.md"), "utf8");
	const examples = [...readme.matchAll(/```js\n(import[\s\S]*?)```/g)].map(([, code]) => code);
	t.true(examples.length >= 5);
	t.deepEqual(complaints(...examples), []);
});

test("what is for the package's other modules is not in the types", (t) => {
	const found = complaints(`import { Client, Server } from "gearman";
		const server = new Server({ port: 0 });
		await server.start();
		server.jobs; server.addPeer; new Client().dispatch; new Client().submit("x").observer;`);
	t.deepEqual(
		found.map((message) => /^Property '(\w+)' does not exist/.exec(message)?.[1] ?? message),
		["jobs", "addPeer", "dispatch", "observer"],
	);
});

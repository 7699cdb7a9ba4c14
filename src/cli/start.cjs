// Starts main.cjs. That and the .cjs it requires beside it are loaded as require() would, but from bytecode where
// scripts/build.js has laid it out: to compile the text is a third of a client's start. V8 passes over bytecode of another
// version, of other flags, or of a text of other length. Called by bin/gearman; not TypeScript, so that Node runs it as it is.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

/** Name → { script, bytecodeFile, module }. */
const loaded = new Map();
module.exports = loaded;

load("./main.cjs");

function load(name) {
	if (!name.endsWith(".cjs")) return require(name);
	if (!loaded.has(name)) run(name);
	return loaded.get(name).module.exports;
}

function run(name) {
	const filename = join(__dirname, name);
	const bytecodeFile = `${filename}.${process.version}-${process.arch}.bytecode`;
	const text = readFileSync(filename, "latin1"); // ASCII but for comments
	const script = new Script(`(function (require, importModule, module, exports, __filename) {${text}\n})`, {
		filename,
		cachedData: readIfThere(bytecodeFile),
	});
	const module = { exports: {} };
	loaded.set(name, { script, bytecodeFile, module });
	script.runInThisContext()(load, importModule, module, module.exports, filename);
}

/** Bytecode has lost what V8 needs for an import() of its own. */
function importModule(name) {
	return import(name);
}

/** Undefined: built by another Node. */
function readIfThere(path) {
	try {
		return readFileSync(path);
	} catch {
		return undefined;
	}
}

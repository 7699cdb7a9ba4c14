#!/usr/bin/env node
// src → dist. tsc compiles library and program; what can be laid out once is laid out here; and what the program starts
// from is joined, because Node takes 1 to 2 ms to find and read each module.
//
//   dist/**/*.js, *.d.ts    tsc
//   dist/cli/*.cjs          main with client, map, worker, admin, top, and the parsers of yargs and TOML, each in one file, by esbuild
//   dist/cli/start.cjs      as in src
//   dist/cli/*.bytecode     what V8 has made of those a client or admin loads, when one has run; for this Node
//   dist/server/dashboard/  as in src: the browser runs it as it is
//   dist/help/<mode>.txt    --help
//   dist/man, completion    from the option table
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = new URL("..", import.meta.url);
const at = (path) => fileURLToPath(new URL(path, root));

const tsc = fileURLToPath(import.meta.resolve("typescript/bin/tsc"));
const { status } = spawnSync(process.execPath, [tsc, "-p", at("tsconfig.json")], { stdio: "inherit" });
if (status !== 0) process.exit(status ?? 1);

// What is left of sources that are gone, and of the last build's chunks.
rmSync(at("dist/server/dashboard"), { recursive: true, force: true });
for (const file of readdirSync(at("dist"), { recursive: true })) {
	const isLeft = /\.(js|d\.ts)$/.test(file) && !existsSync(at(`src/${file.replace(/\.(js|d\.ts)$/, ".ts")}`));
	if (isLeft || file.endsWith(".bytecode")) rmSync(at(`dist/${file}`));
}

cpSync(at("src/server/dashboard"), at("dist/server/dashboard"), { recursive: true });
cpSync(at("src/cli/start.cjs"), at("dist/cli/start.cjs"));

const { options } = await import("../dist/options.js");
const { renderHelp } = await import("../dist/cli/help.js");
const { completions } = await import("./docs/completion.js");
const { manPages } = await import("./docs/man.js");

function write(folder, files) {
	mkdirSync(at(`dist/${folder}`), { recursive: true });
	for (const [name, text] of Object.entries(files)) writeFileSync(at(`dist/${folder}/${name}`), text);
}
const help = await Promise.all(Object.keys(options).map(async (mode) => [`${mode}.txt`, await renderHelp(mode)]));
write("help", Object.fromEntries(help));
write("man", manPages());
write("completion", completions());

// CommonJS, because Node starts it 5 ms sooner; a file a mode, because V8 takes 1 ms for each 50 kB.
const joined = {
	bundle: true,
	format: "cjs",
	platform: "node",
	target: "node20",
	define: { "import.meta.url": "here.url" },
	banner: { js: 'const here = { get url() { return require("node:url").pathToFileURL(__filename).href; } };' },
	// import() becomes require(), which does not wake the module loader.
	supported: { "dynamic-import": false },
	logLevel: "warning",
};
// Help is laid out above. The server is long-lived, and finds files and threads beside its modules.
const modules = ["help", "server"];
const apart = replace(/^\.\/(words|config|map|worker|admin|top|help|server)\.ts$/, ({ path }) => {
	const name = path.slice(2, -3);
	return { path: `./${name}.${modules.includes(name) ? "js" : "cjs"}`, external: true };
});
// yargs/helpers brings along what lays out help, 90 kB and 30 ms of it, though its parser has no use for that.
const parserOnly = replace(/\/platform-shims\//, ({ path, resolveDir }) => ({
	path: resolve(resolveDir, path),
	sideEffects: false,
}));
await Promise.all([
	...["main", "map", "worker", "admin", "top"].map((name) => join(name, { packages: "external", plugins: [apart] })),
	join("words", { plugins: [parserOnly] }),
	join("config"),
]);

function join(name, more) {
	return build({ ...joined, ...more, entryPoints: [at(`src/cli/${name}.ts`)], outfile: at(`dist/cli/${name}.cjs`) });
}

// What stayed as tsc made it are modules, not CommonJS; start.cjs imports them.
const main = readFileSync(at("dist/cli/main.cjs"), "utf8");
const found = /Promise\.resolve\(\)\.then\(\(\) => __toESM\(require\("(\.\/\w+\.js)"\), 1\)\)/g;
if (main.match(found)?.length !== modules.length) throw new Error("dist/cli/main.cjs is not as expected");
writeFileSync(at("dist/cli/main.cjs"), main.replace(found, 'importModule("$1")'));

// A call for each file, the usual one first, as main is in all of them. Where nothing can listen the program starts without.
const long = "--config scripts/packaging/config.toml --function x";
for (const call of ["-f x", "--function x", long, "--split 1 -f x", "--admin --getpid"]) {
	const how = { cwd: root, env: {}, input: "x", stdio: ["pipe", "ignore", "inherit"], timeout: 30_000 };
	spawnSync(process.execPath, ["scripts/bytecode.js", ...call.split(" ")], how);
}

function replace(filter, found) {
	return { name: String(filter), setup: (esbuild) => esbuild.onResolve({ filter }, found) };
}

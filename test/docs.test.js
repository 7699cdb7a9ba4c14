import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import test from "ava";
import { execa } from "execa";
import { options } from "../dist/options.js";
import { metricTable } from "../dist/server/metric-table.js";
import { dashboardText } from "../scripts/docs/grafana.js";
import { renewTables } from "../scripts/docs/tables.js";

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The test, or a skipped one of the same title where the program is not installed. */
function testWith(program) {
	try {
		execFileSync("which", [program], { stdio: "ignore" });
		return test;
	} catch {
		return (title, ...rest) => test.skip(`${title} (no ${program} here)`, ...rest);
	}
}

test("README's tables are those of the option table and the metric table", async (t) => {
	const readme = await readFile(at("README.md"), "utf8");
	t.true(renewTables(readme) === readme, "npm run docs");
});

test("renewing the tables changes nothing else, and says which markers are missing", (t) => {
	const names = [...Object.keys(options).map((mode) => `options:${mode}`), "metrics"];
	const markers = names.map((name) => `<!-- ${name} -->old<!-- /${name} -->`);
	const renewed = renewTables(`before ${markers.join(" between ")} after`);
	t.regex(renewed, /^before <!-- options:client -->\n\| Option/);
	t.regex(renewed, /\|\n<!-- \/metrics --> after$/);
	t.is(renewTables(renewed), renewed);
	t.throws(() => renewTables(markers[0]), { message: /<!-- options:worker -->/ });
});

test("the dashboard is that of the metric table, and its panels leave no metric out", async (t) => {
	const text = await readFile(at("scripts/grafana/dashboard.json"), "utf8");
	t.true(dashboardText() === text, "npm run docs");
	const { panels } = JSON.parse(text);
	const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)).join("\n");
	for (const { name } of metricTable) t.regex(queries, new RegExp(`\\b${name}(_total|_info|_bucket)?\\{`), name);
	// None covers another.
	const places = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
		Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
	);
	t.is(new Set(places).size, places.length);
});

test("alert rules ask for metrics there are", async (t) => {
	const names = (await readFile(at("scripts/grafana/alerts.yml"), "utf8")).match(/\bgearman_\w+/g);
	t.true(names.length > 5);
	for (const name of names) {
		const base = name.replace(/_(total|info|bucket|sum|count)$/, "");
		t.true(
			metricTable.some((metric) => metric.name === base || metric.name === name),
			name,
		);
	}
});

testWith("mandoc")("the man pages are without fault", async (t) => {
	for (const page of await readdir(at("dist/man"))) {
		const { stdout } = await execa("mandoc", ["-T", "lint", "-W", "style", at(`dist/man/${page}`)], { reject: false });
		t.is(stdout, "", page);
	}
});

test("the man pages name every option", async (t) => {
	const pages = { client: "gearman.1", worker: "gearman.1", server: "gearmand.8", admin: "gearadmin.1" };
	for (const [mode, page] of Object.entries(pages)) {
		const text = (await readFile(at(`dist/man/${page}`), "utf8")).replaceAll("\\-", "-");
		for (const [name, { hidden }] of Object.entries(options[mode])) {
			if (!hidden && name.length > 1) t.true(text.includes(`Fl -${name}`), `${page}: ${name}`);
		}
	}
});

/** What bash offers for a line that ends at the cursor. */
async function offered(...words) {
	const script = `
		source "$1"; shift
		COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
		_gearman; printf '%s\\n' "\${COMPREPLY[@]}"`;
	const { stdout } = await execa("bash", ["-c", script, "bash", at("dist/completion/gearman.bash"), ...words]);
	return stdout.split("\n").filter((line) => line !== "");
}

testWith("bash")("bash completes options by mode", async (t) => {
	t.deepEqual(await offered("gearman", "--back"), ["--background"]);
	t.deepEqual(await offered("gearman", "-w", "--job-t"), ["--job-timeout"]);
	t.deepEqual(await offered("gearman", "--server", "--job-r"), ["--job-retries"]);
	t.deepEqual(await offered("gearmand", "--job-r"), ["--job-retries"]);
	t.deepEqual(await offered("gearadmin", "--show-"), ["--show-jobs", "--show-unique-jobs"]);
	t.deepEqual(await offered("gearman", "--show-"), ["--show-jobs", "--show-unique-jobs"]);
	t.deepEqual(await offered("gearmand", "--background"), []);
});

testWith("bash")("bash completes values", async (t) => {
	t.deepEqual(await offered("gearmand", "--verbose", "W"), ["WARNING"]);
	t.deepEqual(await offered("gearmand", "--verbose", "=", "W"), ["WARNING"]);
	t.deepEqual(await offered("gearman", "-w", "--stderr", ""), ["inherit", "warning"]);
	t.deepEqual(await offered("gearmand", "-P", at("package.j")), [at("package.json")]);
	t.deepEqual(await offered("gearman", "-f", "-"), []);
});

testWith("zsh")("zsh can read its completion", async (t) => {
	await t.notThrowsAsync(execa("zsh", ["-n", at("dist/completion/_gearman")]));
});

testWith("fish")("fish can read its completion", async (t) => {
	await t.notThrowsAsync(execa("fish", ["--no-execute", at("dist/completion/gearman.fish")]));
});

test("every option is completed in every shell", async (t) => {
	t.true(existsSync(at("dist/completion/gearman.bash")));
	for (const file of await readdir(at("dist/completion"))) {
		const text = await readFile(at(`dist/completion/${file}`), "utf8");
		for (const rows of Object.values(options)) {
			for (const [name, { hidden }] of Object.entries(rows)) {
				if (!hidden && name.length > 1) t.regex(text, new RegExp(`(--|-l )${name}\\b`), `${file}: ${name}`);
			}
		}
	}
});

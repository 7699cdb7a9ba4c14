import { execFileSync } from "node:child_process";
import { join } from "node:path";
import test from "ava";
import { exampleFile, runExample } from "../helpers/examples.js";
import { temporaryFolder } from "../helpers/program.js";
import { run } from "../helpers/programs.js";

test.serial("log analysis: two workers count and sort 20 MB as sort, uniq and awk do", async (t) => {
	const log = join(temporaryFolder(t), "access log");
	const sh = (command) =>
		execFileSync("sh", ["-c", command], { encoding: "latin1", env: { ...process.env, LC_ALL: "C", LOG: log } });
	sh(`${exampleFile("access-log.js")} 20M 7 >"$LOG"`);
	const shown = await runExample(t, "log-analysis", [log]);
	t.is(shown.match(/^ {2}\$ cmp /gm).length, 3, "what it compares is equal, or it would have failed");
	const counts = (field, limit) =>
		sh(
			`cut -d' ' -f${field} "$LOG" | sort | uniq -c | sort -k1,1nr -k2 | head -n ${limit} | awk '{ print $1 "\\t" $2 }'`,
		);
	t.true(shown.includes(`Status codes\n${counts(9, 100)}Top URLs\n${counts(7, 10)}Bytes an hour\n`));
	const hours = sh(
		`awk '{ n[substr($4, 2, 14)] += $10 } END { for (h in n) printf "%s\\t%.0f\\n", h, n[h] }' "$LOG" | sort`,
	);
	t.true(shown.includes(`Bytes an hour\n${hours}`));
});

test("log analysis: pieces are whole lines, and all of them", async (t) => {
	const log = join(temporaryFolder(t), "log");
	for (const text of ["", "\n", "a\nbb\n\nccc", "x".repeat(200_000), `${"y".repeat(100_000)}\nz\n`]) {
		execFileSync("tee", [log], { input: text });
		for (const bytes of [1, 3, 70_000]) {
			const { stdout } = await run(t, exampleFile("log-analysis/pieces.js"), [log, `${bytes}`]);
			const pieces = stdout
				.split("\n")
				.slice(0, -1)
				.map((line) => line.split(" ").map(Number));
			let at = 0;
			for (const [from, length] of pieces) {
				t.is(from, at);
				at += length;
				t.true(at === text.length || text[at - 1] === "\n");
			}
			t.is(at, text.length);
		}
	}
});

test("log analysis: the made-up log is the same each time, and other with another seed", async (t) => {
	const log = async (...args) => (await run(t, exampleFile("access-log.js"), args)).stdout;
	const first = await log("100K");
	t.is(await log("100K"), first);
	t.not(await log("100K", "2"), first);
	t.true(first.length >= 102_400 && first.length < 110_000);
	t.regex(
		first,
		/^(\d+\.\d+\.\d+\.\d+ - - \[\d\d\/Jan\/2026:\d\d:\d\d:\d\d \+0000\] "[A-Z]+ \/\S* HTTP\/1\.1" \d{3} (\d+|-)\n)+$/,
	);
	t.is((await run(t, exampleFile("access-log.js"), ["much"])).exitCode, 1);
});

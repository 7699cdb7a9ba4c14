// The HTTP port through curl, and C's gearmand through the same curl where it is installed: what succeeds is answered alike.

import { createHash, randomBytes } from "node:crypto";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../helpers/free-port.js";
import { temporaryFolder } from "../helpers/program.js";
import { C, curl, ours, run, start, startGearmand, testWith } from "../helpers/programs.js";
import { until } from "../helpers/until.js";

/** A server with workers, and `ask`: curl on a path of it → { exitCode, status, headers, body }. */
async function setUp(t, gearmand, args = [], isOurs = true) {
	const http = await freePort();
	const server = await startGearmand(t, gearmand, ["-r", "http", `--http-port=${http}`, ...args]);
	const at = ["-h", "127.0.0.1", "-p", String(server.port)];
	start(t, ours.gearman, [...at, "-w", "-f", "cat", "--", "cat"]);
	start(t, ours.gearman, [...at, "-w", "-f", "fail", "--stream", "-n", "--", "sh", "-c", "echo one; exit 3"]);
	start(t, ours.gearman, [...at, "-w", "-f", "stream", "--stream", "-n", "--", "sh", "-c", "echo one; echo two"]);
	const ask = async (path, ...curlArgs) => {
		const { stdout, stderr, exitCode } = await run(t, curl, [
			...["-sS", "-i", "--max-time", "30", "-w", "\n%{http_code}", ...curlArgs, `http://127.0.0.1:${http}${path}`],
		]);
		const [, status] = /\n(\d+)$/.exec(stdout) ?? [];
		// 100 Continue comes in front.
		const text = stdout.slice(0, stdout.lastIndexOf("\n")).replace(/^HTTP\/1.1 100[^\n]*\r\n\r\n/, "");
		const end = text.indexOf("\r\n\r\n");
		const headers = Object.fromEntries(
			text
				.slice(0, Math.max(0, end))
				.split("\r\n")
				.slice(1)
				.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
		);
		return { exitCode, stderr, status: Number(status), headers, body: text.slice(end + 4) };
	};
	if (isOurs) {
		const ready = ["-H", "X-Gearman-Require-Worker: true", "-d", ""];
		for (const name of ["cat", "stream"]) await until(async () => (await ask(`/${name}`, ...ready)).status === 200);
		await until(async () => (await ask("/fail", ...ready)).status !== 503);
	}
	return { ...server, http, ask };
}

testWith(curl)("curl: results, streams, failures and background jobs", async (t) => {
	const { ask } = await setUp(t, ours.gearmand);
	t.like(await ask("/cat", "-d", "hello"), { exitCode: 0, status: 200, body: "hello" });
	t.like(await ask("/cat", "-T", "-", "-X", "POST"), { exitCode: 0, status: 200, body: "" });
	const stream = await ask("/stream", "-d", "");
	t.like(stream, { exitCode: 0, status: 200 });
	t.regex(stream.body, /^one\ntwo\n/);
	const failed = await ask("/fail", "-d", "");
	t.is(failed.exitCode, 18, "the answer has no end");
	t.regex(failed.body, /^one\n/);
	t.is((await ask("/cat", "--fail", "-H", "X-Gearman-Priority: urgent", "-d", "")).exitCode, 22);
	const queued = await ask("/nobody", "-H", "X-Gearman-Background: true", "-d", "work");
	t.is(queued.status, 202);
	const { body } = await ask(queued.headers.location);
	t.like(JSON.parse(body), { handle: queued.headers["x-gearman-job-handle"], state: "queued" });
	t.is((await ask(queued.headers.location, "-X", "DELETE")).status, 200);
	t.is((await ask(queued.headers.location)).status, 404);
	const events = await ask("/stream", "-N", "-H", "Accept: text/event-stream", "-d", "");
	t.regex(events.body, /event: data\ndata: {"encoding":"utf-8","data":"one\\n"}\n\n/);
	t.regex(events.body, /event: complete\n/);
	t.is((await ask("/livez", "-I")).status, 200);
	t.is((await ask("/nobody", "-H", "X-Gearman-Timeout: 100ms", "-d", "")).status, 504);
});

testWith(curl)("curl: what is too large is answered 413, sent by length, chunked, or without waiting", async (t) => {
	const { ask } = await setUp(t, ours.gearmand, ["--max-packet-size=1M"]);
	const path = join(temporaryFolder(t), "large");
	writeFileSync(path, Buffer.alloc(50 << 20));
	for (const args of [
		["--data-binary", `@${path}`],
		["--data-binary", `@${path}`, "-H", "Expect:"],
		["-X", "POST", "-T", path, "-H", "Transfer-Encoding: chunked"],
		["-X", "POST", "-T", path, "-H", "Transfer-Encoding: chunked", "-H", "Expect:"],
	]) {
		const { exitCode, status, body } = await ask("/cat", ...args);
		t.is(status, 413, args.join(" "));
		t.is(body, "The body is over the limit of 1048576 bytes\n");
		t.is(exitCode, 0, args.join(" "));
	}
});

testWith(curl)("curl: 100 MB there and back are the same bytes", async (t) => {
	const { http } = await setUp(t, ours.gearmand);
	const folder = temporaryFolder(t);
	const [path, back] = [join(folder, "there"), join(folder, "back")];
	const megabyte = randomBytes(1 << 20);
	writeFileSync(path, Buffer.concat(Array.from({ length: 100 }, () => megabyte)));
	const { exitCode } = await run(t, curl, [
		"-sS",
		"--data-binary",
		`@${path}`,
		"-o",
		back,
		`http://localhost:${http}/cat`,
	]);
	t.is(exitCode, 0);
	const hashOf = async (file) => {
		const hash = createHash("sha256");
		for await (const chunk of createReadStream(file)) hash.update(chunk);
		return hash.digest("hex");
	};
	t.is(await hashOf(back), await hashOf(path));
});

testWith(curl, C.gearmand)("curl: what succeeds is answered as by C's gearmand", async (t) => {
	// gearmand's own HTTP/1.0 answer, which curl takes for what it is.
	const theirs = await setUp(t, C.gearmand, [], false);
	const us = await setUp(t, ours.gearmand);
	const both = (path, ...args) => Promise.all([theirs.ask(path, ...args), us.ask(path, ...args)]);
	const named = ({ headers }) => Object.keys(headers).filter((name) => /^(x-gearman|content-length|server)/.test(name));
	for (const args of [
		["-d", "hello"],
		["-d", "hello", "-H", "X-Gearman-Unique: u", "-H", "X-Gearman-Priority: high"],
		["--data-binary", "x".repeat(100_000), "-H", "Expect:"],
	]) {
		const [c, our] = await both("/cat", ...args);
		t.is(c.status, 200);
		t.is(our.status, 200);
		t.is(our.body, c.body);
		t.is(our.headers["x-gearman-command"], c.headers["x-gearman-command"]);
		t.is(our.headers["content-length"], c.headers["content-length"]);
		t.regex(c.headers["x-gearman-job-handle"], /^H:.+:\d+$/);
		t.regex(our.headers["x-gearman-job-handle"], /^H:.+:\d+$/);
		for (const name of named(c)) t.true(named(our).includes(name), name);
	}
	const [c, our] = await both("/nobody", "-d", "hello", "-H", "X-Gearman-Background: true");
	t.is(c.headers["x-gearman-command"], "JOB_CREATED");
	t.is(our.headers["x-gearman-command"], "JOB_CREATED");
	const [none, nothing] = await both("/", "-d", "");
	// Where C has nothing, ours has a page for browsers.
	t.deepEqual([none.status, nothing.status], [404, 405]);
});

testWith(curl)("curl: the README's lines do what they say", async (t) => {
	const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
	const [, block] = /```sh\ngearmand -r http &\n([\s\S]*?)```/.exec(readme);
	const lines = block.split("\n").filter((line) => /^(handle=\$\()?curl /.test(line));
	t.true(lines.length > 5);
	const http = await freePort();
	const args = ["-r", "http", `--http-port=${http}`, "--job-handle-prefix=H:host"];
	const { port } = await startGearmand(t, ours.gearmand, args);
	const readyz = `http://127.0.0.1:${http}/readyz`;
	await until(async () => (await run(t, curl, ["-s", readyz])).stdout === "ok\n");
	const [, worker] = /\ngearman (.*) &\n/.exec(`\n${block}`);
	start(t, ours.gearman, ["-h", "127.0.0.1", "-p", String(port), ...worker.split(" ")]);
	const env = {};
	for (const line of lines) {
		const [command, says] = line.split(/ {2,}# /);
		const isKept = command.startsWith("handle=");
		const script = command.replace(":8080", `:${http}`) + (isKept ? "; echo $handle" : "");
		const { stdout, stderr } = await run(t, "sh", ["-c", script], { env });
		if (isKept) env.handle = stdout.trim();
		t.true(stdout.startsWith(says.replace(/ ?…$/, "")), `${command}: ${stdout}${stderr}`);
	}
});

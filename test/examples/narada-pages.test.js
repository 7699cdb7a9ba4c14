// Narada's parts that need no server: addresses, HTML, snippets; and its web page, with all of it running.

import test from "ava";
import { normalize, siteOf } from "../../scripts/examples/narada/address.js";
import { parsePage } from "../../scripts/examples/narada/page.js";
import { html } from "../../scripts/examples/narada/pages.js";
import { highlight, phrasesIn, snippet } from "../../scripts/examples/narada/snippet.js";
import { startSite } from "../fixtures/site.js";
import { freePort } from "../helpers/free-port.js";
import { command, startNarada } from "../helpers/narada.js";
import { run } from "../helpers/programs.js";

test("narada: a page has one address, however it is written", (t) => {
	const base = "http://Example.com:80/a/b?x=1";
	for (const [written, address] of Object.entries({
		"#part": "http://example.com/a/b?x=1",
		"../c/./d?": "http://example.com/c/d",
		"//EXAMPLE.com./%7euser/%c3%a9": "http://example.com/~user/%C3%A9",
		"/é?utm_source=mail&q=1&utm_medium=x": "http://example.com/%C3%A9?q=1",
		"http://me:secret@example.com/": "http://example.com/",
		"mailto:me@example.com": undefined,
		"javascript:alert(1)": undefined,
		"http://[bad": undefined,
		[`/${"x".repeat(2000)}`]: undefined,
	})) {
		t.is(normalize(written, base), address, written);
	}
	t.is(siteOf("https://www.example.com:8080/x"), "example.com:8080");
});

test("narada: a page's text is what people read, its links what may be followed", (t) => {
	const page = parsePage(
		`<title> A &amp;
		B </title><base href="/sub/"><svg><title>no</title></svg><script>no</script><style>no</style><nav>no <a href=n>n</a></nav>
		<h1>Head</h1>wo<b>rd</b><br>next<td>cell</td> &lt;b&gt; \0nul <a href="one#x">1</a><a href=one>1</a><a rel="x nofollow" href=two>2</a><a>3</a>`,
		"http://host/page",
	);
	t.deepEqual(page, {
		title: "A & B",
		text: "Head word next cell <b> nul 1123",
		links: ["http://host/sub/n", "http://host/sub/one"],
		isIndexed: true,
	});
	const hidden = parsePage('<meta NAME=Robots content="NONE"><a href=x>x</a>', "http://host/");
	t.like(hidden, { isIndexed: false, links: [] });
	t.is(parsePage("x ".repeat(200_000), "http://host/").text.length <= 100_000, true);
	t.is(parsePage("a < b\n\nc", "http://host/", "text/plain").text, "a < b c");
	t.notThrows(() => parsePage("<".repeat(10_000) + "<a href=".repeat(1000), "http://host/"));
});

test("narada: words and phrases are what was typed, without case and accents", (t) => {
	t.deepEqual(phrasesIn('Red "White  Wine" tea-pot ÉTÉ "open end'), [
		["red"],
		["white", "wine"],
		["tea", "pot"],
		["ete"],
		["open", "end"],
	]);
	t.deepEqual(phrasesIn(' - "" * '), []);
	t.is(phrasesIn("a ".repeat(100)).length, 16);
});

test("narada: a snippet is the part of a text with the most hits, highlighted", (t) => {
	const text = `${"before ".repeat(100)}Été one. ${"between ".repeat(100)}the été and the WINTER, été ${"after ".repeat(100)}`;
	const parts = snippet(text, phrasesIn("ete winter"));
	t.deepEqual(
		parts.filter(([, isHit]) => isHit).map(([part]) => part),
		["été", "WINTER", "été"],
	);
	t.deepEqual([parts[0][0], parts.at(-1)[0]], ["… ", " …"]);
	t.true(parts.map(([part]) => part).join("").length < 220);
	t.deepEqual(highlight("A tea pot, a teapot", phrasesIn("tea-pot")), [
		["A ", false],
		["tea pot", true],
		[", a teapot", false],
	]);
	t.deepEqual(snippet("nothing", phrasesIn("else")), [["nothing", false]]);
	t.deepEqual(snippet("", phrasesIn("else")), []);
});

test("narada: what is put into a page is escaped", (t) => {
	t.is(
		`${html`<a href="${`"><b>'&`}">${html`<i>${"<"}</i>`}${["<", html`<u>`]}${undefined}</a>`}`,
		`<a href="&quot;&gt;&lt;b&gt;&#39;&amp;"><i>&lt;</i>&lt;<u></a>`,
	);
});

test.serial("narada's web page takes a site, finds its words and shows them highlighted and harmless", async (t) => {
	const site = await startSite(t);
	const narada = await startNarada(t);
	const page = await narada.serve();
	const post = (fields, headers) =>
		fetch(`${page}submit`, { method: "POST", body: new URLSearchParams(fields), headers });
	const find = async (words, number = 1) => {
		const response = await fetch(`${page}?${new URLSearchParams({ q: words, page: number })}`);
		t.is(response.status, 200);
		return await response.text();
	};

	const home = await fetch(page);
	t.regex(await home.text(), /0 pages can be searched/);
	t.regex(home.headers.get("content-security-policy"), /^default-src 'none'/);
	t.is((await post({ url: site.url })).status, 202);
	await narada.command("submit", site.url, "--depth", "8", "--wait");

	const results = await find("markup");
	t.regex(results, /&lt;script&gt;alert\(1\)&lt;\/script&gt;<\/a>/);
	t.regex(results, /<mark>markup<\/mark> &lt;img src=x/);
	t.notRegex(results, /<script|<img/);
	t.regex(await find('"><script>alert(1)</script>'), /value="&quot;&gt;&lt;script&gt;/);
	t.regex(await find("nosuchword"), /0 pages/);
	t.regex(await find("crème"), /<mark>crème<\/mark> brûlée/);

	const first = await find("common");
	t.is(first.match(/class="address"/g).length, 10);
	t.regex(first, /<a href="\/\?q=common&amp;page=2">Next<\/a>/);
	t.notRegex(first, /Previous/);
	const second = await find("common", 2);
	t.regex(second, /Previous/);
	t.not(/class="address">(.*?)</.exec(first)[1], /class="address">(.*?)</.exec(second)[1]);
	t.regex(await find("common", "x"), /Next/);

	t.is((await post({ url: "ftp://host/" })).status, 400);
	t.is((await post({ url: site.url }, { "sec-fetch-site": "cross-site" })).status, 403);
	t.is((await post({ url: "x".repeat(6000) })).status, 413);
	t.is((await fetch(`${page}nothing`)).status, 404);
	t.is((await fetch(page, { method: "HEAD" })).status, 200);

	await narada.kill("server");
	t.is((await fetch(`${page}?q=common`)).status, 503);
});

test.serial("narada's command says what is wrong in a sentence", async (t) => {
	const server = `127.0.0.1:${await freePort()}`;
	for (const [args, sentence] of [
		[[], /^narada: there is no command ; see --help\n$/],
		[["work", "everything"], /^narada: work takes one of insert, fetch, index and search\n$/],
		[["submit"], /^narada: submit takes the address of a page\n$/],
		[["submit", "mailto:me", "-s", server], /^narada: .*mailto:me is not the address of a web page\n$/],
		[["search", "x", "-s", server], /^narada: .*could not/i],
		[["search", "x", "--limit", "many"], /^narada: --limit takes a number from 1 up, not many\n$/],
		[["search", "x", "--fast"], /^narada: Unknown option '--fast'/],
		[["work", "index", "--database", "oracle:x", "-s", server], /^narada: .*--database takes sqlite:FILE/],
	]) {
		const { stderr, exitCode } = await run(t, command, args);
		t.regex(stderr, sentence);
		t.is(exitCode, 1);
	}
	t.regex((await run(t, command, ["--help"])).stdout, /^Usage: narada\.js COMMAND/);
});

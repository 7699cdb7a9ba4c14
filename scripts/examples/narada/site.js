#!/usr/bin/env node
// A small web site to crawl: this repository's README, a page a chapter, on a free port. Prints its address.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { html } from "./pages.js";

const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
const chapters = new Map();
for (const part of readme.split(/^##? /m).slice(1)) {
	const [title] = part.split("\n", 1);
	const path = chapters.size === 0 ? "/" : `/${title.toLowerCase().replace(/\W+/g, "-")}`;
	chapters.set(path, { title, text: part.slice(title.length) });
}

const site = createServer((request, response) => {
	const chapter = chapters.get(request.url.split("?", 1)[0]);
	if (request.url === "/robots.txt")
		return response.setHeader("content-type", "text/plain").end("User-agent: *\nDisallow: /start\n");
	if (chapter === undefined) return response.writeHead(404).end();
	const links = [...chapters].map(([path, { title }]) => html`<li><a href="${path}#top">${title}</a></li>\n`);
	response.setHeader("content-type", "text/html; charset=utf-8").end(
		`${html`<!doctype html>
<title>${chapter.title}</title>
<h1>${chapter.title}</h1>
<nav><ul>${links}<li><a href="/gone">A page that is gone</a></li><li><a href="http://elsewhere.example/">Elsewhere</a></li></ul></nav>
<pre>${chapter.text}</pre>`}`,
	);
});
site.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${site.address().port}/`));

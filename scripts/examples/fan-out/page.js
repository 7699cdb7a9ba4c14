#!/usr/bin/env node
// A page of several parts, each a job. All jobs start at once; the page's frame is sent before any of them is done; each
// part is sent when it is there and takes its place, without scripts: the frame is a shadow root, its places are slots.

import { createServer } from "node:http";
import { Client } from "gearman";

const PARTS = ["account", "recommended", "news", "weather"];
const LONGEST_MS = Number(process.env.PART_MS ?? 5000);

const client = new Client(process.env.GEARMAN_SERVER);
const escapeHtml = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

function frame() {
	const places = PARTS.map((name) => `<section><h2>${name}</h2><slot name="${name}">…</slot></section>`);
	const style = "body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }";
	return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Fan-out</title>
<style>${style}</style>
<body>
<template shadowrootmode="open"><h1>Good morning</h1>${places.join("")}</template>
`;
}

async function makePart(name, signal) {
	try {
		const result = await client.submit(`page.${name}`, "", { timeoutMs: LONGEST_MS, signal });
		return `<p slot="${name}">${escapeHtml(String(result))}</p>\n`;
	} catch {
		// One part that fails or is late is no reason to lose the others.
		return `<p slot="${name}"><i>not available just now</i></p>\n`;
	}
}

const web = createServer(async (request, response) => {
	if (request.url !== "/") return response.writeHead(404).end();
	const left = new AbortController();
	response.once("close", () => left.abort());
	response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
	const parts = PARTS.map(async (name) => response.write(await makePart(name, left.signal)));
	response.write(frame());
	await Promise.all(parts);
	response.end("</body>\n</html>\n");
});
web.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${web.address().port}/`));
process.once("SIGTERM", () => {
	web.close();
	web.closeAllConnections();
	client.close();
});

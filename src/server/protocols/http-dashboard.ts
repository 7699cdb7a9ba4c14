// The dashboard's page and what belongs to it: a few files beside this program, read once, sent as they are.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { answerText, type Exchange } from "./http-answer.ts";

const FOLDER = new URL("../dashboard/", import.meta.url);
const TYPES: Readonly<Record<string, string>> = {
	html: "text/html; charset=utf-8",
	css: "text/css; charset=utf-8",
	js: "text/javascript; charset=utf-8",
	svg: "image/svg+xml",
};
/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const POLICY = [
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"img-src 'self'",
	"connect-src 'self'",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
].join("; ");

interface Asset {
	readonly type: string;
	readonly bytes: Buffer;
	readonly etag: string;
}

let assets: ReadonlyMap<string, Asset> | undefined;

/** Who opens the port in a browser means the dashboard; who asks otherwise is told where things are. */
export function root({ request, response }: Exchange): void {
	response.setHeader("Vary", "Accept");
	if (request.headers.accept?.includes("text/html")) {
		response.writeHead(302, { Location: "dashboard/" });
		response.end();
	} else answerText(response, 200, "Gearman job server: /dashboard/ for people, /api/overview for programs");
}

/** GET /dashboard/ and the files the page names. */
export function asset({ request, response, rest }: Exchange): void {
	assets ??= load();
	const found = assets.get(rest === "" ? "index.html" : rest);
	if (found === undefined) return answerText(response, 404, "There is nothing here");
	response.setHeader("Content-Security-Policy", POLICY);
	response.setHeader("X-Content-Type-Options", "nosniff");
	response.setHeader("Referrer-Policy", "no-referrer");
	response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
	// Asked for again each time, sent only after an update of the program.
	response.setHeader("Cache-Control", "no-cache");
	response.setHeader("ETag", found.etag);
	if (request.headers["if-none-match"] === found.etag) {
		response.writeHead(304);
		response.end();
		return;
	}
	response.writeHead(200, { "Content-Type": found.type, "Content-Length": found.bytes.length });
	response.end(found.bytes);
}

function load(): Map<string, Asset> {
	const loaded = new Map<string, Asset>();
	for (const name of readdirSync(FOLDER)) {
		const bytes = readFileSync(new URL(name, FOLDER));
		const etag = `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 22)}"`;
		loaded.set(name, { type: TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream", bytes, etag });
	}
	return loaded;
}

#!/usr/bin/env node
// An access log in Common Log Format to try things on: access-log.js SIZE [SEED] > FILE, SIZE as 20M or 1G. The same size
// and seed give the same bytes. A few addresses and URLs are frequent and most are rare, as they are.

import { writeSync } from "node:fs";

const [size = "1M", seed = "1"] = process.argv.slice(2);
const [, digits, unit] = /^(\d+)([KMG]?)$/i.exec(size) ?? [];
if (digits === undefined) {
	console.error(`access-log.js: ${size} is no size; say 20M or 1G`);
	process.exit(1);
}
const total = Number(digits) * 1024 ** " KMG".indexOf(unit.toUpperCase() || " ");
const CHUNK = 1 << 20;
const LINES_A_SECOND = 16;

let state = (Number(seed) * 2654435761) >>> 0 || 1;
/** A whole number below n (xorshift32). */
function random(n) {
	state ^= state << 13;
	state ^= state >>> 17;
	state ^= state << 5;
	return (state >>> 0) % n;
}
/** As random(), small numbers more often. */
const seldomLarge = (n) => Math.min(random(n), random(n), random(n));
const pick = (list) => list[random(list.length)];

const words = "index about news shop cart search user login logout image style script api feed help contact".split(" ");
const urls = Array.from({ length: 5000 }, (_, i) =>
	i === 0 ? "/" : `/${pick(words)}/${pick(words)}-${i}${pick(["", ".html", ".png", `?page=${i}`])}`,
);
const addresses = Array.from({ length: 3000 }, () => `10.${random(256)}.${random(256)}.${1 + random(254)}`);
const requests = ["GET", "GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "POST"];
const statuses = [
	"200",
	"200",
	"200",
	"200",
	"200",
	"200",
	"206",
	"301",
	"304",
	"304",
	"403",
	"404",
	"404",
	"500",
	"503",
];
const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

const stamp = (date) => {
	const [, year, month, day, time] = /^(\d+)-(\d+)-(\d+)T([\d:]+)/.exec(date.toISOString());
	return `${day}/${months[month - 1]}/${year}:${time} +0000`;
};

function write(text) {
	const bytes = Buffer.from(text, "latin1");
	for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
}

let time = Date.UTC(2026, 0, 1);
let chunk = "";
try {
	for (let written = 0; written < total; time += 1000) {
		const now = stamp(new Date(time));
		for (let i = random(2 * LINES_A_SECOND); i > 0; i--) {
			const status = statuses[random(statuses.length)];
			const bytes = status === "304" ? "-" : 200 + seldomLarge(200_000);
			const request = `${requests[random(requests.length)]} ${urls[seldomLarge(urls.length)]} HTTP/1.1`;
			const line = `${addresses[seldomLarge(addresses.length)]} - - [${now}] "${request}" ${status} ${bytes}\n`;
			chunk += line;
			written += line.length;
		}
		if (chunk.length > CHUNK) {
			write(chunk);
			chunk = "";
		}
	}
	write(chunk);
} catch (error) {
	// Whoever read has had enough.
	if (error.code !== "EPIPE") throw error;
}

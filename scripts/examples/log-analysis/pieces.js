#!/usr/bin/env node
// Cuts a file into pieces of whole lines without reading it: pieces.js FILE BYTES prints "FROM BYTES FILE" for each.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { resolve } from "node:path";

const [file, bytes] = process.argv.slice(2);
const descriptor = openSync(file);
const { size } = fstatSync(descriptor);
const window = Buffer.alloc(64 * 1024);

/** Behind the first end of a line from here on. */
function nextLine(from) {
	for (let at = from; at < size; at += window.length) {
		const length = readSync(descriptor, window, 0, window.length, at);
		const end = window.subarray(0, length).indexOf(10);
		if (end >= 0) return at + end + 1;
	}
	return size;
}

for (let from = 0, to = 0; from < size; from = to) {
	to = nextLine(from + Number(bytes));
	console.log(from, to - from, resolve(file));
}
closeSync(descriptor);

import test from "ava";
import fc from "fast-check";
import { LF, NUL, Pieces } from "../../dist/cli/pieces.js";

/** All pieces of the input, given in the chunks the cuts make. */
function split(separator, size, bytes, cuts) {
	const pieces = new Pieces(separator, size);
	const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
	const found = [];
	const take = () => {
		let piece = pieces.next();
		for (; piece instanceof Uint8Array; piece = pieces.next()) found.push(Buffer.from(piece));
		return piece;
	};
	for (let i = 1; i < places.length; i++) {
		pieces.write(bytes.subarray(places[i - 1], places[i]));
		if (take() !== undefined) throw new Error("ended too early");
	}
	pieces.end();
	if (take() !== null) throw new Error("did not end");
	return found;
}

/** The same, by the book: records one by one. */
function expected(separator, { records = Infinity, bytes: most = Infinity }, bytes) {
	const pieces = [];
	let piece = [];
	const size = () => piece.reduce((sum, record) => sum + record.length, 0);
	for (let at = 0; at < bytes.length; ) {
		const found = bytes.indexOf(separator, at);
		const record = bytes.subarray(at, found < 0 ? bytes.length : found + 1);
		at += record.length;
		if (piece.length === records || (piece.length > 0 && size() + record.length > most)) {
			pieces.push(Buffer.concat(piece));
			piece = [];
		}
		piece.push(record);
	}
	if (piece.length > 0) pieces.push(Buffer.concat(piece));
	return pieces;
}

const input = fc
	.array(fc.oneof(fc.constantFrom(0, 10, 13, 255), fc.nat(255)), { maxLength: 80 })
	.map((bytes) => Buffer.from(bytes));
const cuts = fc.array(fc.nat(), { maxLength: 8 });
const size = fc.record(
	{ records: fc.integer({ min: 1, max: 5 }), bytes: fc.integer({ min: 1, max: 12 }) },
	{ requiredKeys: [] },
);

for (const [name, separator] of Object.entries({ LF, NUL })) {
	test(`pieces at ${name} are the input again, each as large as it may be, wherever the chunks are cut`, (t) => {
		fc.assert(
			fc.property(input, cuts, size, (bytes, cuts, size) => {
				const pieces = split(separator, size, bytes, cuts);
				t.deepEqual(Buffer.concat(pieces), bytes);
				t.deepEqual(pieces, expected(separator, size, bytes));
			}),
			{ numRuns: 500 },
		);
	});

	test(`records without their ${name} lose nothing else`, (t) => {
		fc.assert(
			fc.property(input, cuts, (bytes, cuts) => {
				const expected = bytes.toString("latin1").split(String.fromCharCode(separator));
				if (expected.at(-1) === "") expected.pop();
				t.deepEqual(
					split(separator, { records: 1, isStripped: true }, bytes, cuts).map((record) => record.toString("latin1")),
					expected,
				);
			}),
			{ numRuns: 500 },
		);
	});
}

test("a record longer than a piece is a piece by itself", (t) => {
	const bytes = Buffer.from(`a\n${"x".repeat(50)}\nb\nc`);
	t.deepEqual(split(LF, { bytes: 4 }, bytes, [20]).map(String), ["a\n", `${"x".repeat(50)}\n`, "b\nc"]);
});

test("a piece no job can carry is refused instead of kept", (t) => {
	const chunk = Buffer.alloc(16 * 1024 * 1024, "x");
	for (const [records, message] of [
		[1, /^a record of the input is larger than a job can be/],
		[2, /^a piece of the input is larger than a job can be/],
	]) {
		const pieces = new Pieces(LF, { records });
		for (let i = 0; i < 15; i++) pieces.write(chunk);
		t.is(pieces.next(), undefined);
		pieces.write(chunk);
		t.throws(() => pieces.next(), { code: "BAD_ARGUMENT", message });
	}
});

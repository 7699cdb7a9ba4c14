import test from "ava";
import fc from "fast-check";
import { LF, NUL, Records } from "../../dist/cli/records.js";

/** All records of the input, given in the chunks the cuts make. */
function split(separator, keepsSeparator, bytes, cuts) {
	const records = new Records(separator, keepsSeparator);
	const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
	const found = [];
	const take = () => {
		let record = records.next();
		for (; record instanceof Uint8Array; record = records.next()) found.push(Buffer.from(record));
		return record;
	};
	for (let i = 1; i < places.length; i++) {
		records.write(bytes.subarray(places[i - 1], places[i]));
		if (take() !== undefined) throw new Error("ended too early");
	}
	records.end();
	if (take() !== null) throw new Error("did not end");
	return found;
}

const input = fc
	.array(fc.oneof(fc.constantFrom(0, 10, 13, 255), fc.nat(255)), { maxLength: 60 })
	.map((bytes) => Buffer.from(bytes));
const cuts = fc.array(fc.nat(), { maxLength: 8 });

for (const [name, separator] of Object.entries({ LF, NUL })) {
	test(`records with their ${name} kept are the input again, each ending with the only one it has`, (t) => {
		fc.assert(
			fc.property(input, cuts, (bytes, cuts) => {
				const records = split(separator, true, bytes, cuts);
				t.deepEqual(Buffer.concat(records), bytes);
				for (const [i, record] of records.entries()) {
					const at = record.indexOf(separator);
					t.true(at === record.length - 1 || (at === -1 && i === records.length - 1 && record.length > 0));
				}
			}),
		);
	});

	test(`records without their ${name} lose nothing else`, (t) => {
		fc.assert(
			fc.property(input, cuts, (bytes, cuts) => {
				const records = split(separator, false, bytes, cuts);
				const expected = bytes.toString("latin1").split(String.fromCharCode(separator));
				if (expected.at(-1) === "") expected.pop();
				t.deepEqual(
					records.map((record) => record.toString("latin1")),
					expected,
				);
			}),
		);
	});
}

import test from "ava";
import fc from "fast-check";
import { argumentCount, fieldCount, nameOf, Type } from "../../dist/protocol/commands.js";
import { encodeRequest, encodeResponse, fromName, toName } from "../../dist/protocol/packet.js";

test("a packet is magic, number, size and its fields joined by NULs", (t) => {
	t.is(
		encodeRequest("SUBMIT_JOB", ["reverse", "", Buffer.from("hi\0there")]).toString("hex"),
		`005245510000000700000011${Buffer.from("reverse\0\0hi\0there").toString("hex")}`,
	);
	t.is(encodeResponse(Type.NOOP, "").toString("hex"), "00524553" + "00000006" + "00000000");
	t.is(encodeResponse(Type.JOB_CREATED, "H:a:1").subarray(12).toString(), "H:a:1");
});

test("the table has packets 1 to 42 but 5, each with its name and fields", (t) => {
	const types = Object.values(Type);
	t.deepEqual(
		types,
		Array.from({ length: 42 }, (_, i) => i + 1).filter((type) => type !== 5),
	);
	for (const [name, type] of Object.entries(Type)) t.is(nameOf(type), name);
	t.is(nameOf(5), undefined);
	t.is(fieldCount(0), -1);
	t.is(fieldCount(43), -1);
	t.is(fieldCount(Type.SUBMIT_REDUCE_JOB), 5);
	t.is(argumentCount(Type.SUBMIT_REDUCE_JOB), 4);
	t.is(fieldCount(Type.STATUS_RES_UNIQUE), 6);
	t.is(fieldCount(Type.ECHO_REQ), 1);
});

test("names of any characters survive the way into a packet and out again", (t) => {
	fc.assert(
		fc.property(fc.string({ unit: "grapheme" }), (text) => {
			const name = toName(text);
			t.deepEqual(Buffer.from(name, "latin1"), Buffer.from(text, "utf8"));
			t.is(fromName(name), Buffer.from(text, "utf8").toString("utf8"));
		}),
	);
	t.pass();
});

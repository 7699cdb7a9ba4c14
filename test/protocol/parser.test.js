import test from "ava";
import fc from "fast-check";
import { fieldCount, nameOf, Type } from "../../dist/protocol/commands.js";
import { encode, encodeRequest, MAGIC_REQUEST, MAGIC_RESPONSE } from "../../dist/protocol/packet.js";
import { MAX_LINE_BYTES, Parser } from "../../dist/protocol/parser.js";

const TYPES = Object.values(Type);

/** What a parser calls back for these chunks, as plain values. */
function parse(chunks, maxPacketBytes) {
	const seen = [];
	const parser = new Parser(
		{
			onPacket(packet) {
				const fields = packet.isComplete
					? Array.from({ length: packet.count }, (_, i) => packet.text(i))
					: "incomplete";
				seen.push([packet.isRequest ? "REQ" : "RES", nameOf(packet.type) ?? packet.type, fields]);
			},
			onLine: (line) => seen.push(line),
			onOversized: (type, size) => seen.push(["oversized", type, size]),
			onGarbage: (reason) => seen.push(["garbage", reason]),
		},
		maxPacketBytes,
	);
	for (const chunk of chunks) {
		// The parser may keep nothing of a chunk: it is overwritten once write() has returned.
		const copy = Buffer.from(chunk);
		parser.write(copy);
		copy.fill(0xee);
	}
	return { seen, parser };
}

/** The bytes in pieces that end at the given places. */
function cut(bytes, places) {
	const ends = [...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
	return ends.map((end, i) => bytes.subarray(i === 0 ? 0 : ends[i - 1], end));
}

const latin1 = (options) => fc.uint8Array(options).map((bytes) => Buffer.from(bytes).toString("latin1"));
const argument = latin1({ maxLength: 20 }).map((text) => text.replaceAll("\0", "-"));
const packet = fc.constantFrom(...TYPES).chain((type) =>
	fc.record({
		isRequest: fc.boolean(),
		name: fc.constant(nameOf(type)),
		fields: fc.tuple(
			...Array.from({ length: fieldCount(type) }, (_, i) =>
				i === fieldCount(type) - 1 ? latin1({ maxLength: 300 }) : argument,
			),
		),
	}),
);
const line = argument.map((text) => `a${text.replace(/[\r\n]/g, "-")}`);

function bytesOf(item) {
	if (typeof item === "string") return Buffer.from(`${item}\r\n`, "latin1");
	return encode(item.isRequest ? MAGIC_REQUEST : MAGIC_RESPONSE, item.name, item.fields);
}

function expected(item) {
	return typeof item === "string" ? item : [item.isRequest ? "REQ" : "RES", item.name, item.fields];
}

test("packets and lines cut anywhere come out as they went in", (t) => {
	const property = fc.property(
		fc.array(fc.oneof(packet, line), { maxLength: 12 }),
		fc.array(fc.nat(5000), { maxLength: 12 }),
		(items, places) => {
			const bytes = Buffer.concat(items.map(bytesOf));
			t.deepEqual(parse(cut(bytes, places)).seen, items.map(expected));
		},
	);
	fc.assert(property, { numRuns: 300 });
	t.pass();
});

test("a byte at a time gives the same packets", (t) => {
	const bytes = Buffer.concat([
		encodeRequest("SUBMIT_JOB", ["resize", "u", "\0\0data\0"]),
		Buffer.from("status\n"),
		encodeRequest("GRAB_JOB"),
		encodeRequest("ECHO_REQ", [""]),
	]);
	const { seen } = parse(Array.from(bytes, (byte) => Buffer.of(byte)));
	t.deepEqual(seen, [
		["REQ", "SUBMIT_JOB", ["resize", "u", "\0\0data\0"]],
		"status",
		["REQ", "GRAB_JOB", []],
		["REQ", "ECHO_REQ", [""]],
	]);
});

test("random bytes never throw, and never keep more than the limit allows", (t) => {
	const hostile = fc.oneof(
		fc.uint8Array({ maxLength: 200 }),
		fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.concat([Buffer.from("\0REQ"), bytes])),
	);
	const property = fc.property(fc.array(hostile, { maxLength: 20 }), (chunks) => {
		const { parser } = parse(chunks, 100);
		t.true(parser.keptBytes <= MAX_LINE_BYTES + 1);
	});
	fc.assert(property, { numRuns: 1000 });
	t.pass();
});

test("the size field ends a packet: missing arguments do not eat the next one", (t) => {
	const short = encodeRequest("SUBMIT_JOB", ["only a function"]);
	const { seen } = parse([Buffer.concat([short, encodeRequest("GRAB_JOB")])]);
	t.deepEqual(seen, [
		["REQ", "SUBMIT_JOB", "incomplete"],
		["REQ", "GRAB_JOB", []],
	]);
});

test("a packet over the limit is reported once, skipped, and the stream goes on behind it", (t) => {
	const large = encodeRequest("ECHO_REQ", ["x".repeat(101)]);
	const bytes = Buffer.concat([large, encodeRequest("ECHO_REQ", ["y".repeat(100)])]);
	for (const places of [[], [5], [12], [50, 60, 113], [112, 113, 114]]) {
		const { seen, parser } = parse(cut(bytes, places), 100);
		t.deepEqual(seen, [
			["oversized", 16, 101],
			["REQ", "ECHO_REQ", ["y".repeat(100)]],
		]);
		t.is(parser.keptBytes, 0);
	}
});

test("a declared size alone costs no memory", (t) => {
	const header = encodeRequest("ECHO_REQ");
	header.writeUInt32BE(200 * 1024 * 1024, 8);
	const { parser } = parse([header]);
	t.is(parser.keptBytes, 12);
});

test("a wrong magic is garbage, and nothing behind it is read", (t) => {
	const { seen } = parse([Buffer.concat([Buffer.from("\0REX\0\0\0\x10\0\0\0\0"), encodeRequest("GRAB_JOB")])]);
	t.deepEqual(seen, [["garbage", "invalid magic value"]]);
});

test("a line of 8192 bytes is read, a longer one is garbage", (t) => {
	const long = "x".repeat(MAX_LINE_BYTES);
	t.deepEqual(parse([Buffer.from(`${long}\r\n`)]).seen, [long]);
	t.deepEqual(parse([Buffer.from(`${long}xx`), Buffer.from("x")]).seen, [
		["garbage", `text line over ${MAX_LINE_BYTES} bytes`],
	]);
});

test("a name is told by all its bytes, whatever the one before was", (t) => {
	const names = ["", "a", "", "b", "ab", "ac", "ac", "\xe4c", "abc", "abd", "a", ""];
	const read = [];
	const parser = new Parser({ onPacket: (packet) => read.push(packet.name()) });
	for (const name of names) parser.write(encodeRequest("SUBMIT_JOB", [name, "unique", "data"]));
	t.deepEqual(read, names);
});

test("a paused parser calls nobody, and goes on where it stopped", (t) => {
	const seen = [];
	const parser = new Parser({
		onPacket(packet) {
			seen.push(packet.text(0));
			parser.pause();
		},
		onLine: () => {},
		onOversized: () => {},
		onGarbage: () => {},
	});
	const echo = (text) => encodeRequest("ECHO_REQ", [text]);
	parser.write(Buffer.concat([echo("a"), echo("b"), echo("c").subarray(0, 7)]));
	t.deepEqual(seen, ["a"]);
	parser.write(Buffer.concat([echo("c").subarray(7), echo("d")]));
	t.deepEqual(seen, ["a"]);
	for (const all of [
		["a", "b"],
		["a", "b", "c"],
		["a", "b", "c", "d"],
	]) {
		parser.resume();
		t.deepEqual(seen, all);
	}
});

test("kept data does not point into the bytes that were read", (t) => {
	let kept;
	const parser = new Parser({
		onPacket(packet) {
			kept = packet.keepData();
		},
		onLine: () => {},
		onOversized: () => {},
		onGarbage: () => {},
	});
	const chunk = encodeRequest("SUBMIT_JOB", ["f", "u", "workload"]);
	parser.write(chunk);
	chunk.fill(0);
	t.is(kept.toString(), "workload");
});

/** Feeds bytes as a server does: into the parser's own memory where it offers some, through `shared` otherwise. */
function feed(parser, bytes, shared, step) {
	for (let at = 0; at < bytes.length; ) {
		const room = parser.room;
		const target = room ?? shared;
		const count = bytes.copy(target, 0, at, Math.min(bytes.length, at + step()));
		if (room === undefined) parser.write(shared.subarray(0, count));
		else parser.filled(count);
		at += count;
	}
}

test("large packets read into the parser's memory, in any pieces and between small ones, come out as they went in", (t) => {
	const sizes = fc.oneof(
		fc.nat(50),
		fc.integer({ min: 30_000, max: 70_000 }),
		fc.integer({ min: 1 << 20, max: 1_200_000 }),
	);
	const items = fc.array(fc.record({ size: sizes, isKept: fc.boolean(), pauses: fc.boolean() }), { maxLength: 8 });
	const steps = fc.array(fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1000, max: 262_144 })), {
		minLength: 1,
		maxLength: 5,
	});
	const property = fc.property(items, steps, (wanted, steps) => {
		const workloads = wanted.map(({ size }, i) => Buffer.alloc(size, `${i}-${size} `));
		const kept = [];
		const intact = [];
		const parser = new Parser({
			onPacket(packet) {
				const { isKept, pauses } = wanted[intact.length];
				intact.push(packet.view(0).equals(workloads[intact.length]));
				kept.push(isKept ? packet.keepData() : undefined);
				if (pauses) parser.pause();
			},
			onLine: () => t.fail(),
			onOversized: () => t.fail(),
			onGarbage: (reason) => t.fail(reason),
		});
		let count = 0;
		const stream = Buffer.concat(workloads.map((workload) => encodeRequest("ECHO_REQ", [workload])));
		const shared = Buffer.alloc(262_144);
		feed(parser, stream, shared, () => {
			parser.resume(); // nobody reads for a paused one
			return steps[count++ % steps.length] * (stream.length > 200_000 ? 50 : 1);
		});
		for (let i = 0; i < wanted.length; i++) parser.resume();
		t.deepEqual(
			intact,
			wanted.map(() => true),
		);
		// What was kept is not touched by the packets that came later.
		t.true(kept.every((data, i) => data === undefined || data.equals(workloads[i])));
		t.is(parser.keptBytes, 0);
	});
	fc.assert(property, { numRuns: 60 });
});

test("a packet that became whole while the parser was paused waits for its resume, and one closed meanwhile for nothing", (t) => {
	for (const isClosed of [false, true]) {
		const seen = [];
		const parser = new Parser({
			onPacket: (packet) => seen.push(packet.keepData().length),
			onLine: () => {},
			onOversized: () => {},
			onGarbage: () => {},
		});
		const packet = encodeRequest("ECHO_REQ", [Buffer.alloc(100_000)]);
		parser.write(packet.subarray(0, 20_000));
		const count = packet.copy(parser.room, 0, 20_000);
		parser.pause();
		if (isClosed) parser.close();
		parser.filled(count);
		t.deepEqual(seen, []);
		parser.write(encodeRequest("ECHO_REQ", ["next"]));
		parser.resume();
		t.deepEqual(seen, isClosed ? [] : [100_000, 4]);
	}
});

test("a stream is bulky while a long read holds few packets", (t) => {
	const parser = new Parser({ onPacket: () => {}, onLine: () => {}, onOversized: () => {}, onGarbage: () => {} });
	const large = encodeRequest("ECHO_REQ", [Buffer.alloc(40_000)]);
	const small = encodeRequest("GRAB_JOB");
	for (const [bytes, isBulky] of [
		[small, false],
		[large, true],
		[small, true], // too short to tell
		[Buffer.concat(Array.from({ length: 4000 }, () => small)), false],
		[large.subarray(0, 39_000), true],
		[large.subarray(39_000), true],
	]) {
		parser.write(bytes);
		t.is(parser.isBulky, isBulky);
	}
});

import test from "ava";
import fc from "fast-check";
import {
	linesOf,
	ReplyReader,
	readJobs,
	readPriorityStatus,
	readQueueInfo,
	readStatus,
	readWorkers,
	shapeOf,
	textOf,
} from "../../dist/admin/replies.js";

/** The replies in the bytes, cut into chunks at the given places. */
function read(shapes, bytes, cuts = []) {
	const replies = [];
	const reader = new ReplyReader((reply) => replies.push(reply.toString("latin1")));
	for (const shape of shapes) reader.expect(shape);
	const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
	for (let i = 1; i < places.length; i++) reader.write(bytes.subarray(places[i - 1], places[i]));
	return replies;
}

const REPLIES = [
	["line", "OK\r\n"],
	["list", ".\n"],
	["line", "OK 1.1.20+ds\n"],
	["list", "f\t1\t0\t2\ng.h\t0\t0\t0\n.\n"],
	["line", "ERR UNKNOWN_JOB\r\n"],
	["list", "ERR UNKNOWN_SHOW_ARGUMENTS\r\n"],
	["list", "ERR f\t1\t0\t2\n.x\t0\t0\t0\n.\r\n"],
	["list", "\n\n..\n.\n"],
];

test("replies are told apart wherever the stream is cut", (t) => {
	const order = fc.shuffledSubarray(REPLIES, { minLength: 1 });
	fc.assert(
		fc.property(order, fc.array(fc.nat(), { maxLength: 20 }), (replies, cuts) => {
			const bytes = Buffer.from(replies.map(([, text]) => text).join(""));
			const shapes = replies.map(([shape]) => shape);
			t.deepEqual(
				read(shapes, bytes, cuts),
				replies.map(([, text]) => text),
			);
		}),
	);
});

test("lines nobody asked for are no reply", (t) => {
	t.deepEqual(read(["line"], Buffer.from("one\ntwo\nthree\n")), ["one\n"]);
	t.deepEqual(read([], Buffer.from("one\n")), []);
});

test("commands are answered with a line or a list", (t) => {
	for (const command of [
		"status",
		"STATUS",
		"workers extra",
		"prioritystatus",
		"queue info",
		"show jobs",
		"show unique jobs",
		"show x",
	]) {
		t.is(shapeOf(command), "list", command);
	}
	for (const command of ["version", "show", "queue", "cancel job H", "maxqueue status", ""])
		t.is(shapeOf(command), "line", command);
});

test("the lines of a reply have no ends and no final dot", (t) => {
	t.deepEqual(linesOf(Buffer.from("a\nb\n.\n")), ["a", "b"]);
	t.deepEqual(linesOf(Buffer.from("a\r\n.\r\n")), ["a"]);
	t.deepEqual(linesOf(Buffer.from(".\n")), []);
	t.deepEqual(linesOf(Buffer.from("OK\r\n")), ["OK"]);
	t.deepEqual(linesOf(Buffer.from("größe\n.\n")), ["größe"]);
});

test("ERR is an error with the server's code and words", (t) => {
	const error = t.throws(() => linesOf(Buffer.from("ERR UNKNOWN_JOB\r\n")), { code: "SERVER_ERROR" });
	t.is(error.serverCode, "UNKNOWN_JOB");
	t.is(error.message, "UNKNOWN_JOB");
	const other = t.throws(() => linesOf(Buffer.from("ERR function not found\r\n")), { code: "SERVER_ERROR" });
	t.is(other.serverCode, undefined);
	t.is(other.message, "function not found");
});

test("OK is not part of a text", (t) => {
	t.is(textOf("OK 1.2"), "1.2");
	t.is(textOf("OK"), "");
	t.is(textOf("OKAY"), "OKAY");
});

test("rows are read, whatever stands in a name", (t) => {
	t.deepEqual(readStatus(["a\tb\t3\t2\t1"]), [{ functionName: "a\tb", total: 3, running: 2, workers: 1 }]);
	t.deepEqual(readPriorityStatus(["\t1\t2\t3\t4"]), [{ functionName: "", high: 1, normal: 2, low: 3, workers: 4 }]);
	t.deepEqual(readJobs(["H:a:1\t2\t1\t0"]), [{ handle: "H:a:1", retries: 2, isIgnored: true, isBackground: false }]);
	t.deepEqual(readWorkers(["37 127.0.0.1 - :", "38 ::1 an id: 1 : a b"]), [
		{ fd: 37, address: "127.0.0.1", id: "-", functions: [] },
		{ fd: 38, address: "::1", id: "an id: 1", functions: ["a", "b"] },
	]);
});

test("a line that is no row is INVALID_RESPONSE", (t) => {
	for (const read of [readStatus, readPriorityStatus, readJobs, readWorkers, readQueueInfo]) {
		t.throws(() => read(["nonsense"]), { code: "INVALID_RESPONSE" });
	}
});

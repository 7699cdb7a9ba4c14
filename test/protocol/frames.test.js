import test from "ava";
import { FRAME_BYTES, giveBack, holdFrame, lendFrame } from "../../dist/protocol/frames.js";

test("what was given back is lent again, the last first", (t) => {
	const [one, other] = [lendFrame(100_000), lendFrame(100_000)];
	t.not(one.buffer, other.buffer);
	giveBack(one);
	giveBack(other);
	t.is(lendFrame(100_000).buffer, other.buffer);
	t.is(lendFrame(99_000).buffer, one.buffer);
	t.not(lendFrame(100_000).buffer, one.buffer);
});

test("a frame is as large as was asked for, or a sixteenth larger", (t) => {
	for (let bytes = FRAME_BYTES; bytes < 300_000_000; bytes = Math.ceil(bytes * 1.37)) {
		const { length } = lendFrame(bytes);
		t.true(length >= bytes && length <= bytes * (17 / 16) + 1, `${length} for ${bytes}`);
	}
	t.is(lendFrame(FRAME_BYTES - 1).length, FRAME_BYTES - 1);
});

test("a frame with several holders lies ready when the last has given it back, by whatever part of it", (t) => {
	const frame = lendFrame(200_000);
	const part = frame.subarray(7, 9);
	holdFrame(part);
	holdFrame(frame.subarray(100_000));
	giveBack(frame);
	t.not(lendFrame(200_000).buffer, frame.buffer);
	giveBack(frame.subarray(50));
	t.not(lendFrame(200_000).buffer, frame.buffer);
	giveBack(part);
	t.is(lendFrame(200_000).buffer, frame.buffer);
});

test("what is no frame, or was given back, is left alone", (t) => {
	const foreign = Buffer.allocUnsafeSlow(400_000);
	holdFrame(foreign);
	giveBack(foreign);
	t.not(lendFrame(400_000).buffer, foreign.buffer);
	const frame = lendFrame(500_000);
	giveBack(frame);
	giveBack(frame);
	holdFrame(frame);
	t.is(lendFrame(500_000).buffer, frame.buffer);
	t.not(lendFrame(500_000).buffer, frame.buffer);
	const small = lendFrame(FRAME_BYTES - 1);
	giveBack(small);
	t.not(lendFrame(FRAME_BYTES - 1), small);
});

// Memory for large packets, given out again: what is fresh costs the kernel a page fault every 4 KiB and is in no cache. A
// foreground job of 64 KiB takes 55 µs of the server's CPU so, and 71 with fresh memory each time; one of 1 MiB 970 and 1,340.
//
// Each of its holders may give a frame back; with the last it lies ready, until the garbage collector takes it. Who does not
// give it back leaves it to the garbage collector as well.

/** Smaller ones are allocated as cheaply. */
export const FRAME_BYTES = 1 << 15;
/** At most so many lie ready. */
const MAX_READY = 64;

const ready: { readonly bytes: number; readonly memory: WeakRef<ArrayBufferLike> }[] = [];
/** By the memory of those that do not lie ready. */
const holders = new WeakMap<ArrayBufferLike, number>();

/** Memory for at least so many bytes, with something in it or other, and one holder. */
export function lendFrame(bytes: number): Buffer {
	if (bytes < FRAME_BYTES) return Buffer.allocUnsafe(bytes);
	// A sixteenth more at most: packets of about the same size can have the same frames.
	const unit = 1 << Math.max(0, 27 - Math.clz32(bytes));
	const size = Math.ceil(bytes / unit) * unit;
	const frame = readyFrame(size) ?? Buffer.allocUnsafeSlow(size);
	holders.set(frame.buffer, 1);
	return frame;
}

/** The frame this is a part of, if it is of any, has one more holder. */
export function holdFrame(part: Buffer): void {
	const count = holders.get(part.buffer);
	if (count !== undefined) holders.set(part.buffer, count + 1);
}

/** One less: the caller must not touch it any more. */
export function giveBack(part: Buffer): void {
	const memory = part.buffer;
	const count = holders.get(memory);
	if (count === undefined) return;
	if (count > 1) {
		holders.set(memory, count - 1);
		return;
	}
	holders.delete(memory);
	if (ready.length === MAX_READY) ready.shift();
	ready.push({ bytes: memory.byteLength, memory: new WeakRef(memory) });
}

/** The one last given back. */
function readyFrame(bytes: number): Buffer | undefined {
	for (let index = ready.length - 1; index >= 0; index--) {
		if (ready[index].bytes !== bytes) continue;
		const memory = ready[index].memory.deref();
		ready.splice(index, 1);
		if (memory !== undefined) return Buffer.from(memory);
	}
	return undefined;
}

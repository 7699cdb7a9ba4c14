// Memory for packets that did not come whole in one read. A frame nobody has kept is filled again by the next packet that
// fits, the last one given back first, so that it is still in the processor's cache: left to the garbage collector, frames
// of 64 KiB go round through more than 32 MB of cold memory.

/** Frames under this size are not worth a look. */
const MIN_BYTES = 16_384;
/** Frames that wait to be filled again, and their bytes in all: at most these stay with an idle process. */
const MAX_FREE = 16;
const MAX_FREE_BYTES = 1 << 23;
/** Smaller frames share Node's pool of memory. */
const POOLED_BYTES = 2048;

const free: Buffer[] = [];
let freeBytes = 0;

/** At least `size` bytes of memory, at most a quarter more; what is in them is left from before. */
export function lendFrame(size: number): Buffer {
	if (size < POOLED_BYTES) return Buffer.allocUnsafe(size);
	for (let i = free.length - 1; i >= 0; i--) {
		const frame = free[i];
		if (frame.length < size || frame.length > size * 1.25) continue;
		free.splice(i, 1);
		freeBytes -= frame.length;
		return frame;
	}
	return Buffer.allocUnsafeSlow(size);
}

/** Nobody has kept anything of the frame. */
export function takeBackFrame(frame: Buffer): void {
	if (frame.length < MIN_BYTES || frame.length > MAX_FREE_BYTES) return;
	free.push(frame);
	freeBytes += frame.length;
	while (free.length > MAX_FREE || freeBytes > MAX_FREE_BYTES) freeBytes -= free.shift()?.length ?? 0;
}

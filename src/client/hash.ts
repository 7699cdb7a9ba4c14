// MurmurHash3, 32 bits. Used for unique keys made from workloads (`gearman -u '#'`, the same number libgearman makes)
// and to send equal keys to the same job server.

/** MurmurHash3_x86_32 as an unsigned number. The seed depends on the length because libgearman's does. */
export function murmur3(bytes: Uint8Array): number {
	const length = bytes.length;
	const blocksEnd = length & ~3;
	let hash = Math.imul(0xdeadbeef, length);
	for (let i = 0; i < blocksEnd; i += 4) {
		hash ^= scramble(bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24));
		hash = (hash << 13) | (hash >>> 19);
		hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
	}
	let tail = 0;
	for (let i = length - 1; i >= blocksEnd; i--) tail = (tail << 8) | bytes[i];
	if (blocksEnd < length) hash ^= scramble(tail);
	return mix(hash ^ length);
}

/** Spreads the bits of a 32-bit number: every input bit changes half of the output. */
export function mix(number: number): number {
	let hash = number;
	hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
	return (hash ^ (hash >>> 16)) >>> 0;
}

function scramble(block: number): number {
	const product = Math.imul(block, 0xcc9e2d51);
	return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

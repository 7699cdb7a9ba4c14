// hash → places, for millions of them and none on the JavaScript heap. Open addressing in segments that grow one at a
// time: one table for all would stop the server while it grows. Several places may share a hash; whoever asks compares.
// Used by backlog.ts.

const SEGMENT_BITS = 10;
const FIRST_SLOTS = 16;

/** A part of the index; place 0 is an empty slot. */
class Segment {
	places = new Float64Array(FIRST_SLOTS);
	hashes = new Uint32Array(FIRST_SLOTS);
	length = 0;

	add(hash: number, place: number): void {
		if (this.length * 4 >= this.places.length * 3) this.#grow();
		const mask = this.places.length - 1;
		let slot = hash & mask;
		while (this.places[slot] !== 0) slot = (slot + 1) & mask;
		this.places[slot] = place;
		this.hashes[slot] = hash;
		this.length++;
	}

	delete(hash: number, place: number): void {
		const { places, hashes } = this;
		const mask = places.length - 1;
		let hole = hash & mask;
		while (places[hole] !== place) {
			if (places[hole] === 0) return;
			hole = (hole + 1) & mask;
		}
		// What lies behind moves up, unless that would put it in front of where its search begins.
		for (let slot = (hole + 1) & mask; places[slot] !== 0; slot = (slot + 1) & mask) {
			if (((slot - hashes[slot]) & mask) < ((slot - hole) & mask)) continue;
			places[hole] = places[slot];
			hashes[hole] = hashes[slot];
			hole = slot;
		}
		places[hole] = 0;
		this.length--;
	}

	#grow(): void {
		const { places, hashes } = this;
		this.places = new Float64Array(places.length * 2);
		this.hashes = new Uint32Array(places.length * 2);
		this.length = 0;
		for (let slot = 0; slot < places.length; slot++) if (places[slot] !== 0) this.add(hashes[slot], places[slot]);
	}
}

export class PlaceIndex {
	#segments: (Segment | undefined)[] = [];
	readonly #found: number[] = [];

	add(hash: number, place: number): void {
		const segment = this.#segments[hash >>> (32 - SEGMENT_BITS)];
		if (segment !== undefined) segment.add(hash, place);
		else this.#begin(hash).add(hash, place);
	}

	delete(hash: number, place: number): void {
		const at = hash >>> (32 - SEGMENT_BITS);
		const segment = this.#segments[at];
		segment?.delete(hash, place);
		// Memory of a flood that is over is given back.
		if (segment?.length === 0) this.#segments[at] = undefined;
	}

	/** The places with this hash: a list that is valid until the next call. */
	at(hash: number): readonly number[] {
		const found = this.#found;
		found.length = 0;
		const segment = this.#segments[hash >>> (32 - SEGMENT_BITS)];
		if (segment === undefined) return found;
		const mask = segment.places.length - 1;
		for (let slot = hash & mask; segment.places[slot] !== 0; slot = (slot + 1) & mask) {
			if (segment.hashes[slot] === hash) found.push(segment.places[slot]);
		}
		return found;
	}

	#begin(hash: number): Segment {
		if (this.#segments.length === 0) this.#segments = new Array(1 << SEGMENT_BITS).fill(undefined);
		const segment = new Segment();
		this.#segments[hash >>> (32 - SEGMENT_BITS)] = segment;
		return segment;
	}
}

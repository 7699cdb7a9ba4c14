import test from "ava";
import { murmur3 } from "../../dist/client/hash.js";

// The numbers are those `gearman -u '#'` of gearmand 1.1.20 sends.
for (const [workload, hash] of [
	["abc", 634628250],
	["hello world", 2727477341],
	[[0xff, 0xfe, 0x80, 0x61, 0x62, 0x63, 0x64], 2929417841],
]) {
	test(`the hash of ${JSON.stringify(workload)} is libgearman's`, (t) => {
		t.is(murmur3(Buffer.from(workload)), hash);
	});
}

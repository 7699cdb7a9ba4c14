import test from "ava";
import { Soon } from "../../dist/server/soon.js";

function create() {
	const told = [];
	return { told, soon: new Soon((item, sinceMs) => told.push([item, sinceMs])) };
}

test("what was put off is due 2 ms later, in its order, and once", (t) => {
	const { told, soon } = create();
	t.is(soon.dueMs, Number.POSITIVE_INFINITY);
	soon.add("a", 1000);
	soon.add("b", 1001);
	soon.add("c", 1001);
	t.is(soon.dueMs, 1002);
	soon.tick(1001);
	t.deepEqual(told, []);
	soon.tick(1002);
	t.deepEqual(told, [["a", 1000]]);
	t.is(soon.dueMs, 1003);
	soon.tick(1010);
	t.deepEqual(told.slice(1), [
		["b", 1001],
		["c", 1001],
	]);
	t.is(soon.dueMs, Number.POSITIVE_INFINITY);
	soon.tick(2000);
	t.is(told.length, 3);
});

test("what is put off while others are told of is due later", (t) => {
	const told = [];
	const soon = new Soon((item) => {
		told.push(item);
		if (item === "a") soon.add("again", 1002);
	});
	soon.add("a", 1000);
	soon.tick(1002);
	t.deepEqual(told, ["a"]);
	t.is(soon.dueMs, 1004);
	soon.tick(1004);
	t.deepEqual(told, ["a", "again"]);
});

test("a clock that is set back makes nobody wait", (t) => {
	const { told, soon } = create();
	soon.add("a", 5_000_000);
	soon.tick(1000);
	t.deepEqual(told, [["a", 5_000_000]]);
	soon.tick(1001);
	t.is(told.length, 1);
});

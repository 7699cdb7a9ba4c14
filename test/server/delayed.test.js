import test from "ava";
import fc from "fast-check";
import { Delayed } from "../../dist/server/delayed.js";

test("items come out in order of their time, whatever was added and removed in between", (t) => {
	const steps = fc.array(fc.oneof(fc.record({ add: fc.nat(50) }), fc.record({ remove: fc.nat(100) })), {
		maxLength: 80,
	});
	fc.assert(
		fc.property(steps, (all) => {
			const heap = new Delayed();
			const model = [];
			const gone = [];
			for (const step of all) {
				if (step.add !== undefined) {
					const item = { timeMs: step.add, heapIndex: -1 };
					heap.add(item);
					model.push(item);
				} else if (model.length > 0) {
					const [item] = model.splice(step.remove % model.length, 1);
					heap.remove(item);
					gone.push(item);
				}
				t.is(heap.size, model.length);
				t.is(heap.peek()?.timeMs, model.length === 0 ? undefined : Math.min(...model.map((item) => item.timeMs)));
			}
			for (const item of gone) heap.remove(item); // twice does nothing
			const order = [];
			for (let item = heap.peek(); item !== undefined; item = heap.peek()) {
				order.push(item.timeMs);
				heap.remove(item);
			}
			t.deepEqual(
				order,
				model.map((item) => item.timeMs).sort((a, b) => a - b),
			);
		}),
	);
	t.pass();
});

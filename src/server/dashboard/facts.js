// A row of figures, each under its name.

import { element, setText } from "./dom.js";

export function facts(node = element("dl", { class: "facts" })) {
	const shown = new Map();
	return {
		node,
		/** rows: [name, value, note?] */
		show(rows) {
			for (const [name, value, note] of rows) {
				let cells = shown.get(name);
				if (cells === undefined) {
					cells = { value: element("span"), note: element("small") };
					shown.set(name, cells);
					node.append(element("div", {}, element("dt", {}, name), element("dd", {}, cells.value, " ", cells.note)));
				}
				setText(cells.value, value);
				setText(cells.note, note || "");
			}
		},
	};
}

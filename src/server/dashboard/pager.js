// Back and forth under a table.

import { element, setText } from "./dom.js";

export class Pager {
	#text = element("span", { class: "where" });
	#previous;
	#next;

	/** turn(-1 or 1) shows the page before or behind. */
	constructor(turn) {
		const button = (label, step) =>
			element(
				"button",
				{
					type: "button",
					// A button that goes away under the finger takes the focus with it: it stays, and does nothing.
					onclick: ({ currentTarget }) => currentTarget.getAttribute("aria-disabled") === "false" && turn(step),
				},
				label,
			);
		this.#previous = button("Previous", -1);
		this.#next = button("Next", 1);
		this.node = element("nav", { class: "pager", "aria-label": "Pages" }, this.#text, this.#previous, this.#next);
	}

	show({ text, hasPrevious, hasNext, next = "Next" }) {
		setText(this.#text, text);
		setText(this.#next, next);
		this.#previous.setAttribute("aria-disabled", String(!hasPrevious));
		this.#next.setAttribute("aria-disabled", String(!hasNext));
		this.#previous.hidden = this.#next.hidden = !hasPrevious && !hasNext;
	}
}

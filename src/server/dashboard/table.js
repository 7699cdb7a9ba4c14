// A table that is shown again and again: rows are kept by key and only cells that differ are touched, so focus, selection
// and scroll stay where they are. While somebody points at a row or has the focus in it, rows keep their order.

import { element, setText } from "./dom.js";

/**
 * column: { name, label, isNumber, sort, value(row), fill(td, row) }. `value` is what is shown, or what `fill` draws
 * changes with; a column with `sort` has a button as its head.
 */
export class Table {
	#columns;
	#keyOf;
	#onSort;
	#rows = new Map();
	#body = element("tbody");
	#heads = new Map();
	#caption = element("caption");

	constructor({ caption, columns, keyOf, onSort }) {
		this.#columns = columns;
		this.#keyOf = keyOf;
		this.#onSort = onSort;
		const head = element("tr", {}, ...columns.map((column) => this.#head(column)));
		this.#caption.textContent = caption;
		const table = element("table", {}, this.#caption, element("thead", {}, head), this.#body);
		// Scrolls sideways by itself on a narrow screen, by keyboard too.
		this.node = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table);
	}

	/** Shows these rows in this order. */
	show(rows) {
		const focused = document.activeElement;
		const isHeld = this.#body.matches(":hover") || this.#body.contains(focused);
		const before = this.#rows;
		this.#rows = new Map();
		for (const row of rows) {
			const key = this.#keyOf(row);
			const kept = before.get(key) ?? this.#row();
			before.delete(key);
			this.#rows.set(key, kept);
			this.#fill(kept, row);
		}
		for (const { node } of before.values()) node.remove();
		if (isHeld) {
			for (const { node } of this.#rows.values()) if (!node.isConnected) this.#body.append(node);
			return;
		}
		let place = this.#body.firstChild;
		for (const { node } of this.#rows.values()) {
			if (node === place) place = place.nextSibling;
			else this.#body.insertBefore(node, place);
		}
	}

	/** Marks the column the rows are sorted by. */
	sorted(name, isDescending) {
		for (const [column, { head, mark }] of this.#heads) {
			if (column === name) head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
			else head.removeAttribute("aria-sort");
			setText(mark, column === name ? (isDescending ? "▼" : "▲") : "");
		}
	}

	#head({ name, label, isNumber, sort }) {
		const head = element("th", { scope: "col", class: isNumber && "number" });
		if (sort === undefined) head.append(label);
		else {
			const mark = element("span", { class: "mark", "aria-hidden": "true" });
			head.append(
				element("button", { type: "button", class: "sort", onclick: () => this.#onSort(name, sort) }, label, mark),
			);
			this.#heads.set(name, { head, mark });
		}
		return head;
	}

	#row() {
		const cells = this.#columns.map(({ isNumber }, place) =>
			element(place === 0 ? "th" : "td", { scope: place === 0 && "row", class: isNumber && "number" }),
		);
		return { node: element("tr", {}, ...cells), cells, values: cells.map(() => undefined) };
	}

	#fill(kept, row) {
		kept.row = row;
		for (const [place, column] of this.#columns.entries()) {
			const value = column.value(row);
			if (kept.values[place] === value) continue;
			kept.values[place] = value;
			if (column.fill === undefined) setText(kept.cells[place], value);
			else column.fill(kept.cells[place], row);
		}
	}
}

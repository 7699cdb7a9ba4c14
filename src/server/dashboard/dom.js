// Elements, made from plain values. Text goes in as text nodes only: nothing a peer has named is ever read as HTML.

/** element("a", { href: "#/" }, "text", child): properties starting with "on" are listeners; null and false are left out. */
export function element(tag, properties = {}, ...children) {
	const made = document.createElement(tag);
	for (const [name, value] of Object.entries(properties)) {
		if (value === null || value === undefined || value === false) continue;
		if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
		else made.setAttribute(name, value === true ? "" : value);
	}
	made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
	return made;
}

export function byId(id) {
	return document.getElementById(id);
}

/** Sets text only when it differs, so that a screen reader and a selection are left in peace. */
export function setText(node, text) {
	if (node.textContent !== text) node.textContent = text;
}

/** Tells screen readers, once. */
export function announce(text) {
	const region = byId("announcement");
	// The same words twice are to be said twice.
	region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}

/** A command to copy, as code. */
export function command(text) {
	return element("pre", { tabindex: "0", role: "region", "aria-label": "Command" }, element("code", {}, text));
}

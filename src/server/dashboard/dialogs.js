// Questions before something is changed. The browser's own <dialog> keeps the focus inside and gives it back.

import { element } from "./dom.js";

/**
 * Asks; `run` does it when the answer is yes, given the form's data. No `action`: it only says why it cannot be done. What goes wrong is said in the dialog, which stays.
 * Resolves with true when it was done.
 */
export function ask({ title, text, fields = [], action, isDangerous, run }) {
	return new Promise((resolve) => {
		let isDone = false;
		const problem = element("p", { class: "problem", role: "alert" });
		const yes = element(
			"button",
			{ type: "submit", class: isDangerous ? "danger" : "primary", hidden: action === null },
			action,
		);
		const no = element("button", { type: "button", onclick: () => dialog.close() }, "Back");
		const form = element(
			"form",
			{ method: "dialog" },
			element("h2", { id: "dialog-title" }, title),
			element("p", { id: "dialog-text" }, text),
			...fields,
			problem,
			element("div", { class: "buttons" }, no, yes),
		);
		const dialog = element("dialog", { "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text" }, form);
		form.addEventListener("submit", async (event) => {
			event.preventDefault();
			problem.textContent = "";
			yes.disabled = true;
			try {
				await run(new FormData(form));
				isDone = true;
				dialog.close();
			} catch (error) {
				problem.textContent = error.message;
			}
			yes.disabled = false;
		});
		dialog.addEventListener("close", () => {
			dialog.remove();
			resolve(isDone);
		});
		document.body.append(dialog);
		dialog.showModal();
		// What cannot be taken back is not what Enter does at once.
		if (isDangerous) no.focus();
	});
}

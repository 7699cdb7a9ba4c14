// Light or dark as chosen before, set before anything is painted. "auto" is what the system says.
(() => {
	let theme = "auto";
	try {
		theme = localStorage.getItem("gearman-theme") ?? "auto";
	} catch {
		// Storage may be denied: then a choice holds as long as the page.
	}
	document.documentElement.dataset.theme = theme;
})();

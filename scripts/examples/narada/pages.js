// What the web page looks like.

/** Text with its own markup, made by html`…` only. */
class Html {
	constructor(text) {
		this.text = text;
	}

	toString() {
		return this.text;
	}
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Values are escaped; lists and what html`…` made are put in as they are. */
export function html(strings, ...values) {
	const put = (value) => {
		if (value instanceof Html) return value.text;
		if (Array.isArray(value)) return value.map(put).join("");
		return String(value ?? "").replace(/[&<>"']/g, (letter) => ENTITIES[letter]);
	};
	return new Html(String.raw({ raw: strings }, ...values.map(put)));
}

const STYLE = new Html(`
	:root { color-scheme: light dark; --ink: #1c1e21; --soft: #62676e; --line: #d9dce0; --link: #1a4fa3; --mark: #ffe9a8; --paper: #fff; }
	@media (prefers-color-scheme: dark) {
		:root { --ink: #e6e7e9; --soft: #9aa0a8; --line: #3a3e44; --link: #8ab4f8; --mark: #6b5510; --paper: #17191c; }
	}
	body { margin: 0 auto; padding: 2rem 1rem; max-width: 44rem; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
	h1 { margin: 0 0 1rem; font-size: 1.6rem; } h1 a { color: inherit; text-decoration: none; }
	form { display: flex; gap: .5rem; margin-bottom: 1.5rem; }
	input { flex: 1; min-width: 0; } input, button { font: inherit; padding: .5rem .75rem; border: 1px solid var(--line); border-radius: .4rem; color: inherit; background: transparent; }
	button { background: var(--link); border-color: var(--link); color: var(--paper); cursor: pointer; }
	a { color: var(--link); } .soft, .address { color: var(--soft); } .note { padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .4rem; overflow-wrap: anywhere; }
	ol { list-style: none; padding: 0; } li { margin-bottom: 1.4rem; } li p { margin: .1rem 0; overflow-wrap: anywhere; }
	.title { font-size: 1.15rem; } .address { font-size: .85rem; } mark { background: var(--mark); color: inherit; border-radius: .15rem; padding: 0 .1rem; }
	nav { display: flex; justify-content: space-between; } details { margin-top: 3rem; color: var(--soft); } details form { margin: .75rem 0 0; }
`);

export function frame(words, content) {
	return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${words === "" ? "Narada" : `${words} - Narada`}</title>
<style>${STYLE}</style>
</head>
<body>
<h1><a href="/">Narada</a></h1>
<form action="/" role="search"><input type="search" name="q" value="${words}" aria-label="Words" placeholder="Words, or &quot;a phrase&quot;" autofocus><button>Search</button></form>
${content}
<details><summary>Add a site</summary><form action="/submit" method="post"><input name="url" aria-label="Address" placeholder="https://example.com/" required><button>Crawl</button></form></details>
</body>
</html>
`;
}

export function renderHome(counts) {
	const waiting = (counts.new ?? 0) + (counts.queued ?? 0) + (counts.fetched ?? 0);
	return frame("", html`<p class="soft">${counts.indexed ?? 0} pages can be searched, ${waiting} are on the way.</p>`);
}

export function renderError(sentence) {
	return frame("", html`<p class="note">${sentence}</p>`);
}

export function renderResults({ words, total, hits, number, pages }) {
	const marked = (parts) => parts.map(([part, isHit]) => (isHit ? html`<mark>${part}</mark>` : html`${part}`));
	const items = hits.map(
		({ url, title, snippet }) => html`<li>
<p class="title"><a href="${url}">${title.length === 0 ? url : marked(title)}</a></p>
<p class="address">${url}</p>
<p>${marked(snippet)}</p>
</li>
`,
	);
	const link = (to, name) => html`<a href="/?${new URLSearchParams({ q: words, page: to })}">${name}</a>`;
	return frame(
		words,
		html`<p class="soft">${total === 1 ? "1 page" : `${total} pages`}</p>
<ol>
${items}</ol>
<nav><span>${number > 1 ? link(number - 1, "Previous") : ""}</span><span>${number < pages ? link(number + 1, "Next") : ""}</span></nav>`,
	);
}

// The server's HTTP API. Addresses are relative to the page, so a proxy may serve it under any path.

/** GET as JSON; throws Error with the server's sentence. */
export async function get(path, signal) {
	return answer(await fetch(`../${path}`, { signal, headers: { accept: "application/json" } }));
}

/** A change. The header cannot be sent by another site's page without leave, so the server asks for it. */
export async function change(method, path, body) {
	const headers = { accept: "application/json", "x-requested-with": "gearman" };
	if (body !== undefined) headers["content-type"] = "application/json";
	return answer(
		await fetch(`../${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }),
	);
}

async function answer(response) {
	const text = await response.text();
	if (!response.ok) throw new Error(text.trim() || `The server answered ${response.status}`);
	return response.headers.get("content-type") === "application/json" ? JSON.parse(text) : undefined;
}

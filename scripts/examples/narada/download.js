// One HTTP request, with limits on time and bytes. Redirects are told, not followed: the target is a page like any other.

export const USER_AGENT = "narada/1.0 (an example of gearman; a search engine on queues)";
const MAX_RETRY_AFTER_MS = 3_600_000;

/** The server may do better later: 5xx, 429, a timeout, a lost connection. */
export class TemporaryError extends Error {
	retryAfterMs;

	constructor(message, retryAfterSeconds = 0) {
		super(message);
		this.retryAfterMs = Math.min((retryAfterSeconds || 0) * 1000, MAX_RETRY_AFTER_MS);
	}
}

/** { redirect } or { html, type } or how the page ended: { state, reason }. Throws a TemporaryError. */
export async function download(url, { timeoutMs, maxBytes, signal }) {
	const deadline = AbortSignal.timeout(timeoutMs);
	try {
		const response = await fetch(url, {
			redirect: "manual",
			headers: { "user-agent": USER_AGENT, accept: "text/html, application/xhtml+xml, text/plain" },
			signal: AbortSignal.any([signal, deadline]),
		});
		try {
			return await read(response, maxBytes);
		} finally {
			// What is not wanted is not downloaded.
			if (!response.bodyUsed) await response.body?.cancel();
		}
	} catch (error) {
		if (error instanceof TemporaryError) throw error;
		const reason = deadline.aborted ? `no answer for ${timeoutMs} ms` : (error.cause?.message ?? error.message);
		throw new TemporaryError(reason);
	}
}

async function read(response, maxBytes) {
	const { status, headers } = response;
	const location = headers.get("location");
	if (status >= 300 && status < 400 && location !== null) return { redirect: location };
	if (status >= 500 || status === 429) throw new TemporaryError(`HTTP ${status}`, Number(headers.get("retry-after")));
	if (status !== 200) return { state: "failed", reason: `HTTP ${status}` };
	const [type, charset] = contentType(headers.get("content-type") ?? "");
	if (!["text/html", "application/xhtml+xml", "text/plain"].includes(type))
		return { state: "skipped", reason: `it is ${type || "of no type"}` };
	const bytes = await readBody(response, maxBytes);
	if (bytes === undefined) return { state: "skipped", reason: `it is over ${maxBytes} bytes` };
	return { html: decode(bytes, charset), type };
}

/** Undefined: more than `maxBytes`. */
async function readBody(response, maxBytes) {
	const chunks = [];
	let length = 0;
	for await (const chunk of response.body ?? []) {
		length += chunk.length;
		if (length > maxBytes) return undefined;
		chunks.push(chunk);
	}
	return Buffer.concat(chunks);
}

function contentType(header) {
	const [type, ...parameters] = header.split(";").map((part) => part.trim().toLowerCase());
	const charset = parameters.find((parameter) => parameter.startsWith("charset="));
	return [type, charset?.slice("charset=".length).replaceAll('"', "")];
}

function decode(bytes, charset) {
	const [, declared] = /<meta[^>]+charset=["']?([\w-]+)/i.exec(bytes.toString("latin1", 0, 1024)) ?? [];
	try {
		return new TextDecoder(charset ?? declared ?? "utf-8").decode(bytes);
	} catch {
		return bytes.toString();
	}
}

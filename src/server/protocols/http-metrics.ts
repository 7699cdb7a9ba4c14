// GET /metrics, for Prometheus and what reads its formats.

import { CONTENT_TYPES, expose, formatFor } from "../exposition.ts";
import type { Exchange } from "./http-answer.ts";

export function metrics({ server, request, response }: Exchange): void {
	const format = formatFor(request.headers.accept ?? "");
	const body = expose(server, format);
	response.writeHead(200, {
		"Content-Type": CONTENT_TYPES[format],
		"Content-Length": body.length,
		"Cache-Control": "no-store",
		Vary: "Accept",
	});
	response.end(body);
}

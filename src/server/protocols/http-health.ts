// GET /livez and /readyz, for whoever starts and stops servers, or shares work out among them.

import { answerText, type Exchange } from "./http-answer.ts";

/** The process answers. */
export function livez({ response }: Exchange): void {
	response.setHeader("Cache-Control", "no-store");
	answerText(response, 200, "ok");
}

/** The server takes jobs: 503 and why, when it does not. */
export function readyz({ server, response }: Exchange): void {
	response.setHeader("Cache-Control", "no-store");
	if (server.isDraining || server.isStopping) answerText(response, 503, "draining");
	else if (server.isReplaying) answerText(response, 503, "replaying");
	else if (server.journal.isFailing) answerText(response, 503, "the store is away");
	else answerText(response, 200, "ok");
}

// A request's body, whole, in few copies and never more of it than a limit: --max-packet-size for jobs.

import { answerText, type Exchange } from "./http-answer.ts";

/** Chunks may be a byte each: they are gathered in pieces, ever larger ones, so that each byte costs about a byte. */
const FIRST_PIECE = 4096;
const LARGEST_PIECE = 4 << 20;

/** The body; undefined when it was too large, which has been answered, or when the client left. */
export function readBody(
	{ server, request, response }: Exchange,
	limit: number = server.options.maxPacketBytes,
): Promise<Buffer | undefined> {
	const tooLarge = () => answerText(response, 413, `The body is over the limit of ${limit} bytes`);
	const coding = request.headers["transfer-encoding"]?.toLowerCase() ?? "chunked";
	if (coding !== "chunked") {
		answerText(response, 501, `The body may be chunked, not "${coding}"`);
		return Promise.resolve(undefined);
	}
	if (Number(request.headers["content-length"] ?? 0) > limit) {
		tooLarge();
		return Promise.resolve(undefined);
	}
	if (request.headers.expect !== undefined) {
		response.writeContinue();
		// From here on it sends, whatever comes.
		delete request.headers.expect;
	}
	return new Promise((resolve) => {
		const pieces: Buffer[] = [];
		let last: Buffer | undefined;
		let used = 0;
		let size = 0;
		// The request lives on until its answer is out.
		const forget = () => {
			request.off("data", onData);
			pieces.length = 0;
			last = undefined;
		};
		const onData = (chunk: Buffer) => {
			size += chunk.length;
			if (size > limit) {
				forget();
				tooLarge();
				resolve(undefined);
				return;
			}
			for (let at = 0; at < chunk.length; ) {
				if (last === undefined || used === last.length) {
					last = Buffer.allocUnsafeSlow(Math.min(LARGEST_PIECE, Math.max(FIRST_PIECE, size)));
					pieces.push(last);
					used = 0;
				}
				const copied = chunk.copy(last, used, at);
				used += copied;
				at += copied;
			}
		};
		request.on("data", onData);
		request.once("end", () => {
			resolve(Buffer.concat(pieces, size));
			forget();
		});
		request.once("close", () => resolve(undefined));
		// Nothing has moved for as long as an idle connection is kept.
		request.once("timeout", () => request.socket.destroy());
	});
}

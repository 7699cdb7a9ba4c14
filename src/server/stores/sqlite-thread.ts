// The thread of the SQLite store: opens the file it was started with and does what it is asked, in order. Commits wait
// for the disk here, where nobody else waits with them. sqlite.ts starts it.

import { parentPort, workerData } from "node:worker_threads";
import { decodeChanges, encodeChanges } from "./records.ts";
import { asStoreError, type FileOptions, type JobsFile, openJobs } from "./sqlite-jobs.ts";

/** What the thread can be asked. Each is answered by one Answer, in order. */
export type Request =
	| { readonly kind: "open" }
	| { readonly kind: "write"; readonly changes: ArrayBuffer }
	| { readonly kind: "read"; readonly after: number; readonly last: number }
	| { readonly kind: "close" };

export type Answer =
	| { readonly kind: "opened"; readonly lastReserved: number; readonly lastNumber: number }
	| { readonly kind: "done" }
	| { readonly kind: "jobs"; readonly changes: ArrayBuffer }
	/** When the thread is broken, another one has to take its place; this one does no more. */
	| { readonly kind: "failed"; readonly sentence: string; readonly isBroken: boolean };

const options = workerData as FileOptions;
let file: JobsFile | undefined;
/** Batches refused in a row. SQLite usually gets over an error by itself: the next one tells. */
let failures = 0;

async function answer(request: Request): Promise<Answer> {
	if (request.kind !== "close") file ??= await openJobs(options);
	switch (request.kind) {
		case "open":
			return { kind: "opened", lastReserved: file?.lastReserved() ?? 0, lastNumber: file?.lastNumber() ?? 0 };
		case "write":
			failures++;
			file?.write(decodeChanges(Buffer.from(request.changes)));
			failures = 0;
			return { kind: "done" };
		case "read": {
			const jobs = file?.read(request.after, request.last) ?? [];
			return { kind: "jobs", changes: encodeChanges(jobs.map((job) => ({ kind: "add", job }))).buffer };
		}
		case "close":
			file?.close();
			return { kind: "done" };
	}
}

let last: Promise<void> = Promise.resolve();
parentPort?.on("message", (request: Request) => {
	last = last.then(async () => {
		let reply: Answer;
		try {
			reply = await answer(request);
		} catch (error) {
			const isBroken = file === undefined || failures > 1;
			reply = { kind: "failed", sentence: asStoreError(error, options.path).message, isBroken };
		}
		parentPort?.postMessage(reply, reply.kind === "jobs" ? [reply.changes] : []);
	});
});

// Every error code, once. Two kinds: codes a job server sends in ERROR packets (gearmand's own names and sentences), and
// codes of this program's own errors. Callers test `code`, never the sentence.

/** Codes and sentences of the ERROR packets our server sends; the words are gearmand's where gearmand has them. */
export const SERVER_ERRORS = {
	INVALID_MAGIC: "Request magic expected",
	INVALID_COMMAND: "Command not expected",
	INVALID_PACKET: "Packet has too few arguments",
	ARGUMENT_TOO_LARGE: "Argument too large",
	UNKNOWN_OPTION: "Server does not recognize given option",
	JOB_NOT_FOUND: "Job given in work result not found",
	QUEUE_ERROR: "QUEUE_ERROR",
	SHUTDOWN_GRACEFUL: "Server is shutting down",
} as const;

/** Codes of the errors this program and library throw. */
const SENTENCES = {
	ABORTED: "The call was aborted",
	BAD_ARGUMENT: "An argument is not usable",
	COMMAND_FAILED: "The command failed",
	CONNECTION_LOST: "The connection to the job server was lost",
	COULD_NOT_LISTEN: "The job server could not listen",
	COULD_NOT_CONNECT: "No job server could be reached",
	INVALID_RESPONSE: "The job server sent something that is not Gearman",
	JOB_EXCEPTION: "The job raised an exception",
	JOB_FAILED: "The job failed",
	NO_WORKER: "No worker can do the function",
	SERVER_ERROR: "The job server refused the request",
	STORE_FAILED: "The job store failed",
	TIMED_OUT: "Timed out",
	USAGE: "Error in usage",
} as const;

export type ServerErrorCode = keyof typeof SERVER_ERRORS;
export type ErrorCode = keyof typeof SENTENCES;

export interface GearmanErrorOptions {
	/** What led to it. */
	cause?: unknown;
	/** JOB_EXCEPTION: the worker's bytes. */
	data?: Buffer;
	/** SERVER_ERROR: the code in the ERROR packet, e.g. `QUEUE_ERROR`. */
	serverCode?: string;
	/** CONNECTION_LOST, TIMED_OUT: the job may have been accepted or run; submitting it again may run it twice. */
	mayHaveRun?: boolean;
}

/** The only error class this package throws on purpose. */
export class GearmanError extends Error {
	override readonly name = "GearmanError";
	readonly code: ErrorCode;
	readonly data: Buffer | undefined;
	readonly serverCode: string | undefined;
	readonly mayHaveRun: boolean;

	/** `message` defaults to the code's own sentence. */
	constructor(code: ErrorCode, message: string = SENTENCES[code], options: GearmanErrorOptions = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.code = code;
		this.data = options.data;
		this.serverCode = options.serverCode;
		this.mayHaveRun = options.mayHaveRun ?? false;
	}
}

// The public API: re-exports only. Nothing runs at import.

export { Admin, type AdminOptions, type AskOptions } from "./admin/admin.ts";
export type { Sample } from "./admin/metrics.ts";
export type { FunctionStatus, JobRow, PriorityStatus, QueueInfo, WorkerRow } from "./admin/replies.ts";
export { Client, type ClientOptions, type JobStatus, type UniqueStatus } from "./client/client.ts";
export type { Pieces, ReduceOptions, Reducer } from "./client/reduce.ts";
export type { BackgroundOptions, CallOptions, Priority, SubmitOptions } from "./client/submission.ts";
export type { Task, TaskEvent } from "./client/task.ts";
export { type ErrorCode, GearmanError } from "./errors.ts";
export { type Level, Log, type LogFields, type LogFormat } from "./log.ts";
export type { ServerAddress } from "./net/connection.ts";
export type { TlsFiles } from "./net/tls.ts";
export { Server } from "./server/server.ts";
export type { ServerOptions } from "./server/settings.ts";
export type { Change, Store, StoredJob, StoreInfo, StoreOptions } from "./server/stores/index.ts";
export type { Job } from "./worker/job.ts";
export {
	type AbilityOptions,
	Worker,
	type WorkerOptions,
	type WorkFunction,
	type WorkResult,
} from "./worker/worker.ts";

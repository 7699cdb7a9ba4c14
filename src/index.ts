// The public API: re-exports only. Nothing runs at import.

export { Admin } from "./admin/admin.ts";
export { Client } from "./client/client.ts";
export { GearmanError, type ErrorCode } from "./errors.ts";
export { Log, type Level } from "./log.ts";
export { Server, type ServerOptions } from "./server/server.ts";
export type { Change, Store, StoredJob } from "./server/stores/index.ts";
export { Worker } from "./worker/worker.ts";

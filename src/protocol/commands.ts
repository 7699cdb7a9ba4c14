// The packet table: every packet of the Gearman protocol, once. Number, NAME, the arguments in front, and whether
// opaque data follows them. Types, numbers and names derive from it; parser.ts splits packets by it.
//
//   0        4        8        12
//   | \0REQ  | type   | size   | argument \0 argument \0 … data |
//   | \0RES  | u32 BE | u32 BE | size bytes                      |
//
// The last field has no NUL behind it: it ends where the packet ends. So data may hold NULs and may be empty.

const WITH_DATA = true;
const NO_DATA = false;

const table = [
	[1, "CAN_DO", ["function"], NO_DATA],
	[2, "CANT_DO", ["function"], NO_DATA],
	[3, "RESET_ABILITIES", [], NO_DATA],
	[4, "PRE_SLEEP", [], NO_DATA],
	[6, "NOOP", [], NO_DATA],
	[7, "SUBMIT_JOB", ["function", "unique"], WITH_DATA],
	[8, "JOB_CREATED", ["handle"], NO_DATA],
	[9, "GRAB_JOB", [], NO_DATA],
	[10, "NO_JOB", [], NO_DATA],
	[11, "JOB_ASSIGN", ["handle", "function"], WITH_DATA],
	[12, "WORK_STATUS", ["handle", "numerator", "denominator"], NO_DATA],
	[13, "WORK_COMPLETE", ["handle"], WITH_DATA],
	[14, "WORK_FAIL", ["handle"], NO_DATA],
	[15, "GET_STATUS", ["handle"], NO_DATA],
	[16, "ECHO_REQ", [], WITH_DATA],
	[17, "ECHO_RES", [], WITH_DATA],
	[18, "SUBMIT_JOB_BG", ["function", "unique"], WITH_DATA],
	[19, "ERROR", ["code", "text"], NO_DATA],
	[20, "STATUS_RES", ["handle", "known", "running", "numerator", "denominator"], NO_DATA],
	[21, "SUBMIT_JOB_HIGH", ["function", "unique"], WITH_DATA],
	[22, "SET_CLIENT_ID", ["id"], NO_DATA],
	[23, "CAN_DO_TIMEOUT", ["function", "timeout"], NO_DATA],
	[24, "ALL_YOURS", [], NO_DATA],
	[25, "WORK_EXCEPTION", ["handle"], WITH_DATA],
	[26, "OPTION_REQ", ["option"], NO_DATA],
	[27, "OPTION_RES", ["option"], NO_DATA],
	[28, "WORK_DATA", ["handle"], WITH_DATA],
	[29, "WORK_WARNING", ["handle"], WITH_DATA],
	[30, "GRAB_JOB_UNIQ", [], NO_DATA],
	[31, "JOB_ASSIGN_UNIQ", ["handle", "function", "unique"], WITH_DATA],
	[32, "SUBMIT_JOB_HIGH_BG", ["function", "unique"], WITH_DATA],
	[33, "SUBMIT_JOB_LOW", ["function", "unique"], WITH_DATA],
	[34, "SUBMIT_JOB_LOW_BG", ["function", "unique"], WITH_DATA],
	[35, "SUBMIT_JOB_SCHED", ["function", "unique", "minute", "hour", "mday", "month", "wday"], WITH_DATA],
	[36, "SUBMIT_JOB_EPOCH", ["function", "unique", "epoch"], WITH_DATA],
	[37, "SUBMIT_REDUCE_JOB", ["function", "unique", "reducer", "aggregator"], WITH_DATA],
	[38, "SUBMIT_REDUCE_JOB_BACKGROUND", ["function", "unique", "reducer", "aggregator"], WITH_DATA],
	[39, "GRAB_JOB_ALL", [], NO_DATA],
	[40, "JOB_ASSIGN_ALL", ["handle", "function", "unique", "reducer"], WITH_DATA],
	[41, "GET_STATUS_UNIQUE", ["unique"], NO_DATA],
	[42, "STATUS_RES_UNIQUE", ["unique", "known", "running", "numerator", "denominator", "clients"], NO_DATA],
] as const;

type Row = (typeof table)[number];

/** A packet's NAME as the protocol writes it, e.g. `SUBMIT_JOB`. */
export type PacketName = Row[1];
/** A packet's number in the header, 1–42 without 5. */
export type PacketType = Row[0];

/** Number by NAME: `Type.SUBMIT_JOB === 7`. */
export const Type = Object.fromEntries(table.map(([type, name]) => [name, type])) as {
	readonly [R in Row as R[1]]: R[0];
};

/** One past the highest packet number; larger ones are not Gearman. */
const TYPE_LIMIT = 43;

const names: (PacketName | undefined)[] = new Array(TYPE_LIMIT).fill(undefined);
const fieldCounts = new Int8Array(TYPE_LIMIT).fill(-1);
const argumentCounts = new Int8Array(TYPE_LIMIT);
for (const [type, name, fields, hasData] of table) {
	names[type] = name;
	argumentCounts[type] = fields.length;
	fieldCounts[type] = fields.length + (hasData ? 1 : 0);
}

/** The packet's NAME, or `undefined` for a number the protocol does not use. */
export function nameOf(type: number): PacketName | undefined {
	return names[type];
}

/** How many fields a packet's body holds, its data counted as one; -1 for a number the protocol does not use. */
export function fieldCount(type: number): number {
	return type < TYPE_LIMIT ? fieldCounts[type] : -1;
}

/** How many arguments stand in front of the packet's data, or are all it has. */
export function argumentCount(type: number): number {
	return argumentCounts[type];
}

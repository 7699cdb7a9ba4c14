// The MySQL store, against a MariaDB or MySQL of its own.

import test from "ava";
import mysql from "mysql2/promise";
import { MysqlStore } from "../../dist/server/stores/mysql.js";
import { services, startService } from "../helpers/services.js";
import { opened, testRemoteStore } from "./remote.js";
import { add, jobOf, replay } from "./suite.js";

const create = (options) => new MysqlStore({ port: 0, options });
const testHere = services.mysql.program === undefined ? test.serial.skip : test.serial;

testRemoteStore(test, "mysql", {
	create,
	queueOptions: (name) => ({ "mysql-table": `queue_${name}` }),
	largest: 12 << 20,
	tooLarge: 16 << 20,
	gearmand: {
		option: "--mysql-host",
		arguments: ({ options }) => [
			"--queue-type=MySQL",
			...Object.entries({ ...options, "mysql-db": "jobs" }).map(([name, value]) => `--${name}=${value}`),
		],
		options: { "mysql-db": "jobs" },
		hasEpoch: true,
		prepare: (service) => query(service, "CREATE DATABASE jobs"),
	},
});

async function query({ port }, ...statements) {
	const connection = await mysql.createConnection({ host: "127.0.0.1", port, user: "root" });
	for (const statement of statements) await connection.query(statement);
	await connection.end();
}

testHere("mysql: rows made by hand, without transactions and with times after 2038, are taken over", async (t) => {
	const service = await startService("mysql", t);
	await query(
		service,
		`CREATE TABLE mysql.gearman_queue (unique_key VARCHAR(64), function_name VARCHAR(255), priority INT, data LONGBLOB,
			when_to_run INT, unique key (unique_key, function_name)) ENGINE=MyISAM`,
		"INSERT INTO mysql.gearman_queue VALUES ('a', 'f', 1, 'x', -192522496), ('b', 'g', 2, NULL, 1)",
	);
	const jobs = await replay(await opened(t, create(service.options)));
	t.deepEqual(
		jobs.map((job) => [job.unique, job.functionName, job.priority, `${job.workload}`, job.dueMs]),
		[
			["a", "f", 1, "x", 4_102_444_800_000],
			["b", "g", 2, "", 1000],
		],
	);
});

testHere("mysql: a job too large for a packet is refused with a sentence, and the next batch goes in", async (t) => {
	const service = await startService("mysql", t);
	const store = await opened(t, create(service.options));
	const large = jobOf(1, { workload: Buffer.alloc(16 << 20) });
	await t.throwsAsync(async () => store.write([add(large), add(jobOf(2))]), {
		code: "STORE_FAILED",
		message: /a workload of 16777216 bytes is over its max_allowed_packet, 16777216/,
	});
	await store.write([add(jobOf(3))]);
	await store.close();
	const left = await replay(await opened(t, create(service.options)));
	t.deepEqual(
		left.map(({ handle }) => handle),
		["H:test:3"],
	);
});

test("mysql: a database has to be named, and a table's name has to be one", (t) => {
	t.throws(() => create({}), { code: "BAD_ARGUMENT", message: /mysql-db/ });
	for (const name of ["", "a`b", "a b", "a.b", "x".repeat(60)]) {
		t.throws(() => create({ "mysql-db": "jobs", "mysql-table": name }), { code: "BAD_ARGUMENT" }, name);
	}
});

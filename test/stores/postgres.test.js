// The PostgreSQL store, against a PostgreSQL of its own.

import test from "ava";
import pg from "pg";
import { readConninfo } from "../../dist/server/stores/conninfo.js";
import { PostgresStore } from "../../dist/server/stores/postgres.js";
import { services, startService } from "../helpers/services.js";
import { opened, testRemoteStore } from "./remote.js";
import { add, jobOf, replay } from "./suite.js";

const create = (options) => new PostgresStore({ port: 0, options });
const testHere = services.postgres.program === undefined ? test.serial.skip : test.serial;

testRemoteStore(test, "postgres", {
	create,
	queueOptions: (name) => ({ "libpq-table": `queue_${name}` }),
	largest: 100 << 20,
	tooLarge: 2 ** 30,
	gearmand: {
		option: "--libpq-conninfo",
		arguments: ({ options }) => ["--queue-type=Postgres", `--libpq-conninfo=${options["libpq-conninfo"]}`],
		options: {},
		hasEpoch: true,
	},
});

async function query(service, ...statements) {
	const [config] = readConninfo(service.options["libpq-conninfo"]).slice(-1);
	const client = new pg.Client(config);
	await client.connect();
	for (const statement of statements) await client.query(statement);
	await client.end();
}

testHere("postgres: rows made by hand as an old gearmand made them, without times, are taken over", async (t) => {
	const service = await startService("postgres", t);
	await query(
		service,
		'CREATE SCHEMA "Old"',
		'CREATE TABLE "Old".queue (unique_key varchar(64), function_name varchar(255), priority integer, data bytea)',
		`INSERT INTO "Old".queue VALUES ('u', 'f', 2, 'x'), ('é', 'g', 0, NULL)`,
	);
	const store = await opened(t, create({ ...service.options, "libpq-table": "Old.queue" }));
	const jobs = (await replay(store)).map((job) => [job.unique, job.functionName, job.priority, `${job.workload}`]);
	t.deepEqual(jobs, [
		["u", "f", 2, "x"],
		[Buffer.from("é").toString("latin1"), "g", 0, ""],
	]);
});

testHere("postgres: a batch the database refuses is refused with its sentence, and the next one goes in", async (t) => {
	const service = await startService("postgres", t);
	const store = await opened(t, create(service.options));
	await store.write([add(jobOf(1))]);
	await t.throwsAsync(async () => store.write([add(jobOf(2)), add(jobOf(1))]), {
		code: "STORE_FAILED",
		message: /^PostgreSQL at 127\.0\.0\.1:\d+: duplicate key value/,
	});
	await store.write([add(jobOf(3))]);
	await store.close();
	const left = await replay(await opened(t, create(service.options)));
	t.deepEqual(
		left.map(({ handle }) => handle),
		["H:test:1", "H:test:3"],
	);
});

test("postgres: conninfo is read as libpq reads it", (t) => {
	const [config] = readConninfo(" host = 'my host' port=5433 dbname='it\\'s' user=a\\ b password='' sslmode=disable");
	t.like(config, { host: "my host", port: 5433, database: "it's", user: "a b", ssl: false });
	const [uri] = readConninfo("postgresql://me:p%40ss@db:6000/jobs?sslmode=verify-full&connect_timeout=3");
	t.like(uri, {
		host: "db",
		port: 6000,
		user: "me",
		password: "p@ss",
		database: "jobs",
		connectionTimeoutMillis: 3000,
	});
	t.true(uri.ssl.rejectUnauthorized);
	t.is(readConninfo("postgres:///jobs?host=/run/pg")[0].host, "/run/pg");
	t.deepEqual(
		readConninfo("host=db").map(({ ssl }) => ssl?.rejectUnauthorized),
		[false, undefined],
	);
	for (const wrong of ["host", "host=a,b", "nonsense=1", "port=x", "sslmode=maybe", "host='a"]) {
		t.throws(() => readConninfo(wrong), { code: "BAD_ARGUMENT", message: /^libpq-conninfo: / }, wrong);
	}
});

test("postgres: a table's name that would be more than a name is refused", (t) => {
	for (const name of ["", 'a"b', "a b", "a;b", "a.b.c", "1a", "x".repeat(59)]) {
		t.throws(() => create({ "libpq-table": name }), { code: "BAD_ARGUMENT" }, name);
	}
});

// gearadmin, C's and ours, asking C's gearmand and ours: the same bytes for the same state.

import { C, ours, run, startGearmand, testWith } from "../helpers/programs.js";
import { dial } from "../helpers/server.js";
import { until } from "../helpers/until.js";

const PREFIX = "H:test";

/** A server in a state that shows up in every list: jobs of all kinds, workers busy and idle. */
async function prepare(t, gearmand) {
	const { port, child } = await startGearmand(t, gearmand, [`--job-handle-prefix=${PREFIX}`, "--verbose=INFO"]);
	const [client, worker] = [await dial(t, port), await dial(t, port)];
	const handles = [];
	for (const fields of [
		["SUBMIT_JOB", "busy", "foreground", "a"],
		["SUBMIT_JOB_BG", "busy", "background", "b"],
		["SUBMIT_JOB_HIGH_BG", "queue", "high", "c"],
		["SUBMIT_JOB_LOW_BG", "queue", "low", "d"],
		["SUBMIT_JOB_LOW", "queue", "low foreground", "e"],
	]) {
		client.send(...fields);
		const [type, handle] = await client.next();
		t.is(type, "JOB_CREATED");
		handles.push(handle);
	}
	worker.send("SET_CLIENT_ID", "worker-1");
	worker.send("CAN_DO", "busy");
	worker.send("CAN_DO", "idle");
	worker.send("GRAB_JOB");
	const [type, handle] = await worker.next();
	t.deepEqual([type, handle], ["JOB_ASSIGN", handles[0]]);
	t.deepEqual(await worker.settle(), []);
	const ask = (gearadmin, ...args) => run(t, gearadmin, ["-h", "127.0.0.1", "-p", `${port}`, ...args]);
	// Peers of questions asked before may not have been seen to leave.
	const quiet = () =>
		until(async () => {
			client.raw("workers\n");
			let rows = 0;
			for (let line = await client.next(); line !== "."; line = await client.next()) rows++;
			return rows === 2;
		}, "the other connections' end");
	return { pid: child.pid, client, handles, ask, quiet };
}

const sorted = (text) => text.split("\n").sort().join("\n");

for (const [whose, gearmand] of Object.entries({ C: C.gearmand, our: ours.gearmand })) {
	for (const [whoseAdmin, gearadmin] of Object.entries({ C: C.gearadmin, our: ours.gearadmin })) {
		testWith(gearmand, gearadmin)(`${whoseAdmin} gearadmin, ${whose} gearmand: every list`, async (t) => {
			const { ask, quiet, pid, handles } = await prepare(t, gearmand);
			const said = async (...args) => {
				const { stdout, stderr, exitCode } = await ask(gearadmin, ...args);
				t.deepEqual([stderr, exitCode], ["", 0], args.join(" "));
				return stdout;
			};
			// gearmand lists functions and jobs in the order of its hash tables.
			t.is(sorted(await said("--status")), sorted("busy\t2\t1\t1\nidle\t0\t0\t1\nqueue\t3\t0\t0\n.\n"));
			t.is(
				sorted(await said("--priority-status")),
				sorted("busy\t0\t1\t0\t1\nidle\t0\t0\t0\t1\nqueue\t1\t0\t2\t0\n.\n"),
			);
			t.is(
				sorted(await said("--show-jobs")),
				sorted(`${handles.map((handle, i) => `${handle}\t0\t0\t${[0, 1, 1, 1, 0][i]}`).join("\n")}\n.\n`),
			);
			t.is(sorted(await said("--show-unique-jobs")), sorted("foreground\nbackground\nhigh\nlow\nlow foreground\n.\n"));
			await quiet();
			const workers = (await said("--workers")).replace(/^\d+ /gm, "FD ");
			t.is(sorted(workers), sorted("FD 127.0.0.1 - :\nFD 127.0.0.1 - :\nFD 127.0.0.1 worker-1 : idle busy\n.\n"));
			t.is(await said("--getpid"), `${pid}\n`);
			t.is(await said("--server-verbose"), "INFO\n");
			t.regex(await said("--server-version"), /^[\w.+~-]+\n$/);
		});

		testWith(gearmand, gearadmin)(`${whoseAdmin} gearadmin, ${whose} gearmand: create, drop and cancel`, async (t) => {
			const { ask, client, handles } = await prepare(t, gearmand);
			const said = async (...args) => (await ask(gearadmin, ...args)).stdout;
			t.is(await said("--create-function", "made"), "OK\n");
			t.true((await said("--status")).split("\n").includes("made\t0\t0\t0"));
			t.is(await said("--drop-function", "made"), "OK\n");
			t.false((await said("--status")).includes("made"));
			t.is(await said("--cancel-job", handles[4]), "OK\n");
			t.deepEqual(await client.next(), ["WORK_FAIL", handles[4]]);
			for (const [args, error] of [
				[["--drop-function", "nowhere"], "function not found"],
				[["--drop-function", "busy"], "there are still connected workers or executing clients"],
				[["--cancel-job", `${PREFIX}:999`], "UNKNOWN_JOB"],
			]) {
				const { stdout, stderr, exitCode } = await ask(gearadmin, ...args);
				t.is(stdout, "", args[0]);
				t.true(stderr.includes(error), stderr);
				// C's gearadmin takes an ERR for a success.
				t.is(exitCode, whoseAdmin === "C" ? 0 : 1, args[0]);
			}
			t.true((await said("--status")).split("\n").includes("busy\t2\t1\t1"));
		});
	}

	testWith(gearmand, C.gearadmin)(
		`C gearadmin and ours print the same of ${whose} gearmand, bytes and all`,
		async (t) => {
			const { ask, quiet } = await prepare(t, gearmand);
			for (const args of [
				["--status"],
				["--priority-status"],
				["--show-jobs"],
				["--show-unique-jobs"],
				["--workers"],
				["--getpid"],
				["--server-version"],
				["--server-verbose"],
				["--create-function", "made"],
				["--create-function", "made"],
				["--status", "--show-jobs"],
			]) {
				const answers = [];
				for (const gearadmin of [C.gearadmin, ours.gearadmin]) {
					await quiet();
					const { stdout } = await ask(gearadmin, ...args);
					// The asking connection, and the order of gearmand's threads.
					answers.push(args[0] === "--workers" ? sorted(stdout.replace(/^\d+ /gm, "FD ")) : stdout);
				}
				t.is(answers[1], answers[0], args.join(" "));
				t.not(answers[1], "");
			}
		},
	);
}

testWith(C.gearmand)("our gearadmin --queue-info, C gearmand: one sentence, exit 1", async (t) => {
	const { port } = await startGearmand(t, C.gearmand, []);
	const { stdout, stderr, exitCode } = await run(t, ours.gearadmin, ["-p", `${port}`, "--queue-info"]);
	t.deepEqual([stdout, stderr, exitCode], ["", 'Error: the job server has no command "queue"\n', 1]);
});

import test from "ava";
import { getopt, pickMode } from "../../dist/cli/getopt.js";

/** A command line as a shell without quotes would split it. */
const split = (line) => (line === "" ? [] : line.split(" "));
const scan = (mode, line) => getopt(mode, Array.isArray(line) ? line : split(line));

const reads = test.macro({
	title: (_, mode, line) => `${mode}: ${Array.isArray(line) ? JSON.stringify(line) : line}`,
	exec(t, mode, line, words, operands = "") {
		const scanned = scan(mode, line);
		t.is(scanned.problem, undefined);
		t.deepEqual(scanned.words, Array.isArray(words) ? words : split(words));
		t.deepEqual(scanned.operands, Array.isArray(operands) ? operands : split(operands));
	},
});

test(reads, "client", "-freverse -hlocalhost text", "--function=reverse --host=localhost", "text");
test(reads, "client", "-nf logger", "--lines --function=logger");
test(reads, "client", ["-p 4730", "-f", "x"], ["--port= 4730", "--function=x"]);
test(reads, "client", "-f a -f b one two", "--function=a --function=b", "one two");
test(reads, "client", "one -f a two -b", "--function=a --background", "one two");
test(reads, "client", "-f a -- -b --foo", "--function=a", "-b --foo");
test(reads, "client", "-f a - -b", "--function=a --background", "-");
test(reads, "client", "-f -w -b", "--function=-w --background");
test(reads, "client", "-f x -j -1 -t -5", "--function=x --jobs=-1 --timeout=-5");
test(reads, "client", "-vP0sf x", "--verbose --prefix --null --no-input --function=x");
test(reads, "client", ["-f", ""], ["--function="]);
test(reads, "client", "-f= -h=x", "--function== --host==x");
test(reads, "client", "-c 5 -f x", "--count=5 --function=x");
test(reads, "client", "--function=a=b --timeout 5s", "--function=a=b --timeout=5s");
test(reads, "client", "--function --host", "--function=--host");
test(reads, "client", "-I -f x -L", "--function=x --low");
test(reads, "client", "-L -I -L -I", "--high");
test(reads, "client", "-vvv", "--verbose --verbose --verbose");
test(reads, "client", "--status H:host:1 -h here", "--status=H:host:1 --host=here");

test(reads, "worker", "-w -f wc wc -l", "--worker --function=wc", "wc -l");
test(reads, "worker", "-f wc -w wc -l", "--function=wc --worker", "wc -l");
test(reads, "worker", "-w -f wc -- wc -l", "--worker --function=wc", "wc -l");
test(reads, "worker", "-w ./command -f x -n", "--worker --function=x --lines", "./command");
test(reads, "worker", "-f wc wc -w", "--function=wc --worker", "wc");
test(reads, "worker", "-w -f x grep -- -v", "--worker --function=x", "grep -- -v");
test(reads, "worker", "-c3 -wPbf x", "--count=3 --worker --prefix --background --function=x");

test(reads, "server", "-j -1 -w 0 -t4", "--job-retries=-1 --worker-wakeup=0 --threads=4");
test(
	reads,
	"server",
	"-dRP /run/pid --listen a -L b",
	"--daemon --round-robin --pid-file=/run/pid --listen=a --listen=b",
);
test(reads, "server", "-vvv", "--v --v --v");
test(reads, "server", "-p=5", "--port==5");
test(reads, "server", "@/etc/more", "--config-file=/etc/more");

test(reads, "admin", "--stat --worker", "--status --workers");
test(reads, "admin", "--status ignored -p 1", "--status --port=1", "ignored");
test(reads, "admin", "--ssl --show-j", "--ssl --show-jobs");

const refuses = test.macro({
	title: (_, mode, line) => `${mode}: ${line} is refused`,
	exec: (t, mode, line, problem) => t.is(scan(mode, line).problem, problem),
});

test(refuses, "client", "-Z", "unrecognised option '-Z'");
test(refuses, "client", "-nZf x", "unrecognised option '-Z'");
test(refuses, "client", "-f", "the required argument for option '--function' is missing");
test(refuses, "client", "--fucntion=x", "unrecognised option '--fucntion=x'; did you mean '--function'?");
test(refuses, "client", "--back -f x", "unrecognised option '--back'; did you mean '--background'?");
test(refuses, "client", "--completely-else", "unrecognised option '--completely-else'");
test(refuses, "client", "--background=1", "option '--background' does not take any arguments");
test(refuses, "worker", "-w ./command -l -f x", "unrecognised option '-l'");
test(refuses, "server", "--foo", "unrecognised option '--foo'");
test(refuses, "server", "--foo=1", "unrecognised option '--foo=1'");
test(refuses, "server", "--por 1", "unrecognised option '--por'; did you mean '--port'?");
test(refuses, "server", "--split 1", "unrecognised option '--split'; it is the client's");
test(refuses, "client", "--keep", "unrecognised option '--keep'; it is the worker's, and needs -w");
test(refuses, "server", "-dZ", "unrecognised option '-dZ'");
test(refuses, "server", "foo", "unrecognised option 'foo'");
test(refuses, "server", "-", "unrecognised option '-'");
test(refuses, "server", "-- foo", "unrecognised option 'foo'");
test(refuses, "server", "--port", "the required argument for option '--port' is missing");
test(refuses, "server", "-p -d", "the required argument for option '--port' is missing");
test(refuses, "server", "--port=", "the argument for option '--port' should follow immediately after the equal sign");
test(refuses, "server", "--daemon=1", "option '--daemon' does not take any arguments");
test(refuses, "server", "--backlog=1 -b 2", "option '--backlog' cannot be specified more than once");
test(refuses, "server", "-dd", "option '--daemon' cannot be specified more than once");
test(refuses, "admin", "--show", "option '--show' is ambiguous and matches '--show-jobs', and '--show-unique-jobs'");
test(refuses, "admin", "--getpid --getpid", "option '--getpid' cannot be specified more than once");

test("help is seen behind a problem", (t) => {
	t.true(scan("client", "-Z -H").wantsHelp);
	t.true(scan("client", "-f x --help").wantsHelp);
	t.false(scan("client", "-f -H").wantsHelp);
	t.false(scan("client", "-f x -- -H").wantsHelp);
});

test("words after a problem are left out", (t) => {
	t.deepEqual(scan("client", "-n -Z -f x").words, ["--lines"]);
});

const picks = test.macro({
	title: (_, line, mode) => `${line} is ${mode} mode`,
	exec(t, line, mode) {
		const [name, ...argv] = split(line);
		t.is(pickMode(name, argv), mode);
	},
});

test(picks, "gearman", "client");
test(picks, "gearmand -w 5", "server");
test(picks, "gearadmin --foo", "admin");
test(picks, "gearman -f x", "client");
test(picks, "gearman -w -f x", "worker");
test(picks, "gearman -nwf x", "worker");
test(picks, "gearman --worker --function x", "worker");
test(picks, "gearman -f wc wc -w", "worker");
test(picks, "gearman -f -w", "client");
test(picks, "gearman -f --server", "client");
test(picks, "gearman --function -w", "client");
test(picks, "gearman -fw", "client");
test(picks, "gearman -f x -- -w", "client");
test(picks, "gearman -f x - -w", "worker");
test(picks, "gearman -w -f x cat --server", "worker");
test(picks, "gearman --server", "server");
test(picks, "gearman --server -w 5 -p 1", "server");
test(picks, "gearman -w 5 --server", "server");
test(picks, "gearman --verbose INFO --server", "server");
test(picks, "gearman --admin", "admin");
test(picks, "gearman --workers", "admin");
test(picks, "gearman -h here --show-jobs", "admin");
test(picks, "gearman --cancel-job H:1", "admin");
test(picks, "gearman --create-function=x", "admin");
test(picks, "gearman --status", "admin");
test(picks, "gearman --status -h here", "admin");
test(picks, "gearman --status --workers", "admin");
test(picks, "gearman --status H:here:1", "client");
test(picks, "gearman --status=H:here:1", "client");
test(picks, "gearman --worker-wakeup 5", "client");

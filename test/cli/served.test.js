// Who waits at a terminal for a worker that is not there is told so.

import ava from "ava";
import { program, start, startProgramServer } from "../helpers/program.js";
import { hasTmux, openTerminal } from "../helpers/tmux.js";

const test = hasTmux ? ava.serial : (title, ...rest) => ava.serial.skip(`${title} (no tmux here)`, ...rest);

test("at a terminal: nobody can do the function, and the result when somebody can", async (t) => {
	const { port } = await startProgramServer(t);
	const terminal = openTerminal(t, `'${program}' -h 127.0.0.1 -p ${port} -f upper hello; sleep 600`);
	await terminal.shows(/^gearman: no worker can do upper yet, waiting; Ctrl-C gives up$/);
	start(t, ["-w", "-h", "127.0.0.1", "-p", port, "-f", "upper", "--", "tr", "a-z", "A-Z"]);
	await terminal.shows(/^HELLO$/);
	t.pass();
});

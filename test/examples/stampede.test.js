import test from "ava";
import { runExample } from "../helpers/examples.js";

test.serial("stampede: 500 requests for one report at once cost one job", async (t) => {
	const shown = await runExample(t, "stampede");
	t.regex(shown, /^500 requests, 1 different answers, .*\n.*grep -c 'report sales' .*\n1$/m);
	t.regex(shown, /^50 requests, 50 different answers, .*\n.*grep -c 'report costs' .*\n50$/m);
});

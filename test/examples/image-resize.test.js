import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { runExample } from "../helpers/examples.js";
import { temporaryFolder } from "../helpers/program.js";
import { convert, identify, run, testWith } from "../helpers/programs.js";

const testHere = testWith(convert, identify);

testHere("image resize: the run script makes a thumbnail through a pipe, and those of a folder", async (t) => {
	const shown = await runExample(t, "image-resize", [], { CONVERT: convert });
	const [, large, thumbnail] = /^ *(\d+) large\.jpg\n *(\d+) thumb\.jpg$/m.exec(shown);
	t.true(Number(thumbnail) > 1000 && Number(thumbnail) < Number(large) / 10);
	t.is(shown.match(/thumbs\/photo \d+\.jpg$/gm).length, 8);
});

testHere("image resize: a folder of images with odd names becomes a folder of thumbnails", async (t) => {
	const folder = temporaryFolder(t);
	const photos = join(folder, "photos");
	await mkdir(photos);
	const names = ["a b.jpg", "new\nline.png", "it's $HOME.jpg", "é.jpg"];
	for (const name of names) await run(t, convert, ["-size", "640x480", "plasma:", join(photos, name)]);
	await runExample(t, "image-resize", [photos], { CONVERT: convert });
	t.deepEqual((await readdir(`${photos}-thumbs`)).sort(), names.sort());
	for (const name of names) {
		const { stdout } = await run(t, identify, ["-format", "%m %wx%h", join(`${photos}-thumbs`, name)]);
		t.is(stdout, `${name.endsWith("png") ? "PNG" : "JPEG"} 200x150`);
	}
});

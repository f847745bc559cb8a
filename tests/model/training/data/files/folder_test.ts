import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { FileError } from "../../../../../engine/mod.ts";
import { Draws } from "../../../../../model/training/data/base/draws.ts";
import { openImageFolder } from "../../../../../model/training/data/files/folder.ts";
import { folderOf, plainPng } from "./folders.ts";

const PNG = plainPng(4, 2, [255, 0, 0]);

async function open(path: string, uncaptioned = false) {
  const warnings: string[] = [];
  const onWarning = (line: string) => void warnings.push(line.replaceAll(path, "DIR"));
  return { set: await openImageFolder(path, { uncaptioned, onWarning }), warnings };
}

Deno.test("openImageFolder() finds images with captions in folders within, in order", async () => {
  await using folder = await folderOf({
    "b.PNG": PNG,
    "b.txt": "a red thing\r\n\n  a red one \n",
    "a/c.jpeg": PNG,
    "a/c.txt": "c",
    ".hidden/x.png": PNG,
    "._b.png": PNG,
    "notes.md": "x",
  });
  const { set, warnings } = await open(folder.path);
  assertEquals(warnings, []);
  assertEquals(set.count, 2);
  assertEquals([set.key(0), set.key(1)], ["a/c.jpeg", "b.PNG"]);
  const { path, caption } = await set.example(1);
  assertEquals(path, join(folder.path, "b.PNG"));
  const drawn = new Set(Array.from({ length: 50 }, (_, i) => caption(new Draws(1n, 1, 0, i))));
  assertEquals([...drawn].sort(), ["a red one", "a red thing"]);
  assertEquals(await set.ratio(1), 0.5);
});

Deno.test("openImageFolder() leaves out texts, images and twins, each kind with a line", async () => {
  const texts = Object.fromEntries(["k", "l", "m", "n"].map((name) => [`${name}.txt`, name]));
  await using folder = await folderOf({
    ...texts,
    "a.png": PNG,
    "b.png": PNG,
    "b.txt": " \n",
    "c.jpg": PNG,
    "c.png": PNG,
    "c.txt": "c",
  });
  const { set, warnings } = await open(folder.path);
  assertEquals([set.count, set.key(0)], [1, "c.jpg"]);
  assertEquals(warnings, [
    '"DIR": 4 texts have no image and are left out: "k.txt", "l.txt", "m.txt" and 1 more',
    '"DIR": 1 image has the name of another and is left out: "c.png"',
    '"DIR": 2 images have no caption and are left out: "a.png", "b.png"',
  ]);
  const all = await open(folder.path, true);
  assertEquals([all.set.count, all.warnings.length], [3, 2]);
  assertEquals((await all.set.example(0)).caption(new Draws(1n, 1, 0, 0)), "");
});

Deno.test("openImageFolder() refuses empty sets, bad texts and what is not a folder, in one line", async () => {
  const refuse = async (path: string, code: string, message: string) => {
    const error = await assertRejects(() => open(path), FileError);
    assertEquals(error.code, code);
    assert(error.message.includes(message) && !error.message.includes("\n"), error.message);
  };
  await using empty = await folderOf({ "x.gif": "GIF89a" });
  await refuse(empty.path, "empty-set", "it has no PNG, JPEG or WebP images");
  await using silent = await folderOf({ "x.png": PNG });
  await refuse(
    silent.path,
    "empty-set",
    'none of its 1 images has a caption; write one into "x.txt"',
  );
  await using latin = await folderOf({ "x.png": PNG, "x.txt": Uint8Array.of(0xff, 0x80) });
  await refuse(latin.path, "bad-text", "save it as UTF-8");
  await refuse(join(empty.path, "none"), "file-not-found", "check the path");
  await refuse(join(empty.path, "x.gif"), "not-a-folder", "it is a file");
});

Deno.test({
  name: "openImageFolder() names a folder within that cannot be listed",
  ignore: Deno.build.os === "windows" || Deno.uid() === 0,
  async fn() {
    await using folder = await folderOf({ "a.png": PNG, "a.txt": "a", "locked/b.png": PNG });
    await Deno.chmod(join(folder.path, "locked"), 0);
    const error = await assertRejects(() => open(folder.path), FileError);
    await Deno.chmod(join(folder.path, "locked"), 0o755);
    assertEquals(error.code, "file-unreadable");
    assert(error.message.includes("locked"));
  },
});

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { FileError } from "../../../../../engine/mod.ts";
import { Draws } from "../../../../../model/training/data/base/draws.ts";
import {
  drawCaption,
  openJsonlFolder,
  readLine,
} from "../../../../../model/training/data/files/jsonl.ts";
import { folderOf, plainPng } from "./folders.ts";

const LINE = {
  image_path: "images/x.png",
  h_div_w: 1.5,
  long_caption: "One two three. Four. Five. Six.",
  long_caption_type: "InternVL 2.0",
  text: "short --ar 3:2",
};
const line = (change: object = {}) => JSON.stringify({ ...LINE, ...change });

const captions = (change: object) => {
  const entry = readLine(line(change), "it");
  const times = new Map<string, number>();
  for (let i = 0; i < 2000; i++) {
    const caption = drawCaption(entry, new Draws(1n, 3, 0, i));
    times.set(caption, (times.get(caption) ?? 0) + 1);
  }
  return Object.fromEntries(times);
};

Deno.test("drawCaption() takes the short caption, or sentences of the long one", () => {
  const found = captions({});
  assertEquals(Object.keys(found).sort(), [
    "One two three. Four. Five",
    "One two three. Four. Five. Six",
    "short",
  ]);
  assert(Math.abs(found.short! - 400) < 60, `${found.short}`);
  const untitled = captions({ text: undefined });
  assert(Math.abs(untitled["One two three. Four"]! - 400) < 60);
  const words = Array.from({ length: 15 }, () => "w").join(" ");
  const wordy = captions({ text: null, long_caption: `${words}. Two. Three.` });
  assert(wordy[words]! > 300 && wordy[`${words}. Two`]! > 600);
});

Deno.test("drawCaption() keeps what a person wrote whole", () => {
  const all = LINE.long_caption;
  assertEquals(Object.keys(captions({ long_caption_type: "user_prompt", text: "" })), [all]);
  assertEquals(Object.keys(captions({ long_caption_type: undefined })).sort(), [all, "short"]);
  assertEquals(captions({ long_caption: "" }), { short: 2000 });
});

Deno.test("drawCaption() leaves something of every caption", () => {
  assertEquals(captions({ long_caption: "\n", text: "h" }), { h: 2000 });
  assertEquals(captions({ long_caption: " .", text: " " }), { ".": 2000 });
  assertEquals(captions({ long_caption: " --a", text: "" }), { "--a": 2000 });
  assertEquals(captions({ long_caption: "", text: "--" }), { "--": 2000 });
});

Deno.test("openJsonlFolder() finds lines in all files, and images beside or above them", async () => {
  await using folder = await folderOf({
    "images/x.png": plainPng(2, 3, [0, 0, 0]),
    "splits/1.000_2.jsonl": `${line({ h_div_w: 1 })}\n\n${
      line({ image_path: "images/é.png" })
    }\r\n`,
    "splits/1.500_1.jsonl": line(),
    "splits/other.json": "{",
  });
  const set = await openJsonlFolder(join(folder.path, "splits"));
  assertEquals(set.count, 3);
  assertEquals(await Promise.all([0, 1, 2].map((i) => set.ratio(i))), [1, 1.5, 1.5]);
  const paths = await Promise.all([0, 1, 2].map(async (i) => (await set.example(i)).path));
  assertEquals(
    paths,
    ["x", "é", "x"].map((name) => join(folder.path, "images", `${name}.png`)),
  );
  // other files change no keys, by which images are held out
  const keys = ["1.000_2.jsonl:1", "1.000_2.jsonl:3", "1.500_1.jsonl:1"];
  assertEquals([0, 1, 2].map((i) => set.key(i)), keys);
  set.dispose();
});

Deno.test("openJsonlFolder() names file and line of what it cannot read", async () => {
  await using folder = await folderOf({ "1.000_3.jsonl": `${line()}\n\n{"image_path": \n` });
  const error = await assertRejects(() => openJsonlFolder(folder.path), FileError);
  assertEquals(
    error.message.replaceAll(folder.path, "DIR"),
    `Cannot read "${join("DIR", "1.000_3.jsonl")}", line 3: it is not JSON`,
  );
  await using empty = await folderOf({ "1.000_3.jsonl": "\n" });
  await assertRejects(() => openJsonlFolder(empty.path), FileError, "have no lines");
  await using none = await folderOf({ "x.txt": "" });
  await assertRejects(() => openJsonlFolder(none.path), FileError, "no .jsonl files");
  await using long = await folderOf({ "1.jsonl": `${line()}\n${" ".repeat(3 * 2 ** 20)}x` });
  await assertRejects(() => openJsonlFolder(long.path), FileError, "line 2: it has more than");
});

Deno.test("readLine() refuses lines that lack what training needs", () => {
  const refuse = (text: string, why: string) =>
    assertThrows(() => readLine(text, "it"), FileError, why);
  refuse("3", "not an object");
  refuse(line({ image_path: undefined }), "image_path");
  refuse(line({ image_path: "a\0b" }), "image_path");
  refuse(line({ h_div_w: "1" }), "h_div_w");
  refuse(line({ h_div_w: -1 }), "h_div_w");
  refuse(line({ long_caption: 3 }), "long_caption must be a text");
  refuse(line({ long_caption: " ", text: null }), "neither long_caption nor text");
});

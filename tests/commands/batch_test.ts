import "../backend.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { encodePng } from "../../model/image/png.ts";
import { ended, filesIn, inFolder, MODEL, refuses, start } from "./process.ts";

/** 40 images of two settings, some of which are edits. */
const LINES = [
  '{"prompt": "red apple", "n": 20}',
  '{"prompt": "cat face", "n": 16, "tau": 0.3, "id": "cat"}',
  '{"prompt": "blue cat", "n": 4, "init_img": "in.png", "strength": 0.5}',
];

async function inputs(folder: string): Promise<void> {
  const gray = new Uint8Array(16 * 16 * 4).fill(200);
  await Deno.writeFile(join(folder, "in.png"), encodePng(gray, 16, 16));
  await Deno.writeTextFile(join(folder, "prompts.jsonl"), LINES.join("\n"));
}

const args = (output: string, ...more: string[]) => [
  "batch",
  "prompts.jsonl",
  "-m",
  MODEL,
  "-o",
  output,
  ...more,
];

const pictures = (folder: string) => filesIn(folder).filter((name) => /^[^.].*\.png$/.test(name));

const temporary = (folder: string) => filesIn(folder).filter((name) => name.startsWith("."));

async function readLines(path: string) {
  const text = await Deno.readTextFile(path);
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Waits until a folder has so many images. */
async function until(folder: string, count: number): Promise<void> {
  while (!await Deno.stat(folder).then(() => pictures(folder).length >= count, () => false)) {
    await pause();
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test({
  name: "batch goes on after kill -9 and Ctrl-C, and its shards are the same images",
  ignore: Deno.build.os === "windows", // a child cannot be sent Ctrl-C
  fn: () =>
    inFolder(async (folder) => {
      await inputs(folder);
      const out = join(folder, "out");
      const killed = start(args("out"), { cwd: folder });
      await until(out, 5);
      const path = join(out, "results.jsonl");
      while ((await readLines(path).catch(() => [])).length < 3) await pause();
      killed.kill("SIGKILL");
      await ended(killed);
      const first = pictures(out);
      const times = first.map((name) => Deno.statSync(join(out, name)).mtime?.getTime());
      assert(first.length < 40, "it was killed too late");
      const left = temporary(out);
      // as a process that is killed while it writes a line
      const half = Deno.readFileSync(path).slice(0, -20);
      await Deno.writeFile(path, half);
      const stopped = start(args("out"), { cwd: folder });
      await until(out, first.length + 5);
      stopped.kill("SIGINT");
      const { code, err } = await ended(stopped);
      assertEquals(code, 130);
      assertMatch(
        err,
        /\d+ images in .*; run the same command again to make the rest\nInterrupted\n$/,
      );
      const rest = await ended(start(args("out", "--json"), { cwd: folder }));
      assertEquals(rest.code, 0, rest.err);
      const { made, there, images } = JSON.parse(rest.out);
      assertEquals([images, made + there], [40, 40]);
      assert(there >= first.length + 5);
      const names = pictures(out);
      assertEquals(names.length, 40);
      assertEquals(first.map((name) => Deno.statSync(join(out, name)).mtime?.getTime()), times);
      const rows = await readLines(path);
      assertEquals(rows.map(({ file }) => file).sort(), names);
      // only the killed one leaves temporary files
      assertEquals(temporary(out), left);

      const shards = ["1/2", "2/2"].map((shard) =>
        start(args("shards", "--shard", shard), { cwd: folder })
      );
      for (const { code, err } of await Promise.all(shards.map(ended))) assertEquals(code, 0, err);
      const both = await Promise.all(
        [1, 2].map((i) => readLines(join(folder, "shards", `results-${i}-of-2.jsonl`))),
      );
      assertEquals(both.map(({ length }) => length), [20, 20]);
      assertEquals(both.flat().map(({ file }) => file).sort(), names);
      for (const name of names) {
        const [one, other] = ["out", "shards"].map((part) =>
          Deno.readFileSync(join(folder, part, name))
        );
        assertEquals(one, other, name);
      }
    }),
});

Deno.test("batch refuses wrong lines before it opens a GPU, or leaves them out", () =>
  inFolder(async (folder) => {
    await inputs(folder);
    const bad = [
      "cat",
      '{"prompt": "dog", "width": 77, "height": 77}',
      '{"prompt": "dog", "init_img": "none.png"}',
      '{"prompt": "dog", "strength": 0.5}',
    ];
    await Deno.writeTextFile(join(folder, "prompts.jsonl"), bad.join("\n"));
    const env = { VK_ICD_FILENAMES: "/nonexistent", VK_DRIVER_FILES: "/nonexistent" };
    const refused = await ended(start(args("out"), { cwd: folder, env }));
    assertEquals(refused.code, 2);
    assertMatch(
      refused.err,
      /^error: Cannot use line 2 of "prompts.jsonl": .*77x77.* \(and 2 other lines are wrong\); correct it, or leave out such lines with --skip-broken\n$/,
    );
    assertEquals(filesIn(folder), ["in.png", "prompts.jsonl"]);
    const skipped = await ended(start(args("out", "--skip-broken", "--bits"), { cwd: folder }));
    assertEquals(skipped.code, 0, skipped.err);
    assertEquals(
      skipped.err.match(/^warning: line \d of "prompts.jsonl" is left out: /gm)?.length,
      3,
    );
    assertEquals(pictures(join(folder, "out")).length, 1);
    assertEquals(filesIn(join(folder, "out")).length, 3);
    assertStringIncludes(skipped.err, "1 image in ");
  }));

Deno.test("batch names what it lacks", async () => {
  await refuses(["batch"], 2, "give one file of prompts");
  await refuses(["batch", "prompts.jsonl"], 2, "with --output");
  await refuses(["batch", "none.jsonl", "-o", "out"], 1, "no such file");
  for (const shard of ["0/2", "3/2", "1", "1/2000", "a/b"]) {
    await refuses(["batch", "x", "-o", "out", "--shard", shard], 2, "the part of all parts");
  }
  const both = ["batch", "x", "-o", "out", "--redis", "redis://127.0.0.1:1", "-m", MODEL];
  await refuses(both, 2, "Cannot use --model and --redis together");
  const local = ["batch", "x", "-o", "out", "-m", MODEL, "--results", "store"];
  await refuses(local, 2, "Cannot use --results without --redis");
});

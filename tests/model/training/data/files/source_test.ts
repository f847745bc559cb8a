import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import {
  BitwiseError,
  FileError,
  InputError,
  receiveError,
  sendError,
} from "../../../../../engine/mod.ts";
import {
  type ImageOptions,
  openImages,
} from "../../../../../model/training/data/files/open_images.ts";
import { device } from "../../../../harness.ts";
import { folderOf, plainPng } from "./folders.ts";

const SIZE = { width: 4, height: 4 };

/** Images named by their levels of red. */
function reds(count: number): Record<string, string | Uint8Array> {
  const files: Record<string, string | Uint8Array> = {};
  for (let i = 0; i < count; i++) {
    files[`${i}.png`] = plainPng(4, 4, [10 * i, 0, 0]);
    files[`${i}.txt`] = `${10 * i}`;
  }
  return files;
}

const open = (path: string, options: Partial<ImageOptions> = {}) =>
  openImages(device, { kind: "folder", path, sizes: [SIZE], workers: 0, ...options });

type Source = Awaited<ReturnType<typeof open>>;

/** What the pictures of a source were seen to show. */
const shown = new WeakMap<Source, Map<string, number>>();

/** Asserts that an image has the number of its picture, now and whenever it comes. */
function checkPicture(source: Source, shape: readonly number[], picture: number, level: number) {
  const [, height, width] = shape;
  const at = source.sizes.findIndex((size) => size.height === height && size.width === width);
  assert(picture >= 0 && picture < source.pictures![at]!);
  const seen = shown.get(source) ?? new Map<string, number>();
  shown.set(source, seen.set(`${at} ${picture}`, seen.get(`${at} ${picture}`) ?? level));
  assertEquals(seen.get(`${at} ${picture}`), level);
  assertEquals(new Set(seen.values()).size, seen.size, "another picture has another number");
}

/** The level of red of each image of a batch, which all of its pixels have, and captions. */
async function read(source: Source, step: number, size: number) {
  const { images, captions, pictures } = await source.batch(step, size);
  const values = await device.read(images) as Float32Array;
  const { shape } = images;
  images.dispose();
  const one = values.length / size;
  const levels = captions.map((_, i) => {
    const image = values.subarray(i * one, (i + 1) * one);
    assert(image.every((v, k) => v === (k % 3 ? -1 : image[0])));
    return Math.round((image[0]! + 1) * 127.5);
  });
  levels.forEach((level, i) => checkPicture(source, shape, pictures![i]!, level));
  return { levels, captions: [...captions], shape };
}

for (const workers of [0, 2]) {
  Deno.test(`Batches of a folder are its images with their captions, ${workers} Workers`, async () => {
    await using folder = await folderOf(reds(10));
    const source = await open(folder.path, { workers });
    assertEquals([source.count, source.sizes], [10, [SIZE]]);
    const seen: number[] = [];
    for (const step of [0, 1]) {
      const { levels, captions, shape } = await read(source, step, 5);
      assertEquals(shape, [5, 4, 4, 3]);
      assertEquals(captions, levels.map(String));
      seen.push(...levels);
    }
    assertEquals(seen.toSorted((a, b) => a - b), Array.from({ length: 10 }, (_, i) => 10 * i));
    assertNotEquals(
      [...(await read(source, 2, 5)).levels, ...(await read(source, 3, 5)).levels],
      seen,
    );
    // any step, in any order, after a change of size and from a new source, is the same
    const third = await read(source, 3, 5);
    await read(source, 0, 2);
    assertEquals(await read(source, 3, 5), third);
    source.dispose();
    const again = await open(folder.path, { workers, keep: 0 });
    assertEquals(await read(again, 3, 5), third);
    again.dispose();
    const other = await open(folder.path, { seed: 1n });
    assertNotEquals((await read(other, 3, 5)).levels, third.levels);
    other.dispose();
    await assertRejects(() => source.batch(0, 1), InputError, "was disposed");
  });

  Deno.test(`A corrupt image is named, and stops or is replaced, ${workers} Workers`, async () => {
    const files = reds(6);
    files["3.png"] = (files["3.png"] as Uint8Array).slice(0, 50);
    files["4.png"] = "not an image";
    await using folder = await folderOf(files);
    const strict = await open(folder.path, { workers });
    const error = await assertRejects(() => strict.batch(0, 6), FileError);
    assert(/(3|4)\.png/.test(error.message) && !error.message.includes("\n"), error.message);
    assert(error.message.endsWith(', or leave such images out with broken: "skip"'));
    strict.dispose();
    const warnings: string[] = [];
    const onWarning = (line: string) => void warnings.push(line);
    const source = await open(folder.path, { workers, broken: "skip", onWarning });
    const { levels, captions } = await read(source, 0, 6);
    assertEquals(captions, levels.map(String));
    assertEquals([...new Set(levels)].sort(), [0, 10, 20, 50]);
    await read(source, 1, 6);
    assertEquals(warnings.map((line) => /(.)\.png/.exec(line)![1]).sort(), ["3", "4"]);
    assert(warnings.every((line) => line.endsWith("; it is left out")));
    source.dispose();
  });
}

Deno.test("Images of another size are fitted, or refused if they are too small", async () => {
  await using folder = await folderOf({
    "a.png": plainPng(20, 8, [200, 0, 0]),
    "a.txt": "200",
    "b.png": plainPng(3, 9, [100, 0, 0]),
    "b.txt": "100",
  });
  const source = await open(folder.path);
  assertEquals((await read(source, 0, 2)).levels.toSorted(), [100, 200]);
  source.dispose();
  const strict = await open(folder.path, { minimum: 4 });
  const error = await assertRejects(() => strict.batch(0, 2), FileError, "it has 3x9 pixels");
  assertEquals(error.code, "image-too-small");
  strict.dispose();
  const skipping = await open(folder.path, { minimum: 4, broken: "skip" });
  assertEquals((await read(skipping, 0, 2)).levels, [200, 200]);
  skipping.dispose();
  const none = await open(folder.path, { minimum: 10, broken: "skip" });
  await assertRejects(() => none.batch(0, 2), FileError, "none of its images can be used");
  none.dispose();
});

Deno.test("Images go to the size whose aspect ratio is nearest, one size in a batch", async () => {
  await using folder = await folderOf({
    "wide.png": plainPng(20, 8, [200, 0, 0]),
    "wide.txt": "200",
    "tall.png": plainPng(3, 9, [100, 0, 0]),
    "tall.txt": "100",
  });
  const sizes = [{ width: 2, height: 4 }, { width: 4, height: 2 }];
  const source = await open(folder.path, { sizes });
  const both = [await read(source, 0, 1), await read(source, 1, 1)];
  for (const { levels, shape } of both) {
    assertEquals(shape, levels[0] === 200 ? [1, 2, 4, 3] : [1, 4, 2, 3]);
  }
  assertNotEquals(both[0]!.levels, both[1]!.levels);
  source.dispose();
});

Deno.test("Held-out images are kept apart, the same ones for any seed", async () => {
  await using folder = await folderOf(reds(20));
  const held = { heldOut: 0.3 };
  const all = async (which: "training" | "measuring" | "all", seed: bigint) => {
    const source = await open(folder.path, { ...held, which, seed });
    const { levels } = await read(source, 0, source.count!);
    source.dispose();
    return levels.toSorted((a, b) => a - b);
  };
  const [training, measuring] = [await all("training", 1n), await all("measuring", 2n)];
  assert(measuring.length > 1 && measuring.length < 12);
  assertEquals([...training, ...measuring].toSorted((a, b) => a - b), await all("all", 3n));
  assertEquals(await all("measuring", 4n), measuring);
  await assertRejects(
    () => open(folder.path, { which: "measuring" }),
    FileError,
    "it has no images for measuring",
  );
});

Deno.test("Images are mirrored as often as asked, captions stay", async () => {
  const rgba = new Uint8Array([255, 0, 0, 255, 0, 0, 0, 255]);
  const { encodePng } = await import("../../../../../model/image/png.ts");
  await using folder = await folderOf({ "a.png": encodePng(rgba, 2, 1), "a.txt": "a" });
  const [plain, turned] = ["1,-1,-1,-1,-1,-1", "-1,-1,-1,1,-1,-1"];
  const first = async (mirror: number) => {
    const source = await open(folder.path, { mirror, sizes: [{ width: 2, height: 1 }] });
    const { images, pictures } = await source.batch(0, 40);
    const values = await device.read(images) as Float32Array;
    images.dispose();
    source.dispose();
    const shown = Array.from(
      { length: 40 },
      (_, i) => [...values.subarray(6 * i, 6 * i + 6)].join(),
    );
    assertEquals(source.pictures, [mirror > 0 ? 2 : 1]);
    assertEquals(pictures, shown.map((pixels) => Number(pixels === turned)));
    return shown;
  };
  assertEquals(new Set(await first(0)), new Set([plain]));
  assertEquals(new Set(await first(1)), new Set([turned]));
  const some = (await first(0.5)).filter((pixels) => pixels === plain).length;
  assert(some > 8 && some < 32, `${some}`);
});

Deno.test("Batches that are not asked for any more are dropped, and dispose() ends what is under way", async () => {
  await using folder = await folderOf(reds(8));
  const source = await open(folder.path, { workers: 1, ahead: 3, keep: 0 });
  const before = device.memory.liveBytes;
  await read(source, 0, 4);
  await read(source, 100, 4);
  await read(source, 101, 2);
  assertEquals(device.memory.liveBytes, before); // batches that wait are on the host
  const waiting = source.batch(200, 8);
  source.dispose();
  await assertRejects(() => waiting, InputError, "disposed");
});

Deno.test("Options and batches that make no sense are refused, the option and its value named", async () => {
  const wrong = {
    kind: "files",
    sizes: [],
    seed: 3,
    which: "some",
    heldOut: 2,
    uncaptioned: 1,
    broken: "ignore",
    mirror: NaN,
    minimum: -1,
    workers: 0.5,
    ahead: "2",
    keep: Infinity,
    onWarning: true,
  };
  for (const [name, value] of Object.entries(wrong)) {
    const change = { [name]: value } as unknown as Partial<ImageOptions>;
    const error = await assertRejects(() => open("none", change), InputError);
    assert(error.message.startsWith(`Cannot open training data: ${name} is `), error.message);
  }
  await using folder = await folderOf(reds(2));
  const source = await open(folder.path);
  for (const [step, size] of [[-1, 1], [0.5, 1], [0, 0], [0, NaN]] as const) {
    await assertRejects(() => source.batch(step, size), InputError, "Cannot make a batch of");
  }
  source.dispose();
});

Deno.test("Errors keep class, code, message and hint when they are sent", () => {
  const error = new FileError("too-large", "Cannot read it", { hint: "wait" });
  const same = receiveError(structuredClone(sendError(error, "Cannot decode")));
  assert(same instanceof FileError);
  assertEquals([same.code, same.message, same.hint], ["too-large", "Cannot read it", "wait"]);
  const other = receiveError(
    structuredClone(sendError(new RangeError("too far"), "Cannot decode")),
  );
  assert(other instanceof BitwiseError);
  assertEquals([other.code, other.message], [
    "worker-failed",
    "Cannot decode: RangeError: too far",
  ]);
});

Deno.test("Without permission to read the Worker's code, images are decoded in the main thread", async () => {
  await using folder = await folderOf(reds(2));
  const root = new URL("../../../../../", import.meta.url);
  const program = `
    import { openDecoder } from "${new URL("model/training/data/files/decoder.ts", root)}";
    const decoder = await openDecoder(1, (line) => console.log(line));
    const job = { path: Deno.args[0], width: 2, height: 2, minimum: 0 };
    console.log((await decoder.decode(job)).rgb.length);
    decoder.dispose();`;
  const file = `${folder.path}/program.ts`;
  await Deno.writeTextFile(file, program);
  const start = async (read: string) => {
    const args = ["run", "--no-prompt", `--allow-read${read}`, file, `${folder.path}/1.png`];
    const cwd = new URL(".", root);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
    return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  };
  assertEquals(await start(""), "12\n");
  const said = await start(`=${folder.path}`);
  assertEquals(
    said,
    "Images are decoded in the main thread: a Worker may not read the code of this library\n12\n",
  );
});

Deno.test("A source lists its captions where they are lists, and few", async () => {
  await using folder = await folderOf({ ...reds(3), "2.txt": "a\nb\n\na" });
  const source = await open(folder.path);
  assertEquals([...source.captions!(4)!], ["0", "10", "a", "b"]);
  assertEquals(source.captions!(3), null);
  const drawn = new Set<string>();
  for (let step = 0; step < 40; step++) {
    for (const caption of (await read(source, step, 3)).captions) drawn.add(caption);
  }
  assertEquals(drawn, source.captions!(4));
  source.dispose();

  const silent = await folderOf({ "0.png": plainPng(4, 4, [0, 0, 0]) });
  const uncaptioned = await open(silent.path, { uncaptioned: true });
  assertEquals([...uncaptioned.captions!(1)!], [""]);
  uncaptioned.dispose();

  // long captions are cut anywhere
  const line = { image_path: "0.png", h_div_w: 1, long_caption: "a. b. c. d.", text: "a" };
  const lines = await folderOf({
    "0.png": plainPng(4, 4, [0, 0, 0]),
    "a.jsonl": JSON.stringify(line),
  });
  const cut = await open(lines.path, { kind: "jsonl" });
  assertEquals(cut.captions!(9), null);
  cut.dispose();
  for (const one of [silent, lines]) await one[Symbol.asyncDispose]();
});

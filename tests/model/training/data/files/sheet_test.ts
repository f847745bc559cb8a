import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { FileError } from "../../../../../engine/mod.ts";
import { Draws } from "../../../../../model/training/data/base/draws.ts";
import {
  drawName,
  readSheetCaptions,
  SheetSource,
} from "../../../../../model/training/data/files/sheet.ts";
import { mirrored } from "../../../../../model/training/data/files/mirrored.ts";
import type { Which } from "../../../../../model/training/data/base/source.ts";
import { openImages } from "../../../../../model/training/data/files/open_images.ts";
import { device } from "../../../../harness.ts";
import { folderOf, plainPng } from "./folders.ts";

const EMOJI = fromFileUrl(new URL("../../../../../assets/training/emoji", import.meta.url));
const SIZE = { width: 32, height: 32 };

const open = (which: Which, mirror = 0) =>
  SheetSource.open(device, EMOJI, { size: SIZE, seed: 1n, which, mirror });

Deno.test("SheetSource holds 49 emoji out, and shows every other once in an epoch", async () => {
  const [training, measuring, all] = [
    await open("training"),
    await open("measuring"),
    await open("all"),
  ];
  assertEquals([training.count, measuring.count, all.count], [1866, 49, 1915]);
  const labels = new Set(measuring.truths().labels);
  assertEquals(labels.size, 49);
  const { images, captions } = await training.batch(0, 1866);
  assert(captions.every((caption) => !labels.has(caption)));
  const values = await device.read(images) as Float32Array;
  images.dispose();
  const sum = (rgb: Float32Array) => rgb.reduce((sum, v) => sum + v, 0);
  const shown = Array.from(
    { length: 1866 },
    (_, i) => sum(values.subarray(3072 * i, 3072 * (i + 1))),
  );
  const truths = training.truths().values;
  const stored = shown.map((_, i) => sum(truths.subarray(3072 * i, 3072 * (i + 1))));
  assertEquals(shown.toSorted(), stored.toSorted());
  assertNotEquals(shown, stored);
});

Deno.test("Batches of a sheet depend on seed, step and size alone", async () => {
  const options = { kind: "sheet", path: EMOJI, sizes: [SIZE] } as const;
  const source = await openImages(device, options);
  const read = async (step: number) => {
    const { images, captions } = await source.batch(step, 3);
    const values = [...await device.read(images)];
    images.dispose();
    return { values, captions };
  };
  const first = await read(5);
  assertNotEquals(await read(6), first);
  assertEquals(await read(5), first);
});

Deno.test("A sheet tells which of its tiles it shows, and whether they are mirrored", async () => {
  const one = 32 * 32 * 3;
  for (const mirror of [0, 0.5]) {
    const source = await open("measuring", mirror);
    const { values: truths } = source.truths();
    assertEquals(source.pictures, [mirror > 0 ? 98 : 49]);
    const { images, pictures } = await source.batch(0, 49);
    const values = await device.read(images) as Float32Array;
    images.dispose();
    const expected = new Float32Array(one);
    const turned = pictures!.filter((picture, i) => {
      const [place, isTurned] = mirror > 0 ? [picture >> 1, picture % 2 === 1] : [picture, false];
      const tile = truths.subarray(place * one, (place + 1) * one);
      if (isTurned) mirrored(tile, 32, expected);
      else expected.set(tile);
      assertEquals(values.subarray(i * one, (i + 1) * one), expected);
      return isTurned;
    });
    assert(mirror > 0 ? turned.length > 12 && turned.length < 37 : turned.length === 0);
  }
});

Deno.test("A sheet lists what it may draw", async () => {
  const source = await open("measuring");
  const all = source.captions(1000)!;
  const { images, captions } = await source.batch(0, 200);
  images.dispose();
  assertEquals(captions.filter((caption) => !all.has(caption)), []);
  assert(all.size >= 49 && source.captions(48) === null);
});

Deno.test("drawName() mostly gives the label", () => {
  const item = { label: "l", names: ["n", "m"], tags: ["t"], heldOut: false, used: true };
  const times: Record<string, number> = {};
  for (let i = 0; i < 5000; i++) {
    const name = drawName(item, new Draws(1n, 3, 0, i));
    times[name] = (times[name] ?? 0) + 1;
  }
  assert(Math.abs(times.l! / 5000 - 0.52) < 0.03 && Math.abs(times.t! / 5000 - 0.08) < 0.02);
  assertEquals(drawName({ ...item, names: [], tags: [] }, new Draws(1n, 3, 0, 0)), "l");
});

Deno.test("SheetSource fits tiles of another size, and refuses sheets that are too small", async () => {
  const items = ["red", "green"].map((label) => ({ label, names: [], tags: [], variant: null }));
  const captions = { tile_columns: 2, sheets: { 4: "s4.png", 8: "s8.png" }, items };
  await using folder = await folderOf({
    "captions.json": JSON.stringify(captions),
    "s4.png": plainPng(8, 4, [100, 0, 0]),
    "s8.png": plainPng(15, 8, [200, 0, 0]),
  });
  const size = (n: number) => ({
    size: { width: n, height: n },
    seed: 1n,
    which: "training" as const,
    mirror: 0,
  });
  const source = await SheetSource.open(device, folder.path, size(3));
  const { labels, values } = source.truths();
  assertEquals([labels, values.length], [["red", "green"], 54]);
  assert(Math.abs((values[27]! + 1) * 127.5 - 100) < 1e-3);
  const error = await assertRejects(
    () => SheetSource.open(device, folder.path, size(8)),
    FileError,
  );
  assertEquals(error.code, "bad-size");
  await assertRejects(
    () => SheetSource.open(device, folder.path, { ...size(3), which: "measuring" }),
    FileError,
    "it has no tiles for measuring",
  );
});

Deno.test("readSheetCaptions() says what is wrong with captions.json", () => {
  const right = { tile_columns: 1, sheets: {}, items: [{ label: "a", names: [], tags: [] }] };
  assertEquals(readSheetCaptions(JSON.stringify(right), "it").items.length, 1);
  const refuse = (change: object, why: string) =>
    assertThrows(
      () => readSheetCaptions(JSON.stringify({ ...right, ...change }), "it"),
      FileError,
      why,
    );
  assertThrows(() => readSheetCaptions("{", "it"), FileError, "not JSON");
  refuse({ tile_columns: 0 }, "tile_columns");
  refuse({ sheets: { x: "a.png" } }, "not a number of pixels");
  refuse({ sheets: { 4: "../a.png" } }, "sheets.4 must be a file name");
  refuse({ items: [{ label: "" }] }, "items[0].label");
  refuse({ items: [{ label: "a", names: [1], tags: [] }] }, "items[0].names");
});

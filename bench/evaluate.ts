/**
 * Measures a model of 32 × 32 emoji as emoji-nano was measured (assets/models/emoji-nano/README.md):
 *
 *     deno task evaluate [MODEL] [--images N]
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "../deps/@std/path.ts";
import { Device } from "../engine/mod.ts";
import { findModel } from "../model/checkpoint/find_model.ts";
import { psnr } from "../model/image/metrics.ts";
import { encodePng, type Image } from "../model/image/png.ts";
import { openImage } from "../model/image/read_image.ts";
import { InfinityModel } from "../model/infinity.ts";
import { readTrainConfig } from "../model/training/config/train_config.ts";
import { openData } from "../model/training/data/open_data.ts";
import { TransformerTask } from "../model/training/stages/transformer_task.ts";
import { Tape } from "../model/training/tape/tape.ts";

const ROOT = fromFileUrl(new URL("../", import.meta.url));
const SHEET = join(ROOT, "assets", "training", "emoji");
const CONFIG = join(ROOT, "examples", "training", "emoji-nano.json");
const SIDE = 32;
/** Images of a pass. */
const BATCH = 32;

/** A tile of the sheet. */
interface Tile {
  readonly label: string;
  readonly kind: "base" | "training variant" | "held out" | "unused";
  readonly image: Image;
}

async function readTiles(): Promise<Tile[]> {
  const { items, tile_columns } = JSON.parse(await Deno.readTextFile(join(SHEET, "captions.json")));
  const file = await Deno.readFile(join(SHEET, "sheet32.png"));
  const sheet = await (await openImage(file, "sheet32.png")).image();
  return items.map(({ label, variant }: Item, i: number): Tile => {
    const [x, y] = [i % tile_columns * SIDE, Math.floor(i / tile_columns) * SIDE];
    const rgba = new Uint8Array(4 * SIDE * SIDE);
    for (let row = 0; row < SIDE; row++) {
      const from = 4 * ((y + row) * sheet.width + x);
      rgba.set(sheet.rgba.subarray(from, from + 4 * SIDE), 4 * SIDE * row);
    }
    const kind = !variant
      ? "base"
      : variant.held_out
      ? "held out"
      : variant.used
      ? "training variant"
      : "unused";
    return { label, kind, image: { width: SIDE, height: SIDE, rgba } };
  });
}

interface Item {
  readonly label: string;
  readonly variant: { readonly held_out: boolean; readonly used: boolean } | null;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function squares(a: Image, b: Image): number {
  let sum = 0;
  for (let i = 0; i < a.rgba.length; i++) sum += (a.rgba[i]! - b.rgba[i]!) ** 2;
  return sum;
}

/** Generates an image of each prompt. */
async function generate(model: InfinityModel, prompts: readonly string[]): Promise<Image[]> {
  const made: Image[] = [];
  for (let at = 0; at < prompts.length; at += BATCH) {
    const { images } = await model.generate({ prompt: prompts.slice(at, at + BATCH), seed: at });
    made.push(...images);
  }
  return made;
}

/** PSNR of generated images to their truths, and the share whose nearest tile of `all` is the right one. */
async function compare(model: InfinityModel, tiles: readonly Tile[], all: readonly Tile[]) {
  const made = await generate(model, tiles.map(({ label }) => label));
  const right = made.filter((image, i) => {
    const own = squares(image, tiles[i]!.image);
    return all.every((tile) => squares(image, tile.image) >= own);
  });
  return {
    psnr: mean(made.map((image, i) => psnr(image, tiles[i]!.image))),
    nearest: right.length / made.length,
  };
}

/** Share of bits that are right under teacher forcing, by scale. */
async function bitAccuracy(device: Device, folder: string, tiles: readonly Tile[], limit: number) {
  const path = await Deno.makeTempDir({ prefix: "bitwise-tiles-" });
  try {
    const some = tiles.slice(0, limit);
    for (const [i, { label, image }] of some.entries()) {
      await Deno.writeFile(join(path, `${i}.png`), encodePng(image.rgba, SIDE, SIDE));
      await Deno.writeTextFile(join(path, `${i}.txt`), label);
    }
    const config = await readTrainConfig(CONFIG);
    const sizes = [{ width: SIDE, height: SIDE }];
    const data = await openData(device, { kind: "folder", path, sizes });
    const still = { flips: 0, condition_dropout: 0, batch: some.length, reuse: 1 };
    const transformer = { ...config.transformer, ...still };
    const task = await TransformerTask.open(
      device,
      { ...config, init: folder, transformer },
      folder,
      data,
    );
    using tape = new Tape(device);
    const { metrics, owned = [] } = await task.compute(tape, { step: 0, micro: 0, progress: 1 });
    const sums = await device.read(metrics.loss);
    for (const one of owned) one[Symbol.dispose]();
    tape.dispose();
    task.dispose();
    data.dispose();
    return Array.from(sums).filter((_, i) => i > 4 && i % 4 === 2);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

async function main(): Promise<number> {
  const { _: [name], images = "256" } = parseArgs(Deno.args, { string: ["images", "_"] });
  const limit = Number(images);
  if (!(Number.isInteger(limit) && limit > 0)) {
    console.error(`--images must be a whole number above 0, not ${images}`);
    return 2;
  }
  const folder = `${await findModel(name === undefined ? undefined : `${name}`)}`;
  using device = await Device.open();
  using model = await InfinityModel.load(folder, { device });
  const tiles = await readTiles();
  const all = tiles.filter(({ kind }) => kind !== "unused");
  const base = tiles.filter(({ kind }) => kind === "base");
  const held = tiles.filter(({ kind }) => kind === "held out");
  // every n-th, so that all categories are among them
  const step = Math.max(1, Math.floor(base.length / limit));
  const some = base.filter((_, i) => i % step === 0).slice(0, limit);
  const row = (what: string, value: string) => console.log(`${what.padEnd(52)}${value}`);
  const shares = (of: readonly number[]) => of.map((x) => (100 * x).toFixed(1)).join(" / ") + " %";

  const reconstructed: number[] = [];
  for (const { image } of some) {
    const decoded = await model.decode(await model.encode(image));
    reconstructed.push(psnr(decoded, image));
  }
  row(
    `reconstruction of ${some.length} of ${base.length} base images`,
    `${mean(reconstructed).toFixed(2)} dB`,
  );
  row(
    "bits right, teacher forcing, plain names, by scale",
    shares(await bitAccuracy(device, folder, some, limit)),
  );
  const plain = await compare(model, some, base);
  row("generated to truth, plain names", `${plain.psnr.toFixed(2)} dB`);
  row("nearest of all base images is the right one", shares([plain.nearest]));
  row(
    `bits right, ${held.length} held-out pairs, by scale`,
    shares(await bitAccuracy(device, folder, held, 64)),
  );
  const pairs = await compare(model, held, all);
  row("generated to truth, held-out pairs", `${pairs.psnr.toFixed(2)} dB`);
  row("nearest of all images is the right one", shares([pairs.nearest]));
  return 0;
}

if (import.meta.main) Deno.exit(await main());

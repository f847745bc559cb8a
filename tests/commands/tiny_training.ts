import { join } from "@std/path";
import { MODEL } from "./process.ts";
import { encodePng } from "../../model/image/png.ts";
import tiny from "../../examples/training/tiny.json" with { type: "json" };

/** Pixels of a tile, and tiles. */
const [TILE, TILES] = [32, 4];

/** Writes `c.json`, a training of seconds, and its images: `tiles`, a sheet with captions. */
export async function writeTraining(folder: string): Promise<void> {
  await Deno.mkdir(join(folder, "tiles"));
  const rgba = Uint8Array.from(
    { length: 4 * TILE * TILE * TILES },
    (_, i) => i % 4 === 3 ? 255 : (i * 40503) % 256,
  );
  await Deno.writeFile(join(folder, "tiles", "sheet.png"), encodePng(rgba, TILE * TILES, TILE));
  const items = ["red apple", "rocket", "pizza", "dog face"].map((label) => ({
    label,
    names: [],
    tags: [],
    variant: null,
  }));
  const captions = { tile_columns: TILES, sheets: { [TILE]: "sheet.png" }, items };
  await Deno.writeTextFile(join(folder, "tiles", "captions.json"), JSON.stringify(captions));
  const config = {
    ...tiny,
    words: join(MODEL, "tokenizer.json"),
    data: { kind: "sheet", path: "tiles" },
    tokenizer: { ...tiny.tokenizer, batch: 1 },
    transformer: { ...tiny.transformer, batch: 2 },
    report_every: 1,
    checkpoint_every: 2,
  };
  await Deno.writeTextFile(join(folder, "c.json"), JSON.stringify(config));
}

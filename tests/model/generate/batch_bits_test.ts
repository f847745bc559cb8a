import { assert, assertEquals } from "@std/assert";
import { Device } from "../../../engine/mod.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { InfinityModel } from "../../../model/infinity.ts";
import { NANO } from "../../nano.ts";

const CONFIG = JSON.parse(await Deno.readTextFile(new URL("config.json", NANO)));

/** A model with one block as wide as those of published ones, so that products share K in several ways. */
const WIDE = parseConfig({
  ...CONFIG,
  image: { ...CONFIG.image, width: 64, height: 64 },
  vae: { ...CONFIG.vae, latent_height: 8, latent_width: 8 },
  scale_schedule: [[1, 1, 1], [1, 5, 5], [1, 8, 8]],
  transformer: {
    ...CONFIG.transformer,
    embed_dim: 1024,
    ffn_hidden: 4096,
    num_heads: 8,
    text_attn_pool_heads: 8,
    depth: 1,
    block_chunks: 1,
  },
}, "wide");

Deno.test("generate() gives an image the same bytes alone and in a batch as on a GPU", async () => {
  using gpu = await Device.open({ class: "gpu" });
  using model = await InfinityModel.synthetic(WIDE, { device: gpu, type: "f16" });
  const prompt = ["one", "of a few more words than others", "two words"];
  const seed = [1, 2, 3];
  const cfgScale = [3, 2, 1];
  const batch = await model.generate({ prompt, seed, cfgScale });
  assert(batch.images[0]!.rgba.some((v, i) => v !== batch.images[1]!.rgba[i]));
  for (const i of [0, 1]) {
    const alone = await model.generate({ prompt: prompt[i], seed: seed[i], cfgScale });
    assertEquals(alone.images[0]!.rgba, batch.images[i]!.rgba, `image ${i}`);
  }
});

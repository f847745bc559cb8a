import { assert, assertEquals, assertThrows } from "@std/assert";
import { InputError } from "../../../engine/mod.ts";
import {
  countParameters,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../../../model/checkpoint/tensor_shapes.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { parseT5, parseVae } from "../../../model/config/config_parts.ts";
import { findPreset, FLAN_T5_XL, PRESETS, VAES } from "../../../model/config/presets.ts";

/** [depth, width, heads, head_dim, FFN, bits, pixels across, parameters, parameters by name or paper]. */
const FACTS: Record<string, number[]> = {
  "infinity-125m": [12, 768, 8, 96, 3072, 16, 256, 125_148_800, 125e6],
  "infinity-layer16": [16, 1152, 12, 96, 4608, 32, 256, 361_633_792, 361e6],
  "infinity-1b": [24, 1536, 16, 96, 6144, 32, 256, 940_944_832, 1e9],
  "infinity-layer32": [32, 2080, 20, 104, 8192, 32, 256, 2_256_694_912, 2.2e9],
  "infinity-layer40": [40, 2688, 24, 112, 10752, 32, 256, 4_716_421_888, 4.7e9],
  "infinity-layer48": [48, 3360, 28, 120, 13312, 32, 256, 8_767_198_528, 8.7e9],
  "infinity-2b": [32, 2048, 16, 128, 8192, 32, 1024, 2_204_564_032, 2.2e9],
  "infinity-8b": [40, 3584, 28, 128, 14336, 56, 1024, 8_375_791_824, 8e9],
  "infinity-8b-512": [40, 3584, 28, 128, 14336, 56, 512, 8_375_791_824, 8e9],
  "infinity-20b": [58, 4608, 36, 128, 18432, 32, 1024, 19_952_199_784, 20e9],
};

Deno.test("PRESETS are configs of the published sizes", () => {
  assertEquals([...PRESETS.keys()], Object.keys(FACTS));
  for (const [name, facts] of Object.entries(FACTS)) {
    const config = parseConfig(PRESETS.get(name)!.config, name);
    const { transformer: t, image } = config;
    const count = countParameters(parameterShapes(t));
    const { depth, embed_dim: C, num_heads: heads, ffn_hidden: F, d_vae: d } = t;
    assertEquals([depth, C, heads, C / heads, F, d, image.width, count], facts.slice(0, -1), name);
    const advertised = facts.at(-1)!;
    assert(Math.abs(count / advertised - 1) < 0.06, `${name}: ${count}`);
    // counted independently
    const text = 2048 * (512 + 1) + 3 * C * 2048;
    const blocks = depth * (8 * C * C + 2 * C * F + F + 15 * C + heads);
    assertEquals(count, blocks + text + 10 * C * C + 3 * d * C + 2 * d + 30 * C, name);
    assertEquals(config.name, name);
    assertEquals(config.pixel_budgets?.length, 1);
  }
});

Deno.test("PRESETS set every hyper-parameter that a config.json can hold", () => {
  const spelled = (name: string, json: Readonly<Record<string, unknown>>, parsed: object) => {
    for (const key of Object.keys(parsed)) assert(key in json, `${name}.${key}`);
  };
  for (const [name, { config: json }] of PRESETS) {
    const config = parseConfig(json, name);
    spelled(name, json, config);
    for (const part of ["files", "vae", "transformer", "text_encoder", "tokenizer", "defaults"]) {
      const [given, parsed] = [json, config].map((of) => of[part as "vae"] as never);
      spelled(`${name}.${part}`, given!, parsed!);
    }
  }
});

Deno.test("PRESETS sample as the official scripts do", () => {
  const defaults = (name: string) => {
    const { cfg, tau, top_k, top_p } = parseConfig(findPreset(name).config, name).defaults;
    return [cfg, tau, top_k, top_p];
  };
  assertEquals(defaults("2b"), [4, 0.5, 900, 0.97]);
  assertEquals(defaults("8b"), [3, 1, 900, 0.97]);
  assertEquals(defaults("8b-512"), [3, 1, 900, 0.97]);
});

Deno.test("VAES and FLAN_T5_XL are configs of the published sizes", () => {
  const counts = Object.entries(VAES).map(([name, { config }]) => {
    const vae = parseVae(config, name);
    return [name, vae.codebook_dim, vae.patch_size, countParameters(vaeShapes(vae))];
  });
  assertEquals(counts, [
    ["d16", 16, 16, 109_970_579],
    ["d24", 24, 16, 110_044_315],
    ["d32", 32, 16, 110_118_051],
    ["d32reg", 32, 16, 110_118_051],
    ["d64", 64, 16, 110_412_995],
    ["d56-patchify", 14, 8, 81_624_209],
  ]);
  // the encoder's half of 3B
  assertEquals(countParameters(t5Shapes(parseT5(FLAN_T5_XL, "T5"))), 1_223_527_424);
});

Deno.test("findPreset() takes short and official names, and lists them for others", () => {
  const names = ["125m", "layer12", "infinity-125M", "layer24", "1b", "infinity_2b", "8B-512"];
  assertEquals(names.map((name) => findPreset(name).name), [
    "infinity-125m",
    "infinity-125m",
    "infinity-125m",
    "infinity-1b",
    "infinity-1b",
    "infinity-2b",
    "infinity-8b-512",
  ]);
  assertThrows(
    () => findPreset("3b"),
    InputError,
    'Cannot use preset "3b": it must be one of 125m, layer16, 1b, layer32, layer40, layer48, ' +
      "2b, 8b, 8b-512, 20b",
  );
});

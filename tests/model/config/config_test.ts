import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { ConfigError } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { parseConfig } from "../../../model/config/config.ts";
import { parseT5, parseTransformer } from "../../../model/config/config_parts.ts";
import { schedules } from "../../../model/config/schedule.ts";
import type { ModelConfig } from "../../../model/config/types.ts";
import { inTime } from "../../in_time.ts";

const EMOJI = JSON.parse(
  await Deno.readTextFile(
    new URL("../../../assets/models/emoji-nano/config.json", import.meta.url),
  ),
);

/** EMOJI with the value at a path such as "vae.base_ch" replaced. */
function changed(path: string, value: unknown): unknown {
  const copy = structuredClone(EMOJI);
  const keys = path.split(".");
  const last = keys.pop()!;
  // deno-lint-ignore no-explicit-any
  let at: any = copy;
  for (const key of keys) at = at[key] ??= {};
  at[last] = value;
  return copy;
}

function refusal(json: unknown): ConfigError {
  const error = assertThrows(() => parseConfig(json, "config.json"));
  assertInstanceOf(error, ConfigError);
  assert(!error.message.includes("\n"), "one line");
  return error;
}

Deno.test("parseConfig() reads the model in the box", () => {
  const config = parseConfig(EMOJI, "config.json");
  assertEquals(config.name, "emoji-nano");
  assertEquals(config.files.text_encoder, "text_encoder/model.safetensors");
  assertEquals(config.image, { width: 32, height: 32 });
  assertEquals(config.scale_schedule.at(-1), [1, 4, 4]);
  assertEquals(config.transformer.rope, { mode: 2, base: 10000, reference_grid: [4, 4] });
  assertEquals(config.transformer.text_attn_pool_heads, 2);
  assertEquals(config.transformer.add_lvl_embeding_only_first_block, true);
  assertEquals(config.tokenizer.max_length, 64);
  assertEquals(config.text_encoder?.d_kv, 64);
  assertEquals(config.defaults.cfg_insertion_layer, 0);
  assertEquals(config.defaults.top_p, 0);
});

Deno.test("parseConfig() gives absent keys the values of Infinity-2B", () => {
  const { transformer, vae, scale_schedule, image, defaults, text_encoder } = parseConfig({}, "x");
  assertEquals(transformer, {
    embed_dim: 2048,
    depth: 32,
    num_heads: 16,
    mlp_ratio: 4,
    ffn_hidden: 8192,
    block_chunks: 8,
    norm_eps: 1e-6,
    cos_attn: true,
    text_channels: 2048,
    text_maxlen: 512,
    text_attn_pool_heads: 16,
    d_vae: 32,
    apply_spatial_patchify: false,
    add_lvl_embeding_only_first_block: true,
    lvl_embed_rows: 15,
    cross_attn_layer_scale: -1,
    head_aln: true,
    shared_aln: true,
    rope: { mode: 2, base: 10000 },
  });
  assertEquals(vae.decoder_ch_mult, [1, 2, 4, 4, 4]);
  assertEquals([vae.base_ch, vae.patch_size, vae.codebook_dim], [128, 16, 32]);
  assertEquals(scale_schedule.map(([, h, w]) => [h, w] as const), schedules(1, "1M"));
  assertEquals(image, { width: 1024, height: 1024 });
  assertEquals(defaults.tau, 0.5);
  assertEquals(text_encoder, undefined);
});

Deno.test("parseConfig() derives the sizes of the 8B model and of the official presets", () => {
  const transformer = { embed_dim: 3584, depth: 40, num_heads: 28, apply_spatial_patchify: 1 };
  const { transformer: t, vae, image } = parseConfig({ transformer, text_encoder: {} }, "x");
  assertEquals([t.ffn_hidden, t.d_vae, t.text_attn_pool_heads], [14336, 56, 16]);
  assertEquals([vae.patch_size, vae.codebook_dim, image.width], [8, 14, 1024]);
  const hidden = (embed_dim: number, num_heads: number) =>
    parseTransformer({ embed_dim, num_heads, text_attn_pool_heads: num_heads }, "x").ffn_hidden;
  // 4 · 2080 / 256 = 32.5 and 4 · 3360 / 256 = 52.5: halves round to even
  assertEquals([hidden(2080, 20), hidden(2688, 24), hidden(3360, 28)], [8192, 10752, 13312]);
  assertEquals(parseTransformer({ embed_dim: 4608, num_heads: 36 }, "x").text_attn_pool_heads, 32);
});

Deno.test("golden: parseConfig() reads the official arguments", async () => {
  for (
    const [name, codes] of [["transformer_tiny", "vae_d16"], [
      "transformer_patchify",
      "vae_patchify",
    ]]
  ) {
    const { config: transformer } = await golden(name);
    const { config: vae } = await golden(codes);
    const { scale_schedule } = transformer;
    const config: ModelConfig = parseConfig({ transformer, vae, scale_schedule }, name);
    assertEquals(config.transformer.d_vae, transformer.d_vae);
    assertEquals(config.transformer.rope, { mode: 2, base: 10000 });
    assertEquals(config.image, { width: 256, height: 256 });
  }
  const { config } = await golden("t5_tiny");
  assertEquals(parseT5(config, "t5_tiny").d_ff, 192);
});

Deno.test("parseConfig() refuses impossible values by name", () => {
  const cases: [path: string, value: unknown, need: string][] = [
    ["transformer.embed_dim", "256", "a whole number from 1 to 65536"],
    ["transformer.embed_dim", 0, "a whole number from 1 to 65536"],
    ["transformer.num_heads", 3, "a divisor of embed_dim 256"],
    [
      "transformer.num_heads",
      128,
      "such that embed_dim / num_heads, here 256 / 128 = 2, is a multiple of 4 up to 256",
    ],
    ["transformer.text_attn_pool_heads", 5, "a divisor of embed_dim 256"],
    ["pixel_budgets", [], "a list of 0.06M, 0.25M, 0.60M, 1M"],
    ["pixel_budgets", ["1M", "2M"], "a list of 0.06M, 0.25M, 0.60M, 1M"],
    ["pixel_budgets", "1M", "a list of 0.06M, 0.25M, 0.60M, 1M"],
    ["transformer.block_chunks", 3, "a divisor of depth 4"],
    ["transformer.ffn_hidden", 1023, "divisible by 4"],
    ["transformer.cos_attn", "yes", "true or false"],
    ["transformer.d_vae", 16, "vae.codebook_dim 32"],
    ["transformer.lvl_embed_rows", 1.5, "a whole number from 1 to 1024"],
    ["transformer.text_channels", 512, "text_encoder.d_model 256"],
    ["transformer.norm_eps", 0, "a number above 0, at most 1000000000"],
    ["transformer.rope.rope2d_normalized_by_hw", 3, "a whole number from 0 to 2"],
    ["transformer.rope.reference_grid", [4], "[height, width]"],
    ["transformer.rope.reference_grid", [4, 0], "a list, each a whole number from 1 to 65536"],
    ["vae.patch_size", 12, "a power of 2"],
    ["vae.decoder_ch_mult", [1, 2], "a list of at least 4, to halve by patch_size 8"],
    ["vae.base_ch", 20, "such that 20 channels form 32 or 24 groups"],
    ["vae.z_channels", 16, "codebook_dim 32"],
    ["vae.latent_width", 5, "4, what the last scale 4x4 makes"],
    ["image.height", 64, "32, what the last scale 4x4 makes"],
    ["scale_schedule", [], "a list of [1, height, width]"],
    ["text_encoder.d_kv", 30, "a multiple of 4 up to 256"],
    [
      "text_encoder.relative_attention_max_distance",
      1e12,
      "a whole number from 1 to 1048576",
    ],
    ["defaults.top_p", 1.5, "a number from 0 to 1"],
    ["defaults.cfg", "high", "a number from -1000000 to 1000000"],
    ["defaults.tau", [1, 0], "a list, each a number above 0, at most 1000000"],
    ["defaults.cfg_insertion_layer", -4, "a whole number from -3 to 0"],
    ["defaults.cfg_insertion_layer", [-2, 1], "a list, each a whole number from -3 to 0"],
    ["defaults.cfg_insertion_layer", [], "a list, each a whole number from -3 to 0"],
    ["name", 7, "text in quotes, on one line"],
    ["name", "two\nlines", "text in quotes, on one line"],
    ["name", "\x1b[2J", "text in quotes, on one line"],
    ["files.vae", "../vae.safetensors", "a path inside the model's folder"],
    ["files.vae", "/vae.safetensors", "a path inside the model's folder"],
    ["files.vae", "https://example.org/x", "a path inside the model's folder"],
  ];
  for (const [path, value, need] of cases) {
    const { message, code } = refusal(changed(path, value));
    assertEquals(
      message,
      `Cannot use config.json: ${path} is ${JSON.stringify(value)}, it must be ${need}`,
    );
    assertEquals(code, "bad-value");
  }
  assertEquals(
    refusal(changed("scale_schedule", [[1, 1, 1], [2, 2, 2]])).message,
    "Cannot use config.json: scale_schedule[1] is [2,2,2], it must be [1, height, width] in tokens",
  );
  assertEquals(
    refusal(changed("scale_schedule", [[1, 2, 2]])).message,
    "Cannot use config.json: scale_schedule[0] is [1,2,2], it must be [1, 1, 1]: one start token",
  );
  assert(
    refusal(changed("transformer.lvl_embed_rows", 3)).message.includes("at most lvl_embed_rows 3"),
  );
});

/** Paths of all numbers in a value, those in lists included. */
function* numbersIn(value: unknown, path = ""): Generator<string> {
  if (typeof value === "number") yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    yield* numbersIn(inner, path ? `${path}.${key}` : key);
  }
}

Deno.test("parseConfig() bounds every number", () => {
  const complete = parseConfig(EMOJI, "config.json");
  let count = 0;
  for (const path of numbersIn(complete)) {
    // any seed is as good as another, and the mode has another name in files
    if (["defaults.seed", "transformer.rope.mode"].includes(path)) continue;
    for (const value of [1e12, 1e300, 2 ** 53]) {
      const json = structuredClone(complete) as unknown as Record<string, unknown>;
      const names = path.split(".");
      const last = names.pop()!;
      // deno-lint-ignore no-explicit-any
      names.reduce((at: any, key) => at[key], json)[last] = value;
      const { message } = refusal(json);
      assert(message.length < 250, message);
    }
    count++;
  }
  assert(count > 45, `${count}`);
});

Deno.test("parseConfig() bounds lists, texts, schedules, and how long it says no", async () => {
  const many = (n: number) => Array.from({ length: n }, () => 1);
  const scales = (n: number, side: number) => [[1, 1, 1], ...many(n).map(() => [1, side, side])];
  const deep = JSON.parse("[".repeat(1e5) + "]".repeat(1e5));
  const cases: [path: string, value: unknown, need: string][] = [
    ["transformer.depth", 1e9, "a whole number from 1 to 1024"],
    ["transformer.depth", deep, "a whole number from 1 to 1024"],
    ["name", deep, "text in quotes"],
    ["name", "x".repeat(1e6), "text of at most 500 characters"],
    ["defaults.cfg", many(1e6), "a list of at most 1000 numbers"],
    ["vae.decoder_ch_mult", many(1e6), "a list of at most 1000 numbers"],
    ["pixel_budgets", many(1e6).map(() => "1M"), "a list of 0.06M"],
    ["scale_schedule", scales(1e5, 1), "at most 1000 scales"],
    ["scale_schedule", scales(2, 1000), "at most 1048576 tokens in all"],
    ["scale_schedule", scales(2, 2 ** 40), "at most 1048576 tokens in all"],
  ];
  for (const [path, value, need] of cases) {
    const { message } = await inTime(1000, () => refusal(changed(path, value)));
    assert(message.startsWith(`Cannot use config.json: ${path} is `), message);
    assert(message.includes(`it must be ${need}`) && message.length < 250, message);
  }
});

Deno.test("parseConfig() refuses variants that are not implemented", () => {
  const cases: [path: string, value: unknown, only: unknown][] = [
    ["transformer.swiglu", true, false],
    ["transformer.rms_norm", true, false],
    ["transformer.nm0", 1, false],
    ["transformer.cross_attn_cos", true, false],
    ["transformer.shared_aln", false, true],
    ["transformer.head_aln", false, true],
    ["transformer.head_depth", 2, 1],
    ["transformer.use_bit_label", 0, 1],
    ["transformer.gelu", "erf", "tanh"],
    ["transformer.rope.rope2d_each_sa_layer", 0, 1],
    ["vae.cnn_type", "3d", "2d"],
    ["vae.cnn_attention", true, false],
    ["vae.norm", "batch", "group"],
    ["vae.quantizer.type", "VQ", "MultiScaleBSQ"],
    ["text_encoder.feed_forward_proj", "relu", "gated-gelu"],
  ];
  for (const [path, value, only] of cases) {
    const { message, code } = refusal(changed(path, value));
    const [given, need] = [JSON.stringify(value), JSON.stringify(only)];
    assertEquals(
      message,
      `Cannot use config.json: ${path} is ${given}, it must be ${need}: others are not implemented`,
    );
    assertEquals(code, "not-implemented");
  }
});

Deno.test("parseConfig() refuses anything but an object", () => {
  for (const json of [[], 3, "x", true]) {
    const need = `it is ${JSON.stringify(json)}, it must be an object`;
    assertEquals(refusal(json).message, `Cannot use config.json: ${need}`);
  }
  assertEquals(refusal(null).message, "Cannot use config.json: it is empty, it must be an object");
  assertEquals(
    refusal(changed("vae", [1])).message,
    "Cannot use config.json: vae is [1], it must be an object",
  );
});

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { CheckpointError } from "../../../../engine/mod.ts";
import {
  type NamedShape,
  parameterShapes,
  t5Shapes,
  vaeShapes,
} from "../../../../model/checkpoint/tensor_shapes.ts";
import { initialise } from "../../../../model/training/initial/initialise.ts";
import {
  officialRules,
  type Rules,
  t5Rules,
  transformerRules,
  vaeRules,
} from "../../../../model/training/initial/rules.ts";
import { Parameters } from "../../../../model/training/tape/parameters.ts";
import { golden } from "../../../goldens.ts";
import { device } from "../../../harness.ts";

const { config } = await golden("transformer_tiny");
const transformer = {
  ...config,
  d_vae: 16,
  ffn_hidden: 1024,
  lvl_embed_rows: 15,
  text_attn_pool_heads: 2,
};
const { config: vae } = await golden("vae_d16");
const { config: t5 } = await golden("t5_tiny");

/** Values that rules give to parameters. */
async function drawn(shapes: Iterable<NamedShape>, rules: Rules, seed = 1n) {
  const specs = [...shapes].map(([name, shape]) => ({ name, shape, decay: false }));
  using parameters = new Parameters(device, specs);
  initialise(device, parameters, rules, seed);
  const values = await device.readAll(specs.map(({ name }) => parameters.get(name).value));
  return new Map(specs.map(({ name }, i) => [name, values[i] as Float32Array<ArrayBuffer>]));
}

/** Mean and deviation. */
function moments(values: Float32Array): { mean: number; deviation: number; largest: number } {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const square = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
  return {
    mean,
    deviation: Math.sqrt(square),
    largest: values.reduce((most, v) => Math.max(most, Math.abs(v)), 0),
  };
}

/** Asserts a deviation about a mean of 0. */
function assertSpread(values: Float32Array | undefined, deviation: number, what: string): void {
  const found = moments(values!);
  const error = 5 / Math.sqrt(2 * values!.length);
  assert(
    Math.abs(found.deviation / deviation - 1) < error,
    `${what}: ${found.deviation}, not ${deviation}`,
  );
  assert(
    Math.abs(found.mean) < 5 * deviation / Math.sqrt(values!.length),
    `${what}: ${found.mean}`,
  );
}

Deno.test("initialise() has a rule for each parameter, official or not", async () => {
  const all = [
    [parameterShapes(transformer), transformerRules(transformer)],
    [parameterShapes(transformer), officialRules(transformer)],
    [vaeShapes(vae), vaeRules()],
    [t5Shapes(t5), t5Rules(t5)],
  ] as const;
  for (const [shapes, rules] of all) {
    for (const [name, values] of await drawn(shapes, rules)) {
      assert(values.every(Number.isFinite), name);
      const constant = /bias$|norm\w*\.weight$|norm\.weight$|scale_mul|^text_norm/.test(name);
      const some = values.subarray(0, 100);
      if (!constant) assert(new Set(some).size > 0.9 * some.length, name);
    }
  }
});

Deno.test("Values that a transformer begins with are those of its rules", async () => {
  const { embed_dim: C, text_channels: Ct, depth } = transformer;
  const block = "block_chunks.1.module.0";
  const boxed = await drawn(parameterShapes(transformer), transformerRules(transformer));
  assertSpread(boxed.get("cfg_uncond"), 1.2 / Math.sqrt(Ct), "cfg_uncond");
  assertSpread(boxed.get("word_embed.weight"), Math.sqrt(1 / 16 / 1.5), "word_embed");
  assertSpread(boxed.get(`${block}.sa.mat_qkv.weight`), Math.sqrt(1 / C / 1.5), "mat_qkv");
  assertSpread(boxed.get(`${block}.sa.proj.weight`), 0.5 / Math.sqrt(2 * C * depth), "sa.proj");
  assertSpread(boxed.get(`${block}.ffn.fc2.weight`), 0.5 / Math.sqrt(8 * C * depth), "fc2");
  assertSpread(boxed.get("text_proj_for_sos.ca.proj.weight"), Math.sqrt(1 / C / 1.5), "pool");
  assertSpread(boxed.get("head.weight"), 0.02, "head");
  const gss = boxed.get(`${block}.ada_gss`)!;
  assertAlmostEquals(moments(gss.subarray(0, 2 * C)).mean, 1, 0.02);
  assertSpread(gss.subarray(2 * C), C ** -0.5, "scales and shifts");
  assertEquals(boxed.get(`${block}.sa.scale_mul_1H11`), new Float32Array(4).fill(Math.log(4)));
  assertEquals(boxed.get(`${block}.ca_norm.weight`), new Float32Array(C).fill(1));
  assertEquals(boxed.get(`${block}.ca_norm.bias`), new Float32Array(C));

  const factors = { gate: 5e-6, shift: 1e-3, head: 0.02 };
  const official = await drawn(parameterShapes(transformer), officialRules(transformer, factors));
  const plain = Math.sqrt(1 / C / 3);
  assertSpread(official.get("word_embed.weight"), plain, "word_embed");
  assertSpread(official.get(`${block}.ca.proj.weight`), plain / Math.sqrt(2 * depth), "ca.proj");
  assertSpread(official.get("text_proj_for_sos.ca.proj.weight"), plain, "pool");
  assertSpread(official.get("head.weight"), 0.02 * plain, "head");
  assertSpread(official.get("head_nm.ada_lin.1.weight"), 1e-3 * plain, "ada_lin");
  const small = official.get(`${block}.ada_gss`)!;
  assertSpread(small.subarray(0, 2 * C), 5e-6 / Math.sqrt(C), "gates");
  assertSpread(small.subarray(2 * C), 1e-3 / Math.sqrt(C), "scales and shifts");
  // a normal of 1.2 that is cut at 2, then divided
  const { largest, deviation } = moments(official.get("cfg_uncond")!);
  assert(largest <= 2 / Math.sqrt(Ct) && largest > 1.98 / Math.sqrt(Ct));
  assertAlmostEquals(deviation * Math.sqrt(Ct), 0.942, 0.02);
});

Deno.test("Values that a VAE and T5 begin with are those of their rules", async () => {
  const values = await drawn(vaeShapes(vae), vaeRules());
  const bound = 1 / Math.sqrt(9 * 3);
  assertSpread(values.get("encoder.conv_in.conv.weight"), bound / Math.sqrt(3), "conv_in");
  for (const name of ["weight", "bias"]) {
    const { largest } = moments(values.get(`encoder.conv_in.conv.${name}`)!);
    assert(largest <= bound && largest > 0.8 * bound, `${name}: ${largest}`);
  }
  assertEquals(values.get("decoder.norm_out.norm.weight")!.every((v) => v === 1), true);
  const text = await drawn(t5Shapes(t5), t5Rules(t5));
  const layer = "encoder.block.1.layer";
  assertSpread(text.get("shared.weight"), 1, "shared");
  assertSpread(text.get(`${layer}.0.SelfAttention.q.weight`), (256 * 32) ** -0.5, "q");
  assertSpread(text.get(`${layer}.0.SelfAttention.o.weight`), 0.5 * 128 ** -0.5, "o");
  assertSpread(text.get(`${layer}.1.DenseReluDense.wo.weight`), 0.5 * 192 ** -0.5, "wo");
  assertSpread(text.get(`${layer}.1.DenseReluDense.wi_1.weight`), 1 / 16, "wi_1");
});

Deno.test("initialise() depends on seed, name and place alone", async () => {
  const rules: Rules = [[/^/, { kind: "normal", deviation: 1 }]];
  const first = await drawn([["a", [3, 5]], ["b", [15]]], rules);
  const second = await drawn([["b", [20]], ["c", [2]], ["a", [15]]], rules);
  assertEquals(second.get("a"), first.get("a"));
  assertEquals(second.get("b")!.subarray(0, 15), first.get("b"));
  assert(first.get("a")!.every((value, i) => value !== first.get("b")![i]));
  const other = await drawn([["a", [15]]], rules, 2n);
  assert(other.get("a")!.every((value, i) => value !== first.get("a")![i]));
  // the same numbers on all machines
  assertEquals([...first.get("a")!.subarray(0, 3)], FIRST.map(Math.fround));
});

const FIRST = [0.7838389277458191, 0.6667285561561584, -1.5639917850494385];

Deno.test("initialise() changes nothing if a parameter has no rule", async () => {
  using parameters = new Parameters(device, [
    { name: "known", shape: [4], decay: false },
    { name: "unknown", shape: [4], decay: false },
  ]);
  const { value } = parameters.get("known");
  device.upload(value, Float32Array.of(1, 2, 3, 4));
  const rules: Rules = [[/^known/, { kind: "constant", value: 0 }]];
  const error = assertThrows(() => initialise(device, parameters, rules, 1n), CheckpointError);
  assertEquals(error.message, 'Cannot begin with "unknown": no rule gives its values; add one');
  assertEquals([...await device.read(value)], [1, 2, 3, 4]);
});

import { assert, assertEquals, assertThrows } from "@std/assert";
import { OutOfMemoryError, type Tensor } from "../../../engine/mod.ts";
import { type Golden, golden } from "../../goldens.ts";
import { WEIGHT_TYPES, type WeightType } from "../../../kernels/linear/weight_types.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import type { Grid } from "../../../model/config/grid.ts";
import type { ModelConfig } from "../../../model/config/types.ts";
import { generate, outcome } from "../../../model/generate/generate.ts";
import { makePlan, type SamplingOptions } from "../../../model/generate/plan/plan.ts";
import type { Transformer } from "../../../model/transformer/transformer.ts";
import { VaeDecoder } from "../../../model/vae/vae.ts";
import { assertNear, device, relativeError } from "../../harness.ts";
import { deltas, loadTiny, teacherForced, uploadGolden } from "./golden_transformer.ts";

const FEATURES = 2e-5;
const GUIDED = 1e-4;
/** Relative errors of teacher-forced logits by storage. */
const TOLERANCES: Record<WeightType, number> = { f32: 1e-5, f16: 2e-3, q8_0: 1e-2, q4_0: 2e-1 };

const upload = (from: Golden, name: string): Tensor => uploadGolden(device, from, name);

async function read(tensor: Tensor): Promise<ArrayLike<number>> {
  return await device.read(tensor) as ArrayLike<number>;
}

for (
  const [name, vae] of [["transformer_tiny", "vae_d16"], ["transformer_patchify", "vae_patchify"]]
) {
  Deno.test(`golden: ${name} teacher-forced logits`, async () => {
    const expected = await golden(`${name}.golden`);
    for (const type of WEIGHT_TYPES) {
      const { config, transformer } = await loadTiny(device, name!, vae!, {}, type);
      const { delta, pooled } = await teacherForced(device, transformer, config, expected);
      const tolerance = TOLERANCES[type];
      assertNear(pooled, expected.tensor("tf.cond_BD").data, tolerance, `${type} pooled text`);
      const logits = deltas(expected.tensor("tf.logits").data);
      assertNear(delta, logits, tolerance, `${type} logits`);
      transformer.dispose();
    }
  });
}

const VARIANTS = {
  "rope0": { rope: { rope2d_normalized_by_hw: 0 } },
  "rope1": { rope: { rope2d_normalized_by_hw: 1 } },
  "nocos": { cos_attn: false },
  "lvl_each_chunk": { add_lvl_embeding_only_first_block: 0 },
};
for (const [variant, changes] of Object.entries(VARIANTS)) {
  Deno.test(`golden: transformer_rope_variants ${variant} logits`, async () => {
    const inputs = await golden("transformer_tiny.golden");
    const expected = (await golden("transformer_rope_variants.golden")).tensor(`${variant}.logits`);
    const { config, transformer } = await loadTiny(device, "transformer_tiny", "vae_d16", changes);
    const { delta } = await teacherForced(device, transformer, config, inputs);
    assertNear(delta, deltas(expected.data), FEATURES, variant);
    // the variant must differ from the plain model, or this test could not fail
    assert(relativeError(delta, deltas(inputs.tensor("tf.logits").data)) > 1e-3);
    transformer.dispose();
  });
}

interface Run {
  B: number;
  cfg_list: number[];
  tau_list: number[];
  cfg_insertion_layer: number[];
  negative_prompt: boolean;
  sampler: "argmax" | "u";
  gt_leak: number;
}

function concat(parts: Float32Array[]): Float32Array<ArrayBuffer> {
  const joined = new Float32Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Reproduces one run of the official sampling loop, and compares every step of it. */
async function reproduce(
  transformer: Transformer,
  vae: VaeDecoder,
  config: ModelConfig,
  expected: Golden,
  name: string,
): Promise<void> {
  const run: Run = expected.config.runs[name];
  const guided = run.cfg_list.some((cfg) => cfg !== 1);
  const lens = [...expected.tensor<Int32Array<ArrayBuffer>>(`${name}.text_lens`).data];
  let features = upload(expected, `${name}.text`);
  if (guided) {
    let uncondLens = lens;
    let uncond: Tensor;
    if (run.negative_prompt) {
      uncondLens = [...expected.tensor<Int32Array<ArrayBuffer>>(`${name}.neg_text_lens`).data];
      uncond = upload(expected, `${name}.neg_text`);
    } else uncond = transformer.unconditional(lens);
    const both = concat([
      await device.read(features) as Float32Array,
      await device.read(uncond) as Float32Array,
    ]);
    uncond.dispose();
    features.dispose();
    lens.push(...uncondLens);
    features = device.from("f32", [
      both.length / config.transformer.text_channels,
      config.transformer.text_channels,
    ], both);
  }
  const scales = config.scale_schedule.length;
  const steps = Array.from({ length: scales }, (_, s) => `${name}.step${s}`);
  const bits = steps.map((step) => expected.tensor<Uint8Array<ArrayBuffer>>(`${step}.bits`).data);
  const options: SamplingOptions = {
    cfgScale: run.cfg_list,
    tau: run.tau_list,
    topK: 0,
    topP: 0,
    cfgInsertionLayer: run.cfg_insertion_layer,
    greedy: run.sampler === "argmax",
    uniforms: run.sampler === "u" ? steps.map((s) => expected.tensor(`${s}.u`).data) : [],
    forceBits: bits.map((b, s) => s < run.gt_leak ? b : undefined),
    trace: true,
  };
  const before = device.readBacks;
  const final = () => Promise.resolve(vae);
  const text = { features, lens };
  const plan = makePlan(config, options, run.B);
  const made = await outcome(generate(device, transformer, { preview: final, final }, text, plan));
  assertEquals(device.readBacks - before, 1, "one read-back for the run");
  features.dispose();

  const traced = new Map(made.trace.entries.map((entry) => [entry.name, entry]));
  const at = (key: string) => traced.get(key)!.data as unknown as ArrayLike<number>;
  steps.forEach((step, s) => {
    const logits = deltas(expected.tensor(`${step}.logits`).data);
    assertNear(at(`scale${s}.logit_delta`), logits, GUIDED, `${step} logits`);
    const wrong = bits[s]!.reduce((n, bit, i) => n + Number(bit !== at(`scale${s}.bits`)[i]), 0);
    assertEquals(wrong, 0, `${step}: ${wrong} of ${bits[s]!.length} bits differ`);
  });
  if (expected.has(`${name}.summed_codes`)) {
    const sum = expected.tensor(`${name}.summed_codes`).data;
    assertNear(at(`scale${scales - 1}.codes_sum`), sum, FEATURES, `${name} codes`);
  }
  if (expected.has(`${name}.img_u8_bgr`)) {
    const bgr = expected.tensor<Uint8Array<ArrayBuffer>>(`${name}.img_u8_bgr`).data;
    const rgb = at("image");
    let most = 0;
    for (let i = 0; i < bgr.length; i++) {
      most = Math.max(most, Math.abs(bgr[i]! - rgb[i - i % 3 + 2 - i % 3]!));
    }
    assert(most <= 1, `${name} image differs by ${most}`);
  }
}

Deno.test("golden: transformer_tiny sampling runs ar1 to ar4, bits identical", async () => {
  const { config, transformer } = await loadTiny(device, "transformer_tiny", "vae_d16");
  const vae = await VaeDecoder.load(
    new Weights(device, (await golden("vae_d16")).file, "f32"),
    config.vae,
  );
  const expected = await golden("transformer_tiny.golden");
  for (const run of ["ar1", "ar2", "ar3", "ar4"]) {
    await reproduce(transformer, vae, config, expected, run);
  }
  transformer.dispose();
  vae.dispose();
});

Deno.test("generate() with cfgInsertionLayer [-2, 0] guides a block's output, then the logits", async () => {
  const { config, transformer } = await loadTiny(device, "transformer_tiny", "vae_d16");
  const inputs = await golden("transformer_tiny.golden");
  const [cfg, tau, blocks] = [3, 0.5, config.transformer.depth];
  const [n] = inputs.tensor<Int32Array<ArrayBuffer>>("ar2.text_lens").data;
  using conditional = upload(inputs, "ar2.text");
  using unconditional = transformer.unconditional([n!]);
  const rows = [await device.read(conditional), await device.read(unconditional)];
  const both = concat(rows as Float32Array[]);
  using features = device.from("f32", [2 * n!, config.transformer.text_channels], both);
  const mix = (values: ArrayLike<number>) => {
    const half = values.length / 2;
    return Float32Array.from(
      { length: half },
      (_, i) => cfg * values[i]! + (1 - cfg) * values[half + i]!,
    );
  };

  // the first scale step by step, with guidance on the CPU
  const lens = [n!, n!];
  const { referenceGrid } = makePlan(config, {}, 1);
  const schedule: Grid[] = [[1, 1]];
  const text = transformer.text(features, lens);
  const pass = transformer.plan({ schedule, first: 0, last: 0, lens, batch: 2 });
  const state = transformer.state(schedule, referenceGrid, [pass]);
  transformer.input(pass, null, text, state);
  for (let i = 0; i < blocks; i++) {
    transformer.block(i, pass, text, state);
    if (i !== blocks - 2) continue;
    const { x } = state.activations(pass);
    const mixed = mix(await read(x));
    device.upload(x, concat([mixed, mixed]));
  }
  const delta = transformer.head(2, pass, text, state);
  const expected = mix(await read(delta)).map((v) => v / tau);
  for (const t of [text, pass, state, delta]) t.dispose();

  const plan = makePlan(config, { cfgScale: cfg, tau, cfgInsertionLayer: [-2, 0], trace: true }, 1);
  const vae = await VaeDecoder.load(
    new Weights(device, (await golden("vae_d16")).file, "f32"),
    config.vae,
  );
  const final = () => Promise.resolve(vae);
  const given = { features, lens };
  const made = await outcome(generate(device, transformer, { preview: final, final }, given, plan));
  const entry = made.trace.entries.find(({ name }) => name === "scale0.logit_delta")!;
  assertNear(entry.data as unknown as ArrayLike<number>, expected, GUIDED, "logits");
  transformer.dispose();
  vae.dispose();
});

Deno.test("golden: transformer_patchify sampling run ar1, bits identical", async () => {
  const { config, transformer } = await loadTiny(device, "transformer_patchify", "vae_patchify");
  const vae = await VaeDecoder.load(
    new Weights(device, (await golden("vae_patchify")).file, "f32"),
    config.vae,
  );
  await reproduce(transformer, vae, config, await golden("transformer_patchify.golden"), "ar1");
  transformer.dispose();
  vae.dispose();
});

Deno.test("Transformer.plan() frees what it allocated if memory runs out", async () => {
  const { transformer } = await loadTiny(device, "transformer_tiny", "vae_d16");
  const live = device.memory.liveBytes;
  const { memory } = device;
  const { allocate } = memory;
  for (const allowed of [0, 1, 2]) {
    let count = 0;
    memory.allocate = (...args) => {
      if (count++ < allowed) return allocate.apply(memory, args);
      throw new OutOfMemoryError("out-of-memory", "no room");
    };
    try {
      const schedule: Grid[] = [[1, 1], [2, 2]];
      assertThrows(
        () => transformer.plan({ schedule, first: 1, last: 1, lens: [3], batch: 1 }),
        OutOfMemoryError,
      );
    } finally {
      memory.allocate = allocate;
    }
    assertEquals(memory.liveBytes, live);
  }
  transformer.dispose();
});

Deno.test("Transformer and VAE free all memory", () => {
  assertEquals(device.memory.liveBytes, 0);
});

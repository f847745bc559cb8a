import { assertEquals } from "@std/assert";
import { bytesSource, encodeSafetensors, Safetensors } from "../../../engine/mod.ts";
import { Weights } from "../../../model/checkpoint/weights.ts";
import { parameterShapes } from "../../../model/checkpoint/tensor_shapes.ts";
import { parseTransformer } from "../../../model/config/config_parts.ts";
import { Transformer } from "../../../model/transformer/transformer.ts";
import { assertNear, device, random, upload, values } from "../../harness.ts";

/** The official pooling in f64: one learnt query, heads of any number of channels. */
function pooled(
  at: (name: string) => ArrayLike<number>,
  features: Float64Array,
  lens: readonly number[],
  C: number,
  heads: number,
): number[] {
  const Ct = features.length / lens.reduce((a, b) => a + b, 0);
  const size = C / heads;
  const rms = at("text_norm.weight");
  const [query, kv, valueBias] = ["mat_q", "mat_kv.weight", "v_bias"]
    .map((name) => at(`text_proj_for_sos.ca.${name}`));
  const proj = at("text_proj_for_sos.ca.proj.weight");
  const bias = at("text_proj_for_sos.ca.proj.bias");
  const out: number[] = [];
  let start = 0;
  for (const length of lens) {
    const rows = Array.from({ length }, (_, i) => {
      const x = features.subarray((start + i) * Ct, (start + i + 1) * Ct);
      const scale = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / Ct + 1e-6);
      return x.map((v, c) => v * scale * rms[c]!);
    });
    start += length;
    const project = (x: Float64Array, n: number) =>
      x.reduce((s, v, c) => s + v * kv![n * Ct + c]!, 0);
    const attended = Array.from({ length: C }, (_, n) => {
      const head = Math.floor(n / size);
      const logits = rows.map((x) => {
        let dot = 0;
        for (let i = head * size; i < (head + 1) * size; i++) dot += query![i]! * project(x, i);
        return Math.exp(dot / Math.sqrt(size));
      });
      const total = logits.reduce((a, b) => a + b, 0);
      return rows.reduce((s, x, r) => s + logits[r]! / total * project(x, C + n), valueBias![n]!);
    });
    for (let n = 0; n < C; n++) {
      out.push(attended.reduce((s, v, c) => s + v * proj[n * C + c]!, bias[n]!));
    }
  }
  return out;
}

Deno.test("loadPool() pads heads whose channels are not divisible by 4", async () => {
  // 44 / 2 = 22 channels per head become 24; 48 / 2 = 24 stay
  for (const embed_dim of [44, 48]) {
    const config = parseTransformer(
      {
        embed_dim,
        depth: 1,
        num_heads: embed_dim / 4,
        block_chunks: 1,
        text_channels: 20,
        text_maxlen: 8,
        text_attn_pool_heads: 2,
      },
      "test",
      8,
    );
    const next = random(embed_dim);
    const tensors = Array.from(parameterShapes(config), ([name, shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return { name, dtype: "F32" as const, shape, data: Float32Array.from(values(next, count)) };
    });
    const at = (name: string) => tensors.find((tensor) => tensor.name === name)!.data;
    const bytes = encodeSafetensors(tensors);
    const file = await Safetensors.open(bytesSource("random", bytes));
    const transformer = await Transformer.load(new Weights(device, file, "f32"), config);
    const lens = [3, 5];
    const features = values(next, 8 * 20);
    const x = upload("f32", [8, 20], features);
    const text = transformer.text(x, lens);
    const found = await device.read(text.pooled);
    assertNear(
      found as Float32Array,
      pooled(at, features, lens, embed_dim, 2),
      1e-5,
      `${embed_dim}`,
    );
    for (const part of [text, transformer, x]) part.dispose();
  }
  device.trim();
  assertEquals(device.memory.liveBytes, 0);
});

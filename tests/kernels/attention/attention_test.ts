import { assert, assertEquals, assertThrows } from "@std/assert";
import { Device, dryGpu, KernelError } from "../../../engine/mod.ts";
import { attention, type AttentionVariant } from "../../../kernels/attention/attention.ts";
import { attentionMatrices } from "../../../kernels/attention/attention_matrix.ts";
import {
  assertTensor,
  device,
  NEED_CPU,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import { bits, reference, separate, type Span, spansTensor } from "./attention_cases.ts";

const { class: adapter, implementation, subgroupSize } = device.capabilities;
/** Lavapipe compiles the workgroup variant slowly, so it gets only the cases that differ for it. */
const VARIANTS: AttentionVariant[] = adapter === "cpu" && implementation === "wgpu" && subgroupSize
  ? ["subgroup", "texture", "workgroup", "tiles"]
  : ["workgroup", "tiles"];
if (NEED_CPU) {
  Deno.test({ name: `attention() by subgroup and texture${NEED_CPU}`, ignore: true, fn() {} });
}

const MATRICES = attentionMatrices(device, 64) !== null;
const NEED = MATRICES ? "" : " (skipped: no subgroup matrices of f16 here)";

/** The variant that the adapter chooses for f32, tiles, and tensor cores, which round operands to f16. */
const STRATEGIES = [
  { by: "", ignore: false, variant: undefined, dtype: "f32" },
  { by: " by tiles", ignore: false, variant: "tiles", dtype: "f32" },
  { by: ` by matrix${NEED}`, ignore: !MATRICES, variant: "matrix", dtype: "f16" },
] as const;

for (const variant of [...VARIANTS, "matrix"] as const) {
  const ignore = variant === "matrix" && !MATRICES;
  const by = variant === "matrix" ? `matrix${NEED}` : variant;
  const allowed = variant === "matrix" ? { ...TOLERANCE, f32: TOLERANCE.f16 } : TOLERANCE;
  const dims = variant === "subgroup" ? [4, 32, 36, 64, 96, 104, 112, 120, 128, 224, 256] : [36];
  for (const dtype of ["f32", "f16"] as const) {
    Deno.test({
      name: `attention() by ${by} attends in ${dtype} at each head_dim`,
      ignore,
      fn: async () => {
        const wide = ["matrix", "tiles"].includes(variant) ? 36 : 144; // software adapters take a minute to compile 128
        for (const headDim of dtype === "f16" && dims.length === 1 ? [wide] : dims) {
          const spans: Span[] = [[0, 1, 0, 1], [1, 9, 1, 33], [10, 3, 34, 7]];
          const { args, expected } = separate(headDim, {
            heads: 2,
            headDim,
            qRows: 13,
            kRows: 41,
            spans,
            dtype,
          });
          attention(device, { ...args, variant });
          await assertTensor(args.y, expected, allowed[dtype], `head_dim ${headDim}`);
        }
      },
    });
  }

  Deno.test({
    name: `attention() by ${by} reads q, k and v from one tensor, with relative bias`,
    ignore,
    fn: async () => {
      const next = random(7), heads = 3, headDim = 32, C = heads * headDim, rows = 30, far = 6;
      const spans: Span[] = [[0, 19, 0, 19], [19, 11, 19, 11]];
      const qkv = values(next, rows * 3 * C), table = values(next, 5 * heads).map((x) => 4 * x);
      const bucketOf = Array.from({ length: 2 * far + 1 }, (_, i) => (i * 3) % 5);
      const tensor = upload("f32", [rows, 3 * C], qkv), y = poisoned("f32", [rows, C]);
      attention(device, {
        q: tensor,
        k: tensor,
        v: tensor,
        y,
        spans: spansTensor(spans),
        maxQueries: 19,
        heads,
        headDim,
        scale: 1,
        qStride: 3 * C,
        kStride: 3 * C,
        kOffset: C,
        vStride: 3 * C,
        vOffset: 2 * C,
        bias: {
          table: upload("f32", [5, heads], table),
          bucketOf: upload("u32", [2 * far + 1], bucketOf),
          centre: far,
        },
        variant,
      });
      const expected = reference({
        q: qkv,
        k: qkv,
        v: qkv,
        qAt: (row) => row * 3 * C,
        kAt: (row) => row * 3 * C + C,
        vAt: (row) => row * 3 * C + 2 * C,
        rows,
        heads,
        headDim,
        scale: 1,
        spans,
        bias: (distance, h) =>
          table[bucketOf[Math.min(Math.max(far + distance, 0), 2 * far)]! * heads + h]!,
      });
      await assertTensor(y, expected, allowed.f32);
    },
  });
}

for (const { by, ignore, variant, dtype } of STRATEGIES) {
  Deno.test({
    name: `attention() writes zeros where a span has no keys, and nothing outside spans${by}`,
    ignore,
    fn: async () => {
      const { args } = separate(8, {
        heads: 2,
        headDim: 8,
        qRows: 12,
        kRows: 5,
        spans: [[1, 9, 3, 0], [10, 1, 0, 5]],
      });
      attention(device, { ...args, variant });
      const y = await device.read(args.y) as Float32Array;
      assert(y.subarray(0, 16).every(Number.isNaN), "row 0 is in no span");
      assert(y.subarray(16, 160).every((x) => x === 0), "rows 1..9 have no keys");
      assert(y.subarray(160, 176).every(Number.isFinite), "row 10 has keys");
      assert(y.subarray(176).every(Number.isNaN), "row 11 is in no span");
    },
  });

  Deno.test({
    name: `attention() stays finite and correct for large logits${by}`,
    ignore,
    fn: async () => {
      const { args, expected } = separate(9, {
        heads: 1,
        headDim: 64,
        qRows: 9,
        kRows: 70,
        spans: [[0, 9, 0, 70]],
        dtype,
        scale: 1,
        spread: 1000,
      });
      attention(device, { ...args, variant });
      await assertTensor(args.y, expected, 2e-3);
    },
  });

  Deno.test({
    name: `attention() gives the same bits in any batch, span order and tile${by}`,
    ignore,
    fn: async () => {
      const heads = 2, headDim = 64, qRows = 90, kRows = 90;
      const spans: Span[] = [[0, 3, 0, 40], [3, 70, 2, 88], [73, 17, 41, 30]];
      const separated = separate(10, { heads, headDim, qRows, kRows, spans });
      const { expected } = separated, args = { ...separated.args, variant };
      attention(device, args);
      await assertTensor(args.y, expected, TOLERANCE[dtype]);
      const all = await device.read(args.y) as Float32Array;

      const reversed = poisoned("f32", [qRows, heads * headDim]);
      attention(device, {
        ...args,
        y: reversed,
        spans: spansTensor(spans.toReversed()),
        maxQueries: 77,
      });
      assertEquals(bits(await device.read(reversed)), bits(all));

      const alone = poisoned("f32", [qRows, heads * headDim]);
      const one: Span[] = [[70, 1, 2, 88]];
      attention(device, { ...args, y: alone, spans: spansTensor(one), maxQueries: 1 });
      const row = (data: Float32Array) =>
        bits(data.slice(70 * heads * headDim, 71 * heads * headDim));
      assertEquals(row(await device.read(alone) as Float32Array), row(all));
    },
  });
}

Deno.test({
  name: `attention() clamps what f16 cannot hold, and keeps NaN, by matrix${NEED}`,
  ignore: !MATRICES,
  fn: async () => {
    const k = upload("f32", [2, 4], [1, 0, 0, 0, 0.5, 0, 0, 0]);
    const y = poisoned("f32", [3, 4]);
    attention(device, {
      q: upload("f32", [3, 4], [1e5, 0, 0, 0, -1e9, 0, 0, 0, NaN, 0, 0, 0]),
      k,
      v: upload("f32", [2, 4], [1, 2, 3, 4, 5, 6, 7, 1e9]),
      y,
      spans: spansTensor([[0, 3, 0, 2]]),
      maxQueries: 3,
      heads: 1,
      headDim: 4,
      scale: 1,
      variant: "matrix",
    });
    const [...rows] = await device.read(y) as Float32Array;
    assertEquals(rows.slice(0, 8), [1, 2, 3, 4, 5, 6, 7, 65504]);
    assert(rows.slice(8).every(Number.isNaN), `${rows}`);
  },
});

Deno.test("attention() by texture gives many queries the same bits as by subgroup", async () => {
  if (!VARIANTS.includes("texture")) return;
  const shape = {
    heads: 1,
    headDim: 36,
    qRows: 307,
    kRows: 50,
    spans: [[3, 300, 1, 49]] as Span[],
  };
  const { args, expected } = separate(12, shape);
  attention(device, { ...args, variant: "texture" });
  await assertTensor(args.y.rows(3, 300), expected.slice(3 * 36, 303 * 36), TOLERANCE.f32);
  const other = poisoned("f32", [307, 36]);
  attention(device, { ...args, y: other, variant: "subgroup" });
  assertEquals(bits(await device.read(args.y)), bits(await device.read(other)));
});

Deno.test("attention() mixes dtypes and strides of k and v in one tensor", async () => {
  const next = random(11), heads = 2, headDim = 36, C = heads * headDim, text = 17;
  const spans: Span[] = [[0, 1, 0, 6], [1, 1, 6, 11]];
  const q = values(next, 2 * (C + 4)), kv = values(next, text * 2 * C, "f16");
  const tensor = upload("f16", [text, 2 * C], kv), y = poisoned("f32", [2, C]);
  attention(device, {
    q: upload("f32", [2, C + 4], q),
    k: tensor,
    v: tensor,
    y,
    spans: spansTensor(spans),
    maxQueries: 1,
    heads,
    headDim,
    scale: 0.3,
    qStride: C + 4,
    qOffset: 4,
    kStride: 2 * C,
    vStride: 2 * C,
    vOffset: C,
  });
  const expected = reference({
    q,
    k: kv,
    v: kv,
    qAt: (row) => row * (C + 4) + 4,
    kAt: (row) => row * 2 * C,
    vAt: (row) => row * 2 * C + C,
    rows: 2,
    heads,
    headDim,
    scale: 0.3,
    spans,
  });
  // tensor cores, which f16 keys choose, round the query to f16
  const rounds = adapter === "gpu" && attentionMatrices(device, headDim);
  await assertTensor(y, expected, rounds ? TOLERANCE.f16 : TOLERANCE.f32);
});

Deno.test("attention() logs the variant that it chooses, and why", async () => {
  const lines: string[] = [];
  const log = (line: string) => lines.push(line);
  using own = await Device.open({ gpu: dryGpu(), debug: { level: 3, log } });
  const [x, spans] = [own.tensor("f32", [4, 8]), own.tensor("u32", [1, 4])];
  attention(own, { q: x, k: x, v: x, y: x, spans, maxQueries: 4, heads: 1, headDim: 8, scale: 1 });
  assert(lines.some((line) => /^attention: \w+ \(.+\)$/.test(line)), `${lines}`);
});

Deno.test("attention() refuses what is not divisible by 4, and shapes that disagree", () => {
  const { args } = separate(12, {
    heads: 1,
    headDim: 8,
    qRows: 1,
    kRows: 1,
    spans: [[0, 1, 0, 1]],
  });
  for (const wrong of [{ headDim: 6 }, { headDim: 260 }, { kStride: 10 }, { vOffset: 2 }]) {
    assertThrows(() => attention(device, { ...args, ...wrong }), KernelError, "divisible by 4");
  }
  const spans = upload("u32", [4], [0, 1, 0, 1]);
  assertThrows(() => attention(device, { ...args, spans }), KernelError, "spans u32 [4]");
});

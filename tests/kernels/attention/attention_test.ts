import { assert, assertEquals, assertThrows } from "@std/assert";
import { Device, dryGpu, KernelError } from "../../../engine/mod.ts";
import { attention, type AttentionVariant } from "../../../kernels/attention/attention.ts";
import { attentionMatrices } from "../../../kernels/attention/attention_matrix.ts";
import { fitsTiles } from "../../../kernels/attention/attention_tiles.ts";
import {
  asGpu,
  assertTensor,
  device,
  NEED_CPU,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import { bits, joint, reference, separate, type Span, spansTensor } from "./attention_cases.ts";

const { class: adapter, implementation, subgroupSize } = device.capabilities;
/** Lavapipe compiles the workgroup variant slowly, so it gets only the cases that differ for it. */
const VARIANTS: AttentionVariant[] = adapter === "cpu" && implementation === "wgpu" && subgroupSize
  ? ["subgroup", "texture", "workgroup"]
  : ["workgroup"];
const TILES = fitsTiles(device, 64);
if (TILES) VARIANTS.push("tiles");
else Deno.test({ name: "attention() by tiles (skipped: no room for them)", ignore: true, fn() {} });
if (NEED_CPU) {
  Deno.test({ name: `attention() by subgroup and texture${NEED_CPU}`, ignore: true, fn() {} });
}

/** The variant that the adapter chooses for f32, and tiles. attention_matrix_test.ts has tensor cores. */
const STRATEGIES = [
  { by: "", variant: undefined },
  ...TILES ? [{ by: " by tiles", variant: "tiles" } as const] : [],
];

for (const variant of VARIANTS) {
  const dims = variant === "subgroup" ? [4, 32, 36, 64, 96, 104, 112, 120, 128, 224, 256] : [36];
  for (const dtype of ["f32", "f16"] as const) {
    Deno.test(`attention() by ${variant} attends in ${dtype} at each head_dim`, async () => {
      const wide = variant === "tiles" ? 36 : 144;
      for (const headDim of dtype === "f16" && dims.length === 1 ? [wide] : dims) {
        const spans: Span[] = [[0, 1, 0, 1], [1, 9, 1, 33], [10, 3, 34, 7]];
        const shape = { heads: 2, headDim, qRows: 13, kRows: 41, spans, dtype };
        const { args, expected } = separate(headDim, shape);
        attention(device, { ...args, variant });
        await assertTensor(args.y, expected, TOLERANCE[dtype], `head_dim ${headDim}`);
      }
    });
  }

  Deno.test(`attention() by ${variant} reads q, k and v from one tensor, with relative bias`, async () => {
    const { args, expected } = joint();
    attention(device, { ...args, variant });
    await assertTensor(args.y, expected, TOLERANCE.f32);
  });
}

for (const { by, variant } of STRATEGIES) {
  Deno.test({
    name: `attention() writes zeros where a span has no keys, and nothing outside spans${by}`,
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
    fn: async () => {
      const { args, expected } = separate(9, {
        heads: 1,
        headDim: 64,
        qRows: 9,
        kRows: 70,
        spans: [[0, 9, 0, 70]],
        scale: 1,
        spread: 1000,
      });
      attention(device, { ...args, variant });
      await assertTensor(args.y, expected, 2e-3);
    },
  });

  Deno.test({
    name: `attention() gives the same bits in any batch, span order and tile${by}`,
    fn: async () => {
      const heads = 2, headDim = 64, qRows = 90, kRows = 90;
      const spans: Span[] = [[0, 3, 0, 40], [3, 70, 2, 88], [73, 17, 41, 30]];
      const separated = separate(10, { heads, headDim, qRows, kRows, spans });
      // one sequence chooses the variant, whatever else is in the batch
      const { expected } = separated, args = { ...separated.args, rows: 70, variant };
      attention(device, args);
      await assertTensor(args.y, expected, TOLERANCE.f32);
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

const NEED_TEXTURE = VARIANTS.includes("texture") ? "" : " (skipped: not a variant here)";

Deno.test(`attention() by texture gives many queries the same bits as by subgroup${NEED_TEXTURE}`, {
  ignore: NEED_TEXTURE !== "",
}, async () => {
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

Deno.test("attention() by workgroup gives the same bits however many queries share a workgroup", async () => {
  const spans: Span[] = [[0, 9, 2, 39]];
  const { args } = separate(13, { heads: 2, headDim: 36, qRows: 9, kRows: 41, spans });
  const all: Uint8Array[] = [];
  for (const maxQueries of [9, 200, 1200]) { // 1, 4 and 8 share one, so far as they are there
    const y = poisoned("f32", [9, 72]);
    asGpu(() => attention(device, { ...args, y, maxQueries, variant: "workgroup" }));
    all.push(bits(await device.read(y)));
  }
  assertEquals(all[1], all[0]);
  assertEquals(all[2], all[0]);
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

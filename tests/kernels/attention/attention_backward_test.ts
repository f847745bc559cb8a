import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import {
  attentionBackward,
  type AttentionBackwardArgs,
  type AttentionBackwardVariant,
} from "../../../kernels/attention/attention_backward.ts";
import { backwardMatrices } from "../../../kernels/attention/attention_backward_matrix.ts";
import { hasSubgroups } from "../../../kernels/attention/attention_backward_subgroup.ts";
import { spanLayout } from "../../../kernels/attention/attention_spans.ts";
import { centralDifferences } from "../central_differences.ts";
import { emulateMatrix, NEED_EMULATION } from "../emulated_matrices.ts";
import { assertNear, assertTensor, device, poisoned, TOLERANCE, upload } from "../harness.ts";
import {
  backwardReference,
  build,
  forward,
  scales,
  type Shape,
} from "./attention_backward_cases.ts";
import { bits, type Span } from "./attention_cases.ts";

/** Gradients are sums of differences of nearly the same numbers: a digit is lost. */
const LIMIT = { f32: 5 * TOLERANCE.f32, f16: TOLERANCE.f16 };

/** Variants that run here, the adapter's choice first. */
const VARIANTS: readonly AttentionBackwardVariant[] = [
  ...hasSubgroups(device) ? ["subgroup"] as const : [],
  "tiles",
  ...backwardMatrices(device, 100) ? ["matrix"] as const : [],
];

async function check(
  seed: number,
  shape: Shape,
  variant?: AttentionBackwardVariant,
): Promise<void> {
  const { args, expected } = build(seed, shape);
  attentionBackward(device, { ...args, variant });
  for (const { name, tensor, expected: numbers } of expected) {
    const rounded = variant === "matrix" || tensor.dtype === "f16";
    const limit = LIMIT[rounded ? "f16" : "f32"];
    await assertTensor(tensor, numbers, limit, `${name} of ${JSON.stringify(shape)}`);
  }
}

Deno.test("The reference of attentionBackward() is the derivative of that of attention()", () => {
  for (const buckets of [0, 3]) {
    const spans: Span[] = [[0, 3, 0, 3], [3, 4, 3, 4]];
    const { case: c, dy, table, dTable, bucket } = build(3, {
      heads: 2,
      headDim: 4,
      spans,
      buckets,
    });
    const found = backwardReference(c, dy);
    const far = centralDifferences(
      (q, k, v, table) =>
        forward(
          { ...c, ...buckets && { bias: (distance, h) => table[bucket(distance) * 2 + h]! } },
          q,
          k,
          v,
        ),
      [c.q, c.k, c.v, table],
      dy,
    );
    assertNear(found.q, far[0]!, 1e-8, "q");
    assertNear(found.k, far[1]!, 1e-8, "k");
    assertNear(found.v, far[2]!, 1e-8, "v");
    assertNear(dTable, far[3]!, 1e-8, "table");
  }
});

for (const variant of VARIANTS) {
  // lavapipe takes half a minute to compile matrices of a wide head
  const [headDim, widest] = variant === "matrix" ? [20, 36] : [36, 100];

  for (const dtype of ["f32", "f16"] as const) {
    Deno.test(`attentionBackward() by ${variant} is right for a query and a key, and odd shapes, in ${dtype}`, async () => {
      await check(1, { heads: 1, headDim: 4, spans: [[0, 1, 0, 1]], dtype }, variant);
      const spans: Span[] = [[0, 1, 0, 1], [1, 9, 1, 33], [10, 70, 34, 7]];
      await check(2, { heads: 2, headDim, spans, dtype }, variant);
      const wide = { heads: 1, headDim: widest, spans: [[0, 67, 0, 130]] as Span[] };
      await check(3, { ...wide, dtype, add: true }, variant);
    });
  }

  Deno.test(`attentionBackward() by ${variant} takes scales that attend to all before them`, async () => {
    await check(4, { heads: 2, headDim, spans: scales(2, [1, 4, 9, 16, 36, 64]) }, variant);
  });

  Deno.test(`attentionBackward() by ${variant} takes q, k and v in one tensor, and a bias`, async () => {
    const spans: Span[] = [[0, 19, 0, 19], [19, 11, 19, 11], [30, 1, 30, 1]];
    const shape = { heads: 3, headDim, spans, packed: "qkv", buckets: 5 } as const;
    await check(5, { ...shape, scale: 1, spread: 0.5 }, variant);
    await check(5, { ...shape, scale: 1, spread: 0.5, add: true }, variant);
  });

  Deno.test(`attentionBackward() by ${variant} takes k and v in one tensor, of another type than q and dy`, async () => {
    const spans: Span[] = [[0, 130, 0, 5], [130, 130, 5, 17]];
    const shape = { heads: 2, headDim, spans, packed: "kv" } as const;
    await check(6, { ...shape, kv: "f16", dy: "f16" }, variant);
    await check(6, { ...shape, dtype: "f16", kv: "f32" }, variant);
  });

  Deno.test(`attentionBackward() by ${variant} adds parts where few keys have many queries`, async () => {
    const spans: Span[] = [[0, 1100, 0, 3], [1100, 700, 3, 66]];
    await check(7, { heads: 1, headDim: 4, spans }, variant);
  });
}

Deno.test("attentionBackward() gives zeros without keys, and keeps gradients outside all spans", async () => {
  const { args } = build(8, { heads: 1, headDim: 4, spans: [[1, 2, 3, 0], [4, 1, 1, 2]] });
  attentionBackward(device, args);
  const [dq, dk] = await device.readAll([args.dq!.tensor, args.dk!.tensor]) as Float32Array[];
  const rows = (data: Float32Array) =>
    Array.from({ length: data.length / 4 }, (_, i) => data[4 * i]);
  assertEquals(rows(dq!).map((x) => Number.isNaN(x)), [true, false, false, true, false]);
  assertEquals(dq!.slice(4, 12), new Float32Array(8));
  assertEquals(rows(dk!).map((x) => Number.isNaN(x)), [true, false, false]);
});

Deno.test("attentionBackward() makes only what is wanted", async () => {
  const shape = { heads: 2, headDim: 8, spans: [[0, 5, 0, 7]] as Span[] };
  for (const wanted of ["dq", "dk", "dv"] as const) {
    const { args, expected } = build(9, shape);
    const none = { dq: null, dk: null, dv: null };
    attentionBackward(device, { ...args, ...none, [wanted]: args[wanted] });
    const { tensor, expected: numbers } = expected.find(({ name }) => `d${name}` === wanted)!;
    await assertTensor(tensor, numbers, LIMIT.f32, wanted);
  }
});

Deno.test("attentionBackward() puts the gradients of k and v side by side", async () => {
  for (const spans of [[[0, 5, 0, 7]], [[0, 1100, 0, 7]]] as Span[][]) {
    const { args, expected } = build(13, { heads: 2, headDim: 8, spans });
    const dkv = poisoned("f32", [7, 32]);
    attentionBackward(device, { ...args, dk: null, dv: null, dkv });
    const [k, v] = ["k", "v"].map((one) => expected.find(({ name }) => name === one)!.expected);
    const joint = Float64Array.from(
      { length: 7 * 32 },
      (_, i) => (i % 32 < 16 ? k : v)![Math.floor(i / 32) * 16 + i % 16]!,
    );
    await assertTensor(dkv, joint, LIMIT.f32);
  }
});

Deno.test("attentionBackward() gives the same bytes again, and in any order of spans", async () => {
  const shape = { heads: 2, headDim: 16, spans: scales(3, [1, 4, 70]) };
  const read = async (spans: Span[]) => {
    const { args } = build(10, { ...shape, spans });
    attentionBackward(device, args);
    const all = await device.readAll([args.dq!.tensor, args.dk!.tensor, args.dv!.tensor]);
    return all.map(bits);
  };
  const first = await read(shape.spans);
  assertEquals(await read(shape.spans), first);
  assertEquals(await read(shape.spans.toReversed()), first);
  const texts: Span[] = [[0, 19, 0, 19], [19, 11, 19, 11]];
  const table = async () => {
    const biased = { heads: 2, headDim: 16, spans: texts, packed: "qkv", buckets: 3 } as const;
    const { args } = build(14, biased);
    attentionBackward(device, args);
    return bits(await device.read(args.dTable!.tensor));
  };
  assertEquals(await table(), await table());
});

Deno.test("attentionBackward() stays finite and correct for large logits", async () => {
  const { args, expected } = build(11, {
    heads: 1,
    headDim: 64,
    spans: [[0, 9, 0, 70]],
    scale: 1,
    spread: 30,
  });
  attentionBackward(device, args);
  for (const { name, tensor, expected: numbers } of expected) {
    await assertTensor(tensor, numbers, 1e-4, name);
  }
});

Deno.test("spanLayout() finds whom keys are attended to by", async () => {
  const rows = async (spans: Span[]) => {
    const { byKeys, firstQueries, whole } = spanLayout(device, spans);
    const [keys, firsts] = await device.readAll([byKeys.spans, firstQueries]);
    return { keys: [...keys as Uint32Array], firsts: [...firsts as Uint32Array], whole };
  };
  assertEquals(await rows(scales(2, [1, 4])), {
    keys: [0, 5, 0, 5, 5, 5, 5, 5],
    firsts: [0, 1, 1, 1, 1, 5, 6, 6, 6, 6],
    whole: false,
  });
  assertEquals(await rows([[0, 3, 2, 5], [3, 1, 9, 2]]), {
    keys: [2, 5, 0, 3, 9, 2, 3, 1],
    firsts: [0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3],
    whole: true,
  });
  assertEquals((await rows([[0, 4, 0, 2], [4, 1, 0, 5]])).keys, [0, 5, 0, 5]);
  assertEquals((await rows([[0, 4, 0, 5], [4, 1, 0, 2]])).keys, [0, 2, 0, 5, 2, 3, 0, 4]);
  assertEquals((await rows([[0, 3, 0, 0]])).keys, [0, 0, 0, 0]);
  assertThrows(() => spanLayout(device, []), KernelError, "without spans");
  assertThrows(
    () => spanLayout(device, [[0, 2, 0, 4], [3, 2, 1, 2]]),
    KernelError,
    "the queries of key 1 are not one after the other",
  );
});

Deno.test("attentionBackward() refuses shapes that disagree", () => {
  const { args } = build(12, { heads: 2, headDim: 8, spans: scales(1, [1, 4]), buckets: 0 });
  const refused = (wrong: Partial<AttentionBackwardArgs>, message: string) =>
    assertThrows(() => attentionBackward(device, { ...args, ...wrong }), KernelError, message);
  refused({ heads: 3 }, "Cannot attend backwards from dy [5,16]");
  refused({ headDim: 6 }, "2 heads of 6");
  refused({ kOffset: 4 }, "5 queries, 5 keys");
  refused({ dv: { tensor: upload("f32", [4], [1, 2, 3, 4]), add: false } }, "v [5,16]");
  const bias = {
    table: upload("f32", [1, 2], [1, 2]),
    bucketOf: upload("u32", [1], [0]),
    centre: 0,
  };
  refused({ bias }, "a span of keys is not whole");
});

Deno.test({
  name: `attentionBackward() by matrix is right by matrices of 16x16x16, emulated${NEED_EMULATION}`,
  ignore: NEED_EMULATION !== "",
  fn: async () => {
    using _ = emulateMatrix(device, 16, 16, 16);
    const shape = { heads: 1, headDim: 20, dtype: "f16" } as const;
    await check(15, { ...shape, spans: [[0, 70, 0, 40]] }, "matrix");
    await check(16, { ...shape, spans: scales(1, [1, 4, 40]) }, "matrix");
  },
});

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { DAWN } from "../../backend.ts";
import { dawn, Device, DeviceError, type SubgroupMatrix } from "../../../engine/mod.ts";
import { attention } from "../../../kernels/attention/attention.ts";
import { attentionMatrices } from "../../../kernels/attention/attention_matrix.ts";
import { onePass } from "../../../kernels/attention/attention_one_pass.ts";
import { assertNear, assertTensor, device, poisoned, TOLERANCE, upload } from "../harness.ts";
import { emulateMatrix, NEED_EMULATION } from "../emulated_matrices.ts";
import { bits, joint, separate, SHARP, sharp, type Span, spansTensor } from "./attention_cases.ts";

const MATRICES = attentionMatrices(device, 64) !== null && onePass(device, 64) !== null;
const NEED = MATRICES ? "" : " (skipped: no subgroup matrices of f16 here)";

/** Half a unit in the last place of f16, which weights have: the most that an average of exact values is off. */
const ROUNDED_WEIGHTS = 2 ** -11;

// the widths are few: a software adapter takes up to a minute to compile one
for (const variant of ["two-pass", "one-pass"] as const) {
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({ name: `attention() by ${variant} ${name}${NEED}`, ignore: !MATRICES, fn });

  test("rescales sums when large logits come late", async () => {
    for (const how of SHARP) {
      const { args, expected } = sharp({ ...how, headDim: 36, dtype: "f16" });
      attention(device, { ...args, variant });
      await assertTensor(args.y, expected, ROUNDED_WEIGHTS, JSON.stringify(how));
    }
  });

  test("writes zeros where a span has no keys, and nothing outside spans", async () => {
    const spans: Span[] = [[1, 9, 3, 0], [10, 1, 0, 5]];
    const shape = { heads: 2, headDim: 36, qRows: 12, kRows: 5, spans, dtype: "f16" } as const;
    const { args } = separate(8, { ...shape, output: "f32" });
    attention(device, { ...args, variant });
    const y = await device.read(args.y) as Float32Array;
    const rows = (from: number, to: number) => y.subarray(from * 72, to * 72);
    assert(rows(0, 1).every(Number.isNaN), "row 0 is in no span");
    assert(rows(1, 10).every((x) => x === 0), "rows 1..9 have no keys");
    assert(rows(10, 11).every(Number.isFinite), "row 10 has keys");
    assert(rows(11, 12).every(Number.isNaN), "row 11 is in no span");
  });

  test("stays finite and correct for large logits", async () => {
    const spans: Span[] = [[0, 9, 0, 70]];
    const shape = { heads: 2, headDim: 36, qRows: 9, kRows: 70, spans, dtype: "f16" } as const;
    const { args, expected } = separate(9, { ...shape, output: "f32", scale: 1, spread: 1000 });
    attention(device, { ...args, variant });
    await assertTensor(args.y, expected, 2e-3);
  });

  test("gives the same bits in any batch, span order and tile", async () => {
    const spans: Span[] = [[0, 3, 0, 40], [3, 150, 2, 88], [153, 17, 41, 30]];
    const shape = { heads: 2, headDim: 36, qRows: 170, kRows: 90, spans, dtype: "f16" } as const;
    const { args, expected } = separate(10, { ...shape, output: "f32" });
    const attend = async (some: Span[]) => {
      const y = poisoned("f32", [170, 72]);
      const maxQueries = Math.max(...some.map(([, queries]) => queries));
      attention(device, { ...args, y, spans: spansTensor(some), maxQueries, variant });
      return await device.read(y) as Float32Array;
    };
    const all = await attend(spans);
    assertNear(all, expected, ROUNDED_WEIGHTS);
    assertEquals(bits(await attend(spans.toReversed())), bits(all));
    const row = (y: Float32Array) => bits(y.slice(150 * 72, 151 * 72));
    assertEquals(row(await attend([[150, 1, 2, 88]])), row(all));
  });

  test("rounds what is f32, with relative bias", async () => {
    const { args, expected } = joint();
    attention(device, { ...args, variant });
    await assertTensor(args.y, expected, TOLERANCE.f16);
  });

  test("takes what the model has in f16", async () => {
    // as wide as the 2B's on a GPU
    const headDim = device.capabilities.class === "gpu" ? 128 : 32;
    const spans: Span[] = [[0, 40, 1, 71]];
    const shape = { heads: 2, headDim, qRows: 40, kRows: 72, spans, dtype: "f16" } as const;
    const { args, expected } = separate(11, shape);
    attention(device, { ...args, variant });
    await assertTensor(args.y, expected, TOLERANCE.f16);
  });

  test("clamps what f16 cannot hold, and keeps NaN", async () => {
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
      variant,
    });
    const [...rows] = await device.read(y) as Float32Array;
    assertNear(rows.slice(0, 8), [1, 2, 3, 4, 5, 6, 7, 65504], TOLERANCE.f32);
    assert(rows.slice(8).every(Number.isNaN), `${rows}`);
  });
}

const NVIDIA = [
  ["two-pass", 16, 16, 16],
  ["one-pass", 16, 16, 16],
  ["one-pass", 16, 8, 16],
] as const;

for (const [variant, M, N, K] of NVIDIA) {
  Deno.test({
    name:
      `attention() by ${variant} is right by matrices of ${M}x${N}x${K}, emulated${NEED_EMULATION}`,
    ignore: NEED_EMULATION !== "",
    fn: async () => {
      using _ = emulateMatrix(device, M, N, K);
      for (const how of SHARP) {
        const { args, expected } = sharp({ ...how, headDim: 32, dtype: "f16" });
        attention(device, { ...args, variant });
        await assertTensor(args.y, expected, ROUNDED_WEIGHTS, JSON.stringify(how));
      }
    },
  });
}

Deno.test({
  name: `attention() by one-pass compiles for the matrices of NVIDIA${
    DAWN ? "" : " (skipped: no Dawn here)"
  }`,
  ignore: !DAWN,
  fn: async () => {
    for (const [M, N, K] of [[16, 16, 16], [16, 8, 16]] as const) {
      using own = await Device.open({ gpu: await dawn({ flags: ["backend=null"] }), class: "gpu" });
      const matrix: SubgroupMatrix = {
        componentType: "f16",
        resultComponentType: "f32",
        M,
        N,
        K,
      };
      const limits = { ...own.capabilities.limits, maxComputeWorkgroupStorageSize: 49152 };
      Object.assign(own.capabilities, { limits, subgroupSize: 32, subgroupMatrices: [matrix] });
      const x = own.tensor("f16", [9, 256]);
      const spans = own.tensor("u32", [1, 4]);
      const shape = { maxQueries: 9, heads: 2, headDim: 128, scale: 1 };
      attention(own, {
        ...shape,
        q: x,
        k: x,
        v: x,
        y: own.tensor("f16", [9, 256]),
        spans,
        variant: "one-pass",
      });
      // the null backend has 16 KiB, which it says after it accepted the shader
      const { cause } = await assertRejects(() => own.read(x), DeviceError);
      assertMatch((cause as Error).message, /^The total use of workgroup storage/);
    }
  },
});

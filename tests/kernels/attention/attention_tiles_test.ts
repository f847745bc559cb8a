import { assert, assertEquals, assertThrows } from "@std/assert";
import { Device, dryGpu, KernelError } from "../../../engine/mod.ts";
import { attention, type AttentionArgs } from "../../../kernels/attention/attention.ts";
import { fitsTiles } from "../../../kernels/attention/attention_tiles.ts";
import { assertNear, device, poisoned, TOLERANCE } from "../harness.ts";
import { bits, separate, SHARP, sharp, type Span, spansTensor } from "./attention_cases.ts";

const SPANS: Span[] = [[0, 70, 2, 131], [71, 1, 133, 1], [72, 9, 0, 64]];
const SHAPE = { heads: 2, qRows: 83, kRows: 137, spans: SPANS };

/** Where there is no room for tiles, attention_test.ts says so. */
const test = fitsTiles(device, 64) ? Deno.test : Deno.test.ignore;

/** Attends by tiles of so many queries into a new tensor. */
function attend(args: AttentionArgs, height: "64" | "128" = "64") {
  const before = device.tuning;
  device.tuning = { "attention_tiles queries": [[0, height]] };
  const y = poisoned("f32", args.y.shape as number[]);
  attention(device, { ...args, y, variant: "tiles" });
  device.tuning = before;
  return device.read(y) as Promise<Float32Array>;
}

for (const how of SHARP) {
  test(`attention() by tiles keeps the precision of f32 at ${JSON.stringify(how)}`, async () => {
    const { args, expected } = sharp({ ...how, headDim: 64, dtype: "f16" });
    // an error of f32 in a logit of this size is one in its weight
    assertNear(await attend(args), expected, TOLERANCE.f32 * (1 + how.sharpness / 20));
  });
}

test("attention() by tiles takes each width and mixed dtypes, and leaves other rows alone", async () => {
  const cases = [
    [4, "f32", "f32", "f16"],
    [96, "f32", "f16", "f32"],
    [128, "f16", "f32", "f16"],
    [128, "f16", "f16", "f16"],
  ] as const;
  for (const [headDim, dtype, kv, output] of cases) {
    const { args, expected } = separate(headDim, { ...SHAPE, headDim, dtype, kv, output });
    attention(device, { ...args, variant: "tiles" });
    const y = await device.read(args.y) as Float32Array;
    const inside = (x: ArrayLike<number>) =>
      Array.from(x).filter((_, i) => !Number.isNaN(expected[i]));
    assertNear(
      inside(y),
      inside(expected),
      TOLERANCE[output],
      `${headDim} ${dtype} ${kv} ${output}`,
    );
    assert(y.every((x, i) => Number.isNaN(x) === Number.isNaN(expected[i])), "rows outside spans");
  }
});

test("attention() by tiles gives the same bits by each height, step and batch", async () => {
  const { args } = separate(3, { ...SHAPE, headDim: 64 });
  const all = await attend(args);
  assertEquals(bits(await attend(args, "128")), bits(all));
  const alone: Span[] = [SPANS[2]!];
  const C = 128, rows = (y: Float32Array) => bits(y.slice(72 * C, 81 * C));
  const short = { ...args, spans: spansTensor(alone), maxQueries: 9 };
  for (const height of ["64", "128"] as const) {
    assertEquals(rows(await attend({ ...short, maxKeys: 64 }, height)), rows(all), height);
  }
});

test("attention() by tiles is chosen for the queries of a sequence, not of the batch", async () => {
  for (
    const [maxQueries, rows, variant] of [[16, 16, "workgroup"], [256, 256, "tiles"], [
      16,
      256,
      "tiles",
    ]]
  ) {
    const lines: string[] = [];
    const debug = { level: 3, log: (line: string) => lines.push(line) };
    using own = await Device.open({ gpu: dryGpu(), class: "gpu", debug });
    const [x, spans] = [own.tensor("f32", [512, 8]), own.tensor("u32", [1, 4])];
    const shape = { maxQueries, rows, heads: 1, headDim: 8, scale: 1 } as AttentionArgs;
    attention(own, { ...shape, q: x, k: x, v: x, y: x, spans });
    assert(lines.some((line) => line.startsWith(`attention: ${variant}`)), `${lines}`);
  }
});

test("attention() by tiles refuses heads that would spill registers", () => {
  const { args } = separate(1, { ...SHAPE, headDim: 132 });
  assertThrows(() => attention(device, { ...args, variant: "tiles" }), KernelError, "132 wide");
});

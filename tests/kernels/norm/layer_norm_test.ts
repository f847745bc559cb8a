import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { layerNorm } from "../../../kernels/norm/layer_norm.ts";
import type { LayerNormVariant } from "../../../kernels/norm/row_totals.ts";
import {
  asGpu,
  assertTensor,
  device,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import * as reference from "./references.ts";

type Launch = (launch: () => void) => void;
const plain: Launch = (launch) => launch();

/** How to launch: as on this adapter, and as on a GPU. */
const launches = Object.entries({ plain, asGpu });

const SUBGROUPS = device.capabilities.subgroups && device.capabilities.subgroupSize > 0;
/** All ways to sum. */
const WAYS: readonly (readonly [name: string, Launch, LayerNormVariant])[] = [
  ["workgroup", plain, "workgroup"],
  ["workgroup as on a GPU", asGpu, "workgroup"],
  ...SUBGROUPS ? [["subgroup", plain, "subgroup"], ["subgroups", asGpu, "subgroups"]] as const : [],
];

const SHAPES = [
  [1, 1],
  [1, 4],
  [3, 5],
  [7, 32],
  [2, 33],
  [5, 130],
  [30, 256],
  [3, 1028],
  [3, 2048], // what a workgroup of a GPU holds
  [2, 3361], // more than it holds
  [1, 4096],
] as const;

for (
  const [from, to] of [["f32", "f32"], ["f16", "f16"], ["f32", "f16"], ["f16", "f32"]] as const
) {
  Deno.test(`layerNorm() normalises rows of ${from} into ${to}`, async () => {
    const next = random(1);
    for (const [M, C] of SHAPES) {
      const x = values(next, M * C).map((v) => from === "f16" ? Math.f16round(v * 3 + 1) : v);
      const weight = values(next, C), bias = values(next, C);
      for (const rms of [false, true]) {
        const expected = reference.layerNorm(x, C, 1e-3, { rms, weight, bias });
        for (const [name, launch, variant] of WAYS) {
          const y = poisoned(to, [M, C]);
          const args = {
            x: upload(from, [M, C], x),
            weight: upload("f32", [C], weight),
            bias: upload("f32", [C], bias),
            y,
          };
          launch(() => layerNorm(device, { ...args, eps: 1e-3, rms, variant }));
          await assertTensor(y, expected, TOLERANCE[to], `[${M},${C}] rms ${rms} ${name}`);
        }
      }
    }
  });
}

Deno.test("layerNorm() works without weight or bias", async () => {
  const next = random(2);
  const M = 5, C = 64, x = values(next, M * C), weight = values(next, C), bias = values(next, C);
  for (const given of [{}, { weight }, { bias }]) {
    const y = poisoned("f32", [M, C]);
    const tensors = Object.fromEntries(
      Object.entries(given).map(([name, v]) => [name, upload("f32", [C], v)]),
    );
    layerNorm(device, { x: upload("f32", [M, C], x), y, eps: 1e-6, ...tensors });
    await assertTensor(
      y,
      reference.layerNorm(x, C, 1e-6, given),
      TOLERANCE.f32,
      Object.keys(given).join(),
    );
  }
});

Deno.test("layerNorm() modulates each row by its image", async () => {
  const next = random(3);
  for (const C of [24, 7]) {
    const images = 3, rows = 5, M = images * rows - 2;
    const vectors = values(next, images * 6 * C), x = values(next, M * C), weight = values(next, C);
    const at = (vector: number) => (image: number, c: number) =>
      vectors[image * 6 * C + vector * C + c]!;
    const y = poisoned("f32", [M, C]);
    layerNorm(device, {
      x: upload("f32", [M, C], x),
      y,
      eps: 1e-6,
      weight: upload("f32", [C], weight),
      modulation: {
        tensor: upload("f32", [images, 6, C], vectors),
        scaleOffset: 2 * C,
        shiftOffset: 4 * C,
        stride: 6 * C,
        rows,
      },
    });
    const expected = reference.layerNorm(x, C, 1e-6, { weight, scale: at(2), shift: at(4), rows });
    await assertTensor(y, expected, TOLERANCE.f32, `C ${C}`);
  }
});

Deno.test("layerNorm() keeps its precision for values far from zero", async () => {
  const next = random(4);
  const x = values(next, 2 * 256).map((v) => Math.fround(1000 + v));
  for (const [name, launch] of launches) {
    const y = poisoned("f32", [2, 256]);
    launch(() => layerNorm(device, { x: upload("f32", [2, 256], x), y, eps: 1e-6 }));
    // the mean itself is only good to 1000 · 2⁻²⁴
    await assertTensor(y, reference.layerNorm(x, 256, 1e-6), 1e-4, name);
  }
});

Deno.test("layerNorm() gives a row the same bits alone and among others", async () => {
  const next = random(5);
  const M = 21, C = 256, x = values(next, M * C);
  for (const [name, launch] of launches) {
    const all = poisoned("f32", [M, C]), one = poisoned("f32", [1, C]);
    const row = upload("f32", [1, C], x.subarray(9 * C, 10 * C));
    launch(() => {
      layerNorm(device, { x: upload("f32", [M, C], x), y: all, eps: 1e-6 });
      layerNorm(device, { x: row, y: one, eps: 1e-6 });
    });
    const [rows, alone] = await device.readAll([all, one]);
    assertEquals(rows!.slice(9 * C, 10 * C), alone, name);
  }
});

Deno.test("layerNorm() refuses shapes that disagree", () => {
  const x = poisoned("f32", [3, 8]);
  assertThrows(
    () => layerNorm(device, { x, y: poisoned("f32", [3, 7]), eps: 1e-6 }),
    KernelError,
    "Cannot normalise [3,8] into [3,7]",
  );
  const modulation = {
    tensor: poisoned("f32", [2, 16]),
    scaleOffset: 0,
    shiftOffset: 8,
    stride: 16,
    rows: 1,
  };
  assertThrows(
    () => layerNorm(device, { x, y: poisoned("f32", [3, 8]), eps: 1e-6, modulation }),
    KernelError,
    "modulation [2,16] of 3 images",
  );
  // a row and a half for each image
  assertThrows(
    () => layerNorm(device, { x, y: x, eps: 1e-6, modulation: { ...modulation, rows: 1.5 } }),
    KernelError,
    "of 2 images",
  );
});

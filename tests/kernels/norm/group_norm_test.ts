import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { applyGroupNorm, groupNorm } from "../../../kernels/norm/group_norm.ts";
import { groupNormMoments } from "../../../kernels/norm/group_norm_moments.ts";
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

const EPS = 1e-6;

/** How to launch: as on this adapter, and as on a GPU. */
const launches = Object.entries({ plain: (launch: () => void) => launch(), asGpu });

/** Batch, height, width, channels, groups. */
const CASES = [
  [1, 1, 1, 4, 1],
  [1, 1, 2, 4, 4],
  [2, 3, 5, 12, 3],
  [1, 4, 4, 64, 32],
  [3, 7, 9, 48, 24],
  [1, 8, 8, 128, 32],
  [2, 13, 11, 32, 32],
  [1, 100, 97, 8, 2],
  [2, 1, 35, 72, 8], // groups of 9 channels
  [1, 6, 6, 512, 32],
  [1, 3, 3, 1028, 4], // more channels than a workgroup takes
] as const;

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`groupNorm() normalises odd shapes in ${dtype}`, async () => {
    const next = random(1);
    for (const [B, H, W, C, groups] of CASES) {
      for (const activation of ["none", "silu"] as const) {
        const x = values(next, B * H * W * C, dtype);
        const weight = values(next, C), bias = values(next, C);
        const silu = activation === "silu";
        const expected = reference.groupNorm(x, [B, H * W, C], groups, weight, bias, silu, EPS);
        for (const [name, launch] of launches) {
          const y = poisoned(dtype, [B, H, W, C]);
          const args = {
            x: upload(dtype, [B, H, W, C], x),
            weight: upload("f32", [C], weight),
            bias: upload("f32", [C], bias),
            y,
          };
          launch(() => groupNorm(device, { ...args, groups, eps: EPS, activation }));
          await assertTensor(y, expected, TOLERANCE[dtype], `[${[B, H, W, C]}] ${groups} ${name}`);
        }
      }
    }
  });
}

Deno.test("groupNorm() keeps its precision for values far from zero", async () => {
  const next = random(2);
  const [H, W, C, groups] = [60, 50, 8, 2];
  const x = values(next, H * W * C).map((v) => Math.fround(1000 + v));
  const weight = new Float64Array(C).fill(1), bias = new Float64Array(C);
  const expected = reference.groupNorm(x, [1, H * W, C], groups, weight, bias, false, EPS);
  for (const [name, launch] of launches) {
    const y = poisoned("f32", [1, H, W, C]);
    const args = {
      x: upload("f32", [1, H, W, C], x),
      weight: upload("f32", [C], weight),
      bias: upload("f32", [C], bias),
      y,
    };
    launch(() => groupNorm(device, { ...args, groups, eps: EPS }));
    // partial means and the mean are rounded to f32: half a unit in the last place of 1000 is 3e-5, of a deviation 5e-5
    await assertTensor(y, expected, 1e-4, name);
  }
});

Deno.test("groupNorm() gives an image the same bits alone and in a batch", async () => {
  const next = random(3);
  const [H, W, C] = [9, 11, 64];
  const x = values(next, 3 * H * W * C);
  const rest = {
    weight: upload("f32", [C], values(next, C)),
    bias: upload("f32", [C], values(next, C)),
    groups: 32,
    eps: EPS,
    activation: "silu",
  } as const;
  const last = x.subarray(2 * H * W * C);
  for (const [name, launch] of launches) {
    const all = poisoned("f32", [3, H, W, C]), one = poisoned("f32", [1, H, W, C]);
    launch(() => {
      groupNorm(device, { x: upload("f32", [3, H, W, C], x), y: all, ...rest });
      groupNorm(device, { x: upload("f32", [1, H, W, C], last), y: one, ...rest });
    });
    const [images, image] = await device.readAll([all, one]);
    assertEquals(images!.slice(2 * H * W * C), image, name);
  }
});

Deno.test("groupNorm() refuses shapes that disagree", () => {
  const vector = upload("f32", [8], new Float64Array(8));
  const x = upload("f32", [1, 2, 2, 8], new Float64Array(32));
  const y = poisoned("f32", [1, 2, 2, 8]);
  assertThrows(
    () => groupNorm(device, { x, weight: vector, bias: vector, y, groups: 3, eps: EPS }),
    KernelError,
    "Cannot normalise [1,2,2,8] in 3 groups with [8] into [1,2,2,8]",
  );
});

Deno.test("applyGroupNorm() gives strips the same bits as whole images", async () => {
  const next = random(4);
  const [B, H, W, C, groups] = [2, 7, 5, 24, 3];
  const x = upload("f32", [B, H, W, C], values(next, B * H * W * C));
  const weight = upload("f32", [C], values(next, C)), bias = upload("f32", [C], values(next, C));
  const complete = poisoned("f32", [B, H, W, C]);
  groupNorm(device, { x, weight, bias, y: complete, groups, eps: EPS, activation: "silu" });
  const moments = groupNormMoments(device, { x, weight, groups, eps: EPS });
  for (const [image, begin, rows] of [[0, 0, 7], [0, 3, 1], [1, 0, 2], [1, 5, 2]] as const) {
    const y = poisoned("f32", [1, rows, W, C]);
    const strip = { image, begin };
    applyGroupNorm(device, { x, moments, bias, y, activation: "silu", strip });
    const [part, all] = await device.readAll([y, complete]);
    const at = (image * H + begin) * W * C;
    assertEquals(part, all!.slice(at, at + rows * W * C), `${[image, begin, rows]}`);
  }
  const y = poisoned("f32", [1, 3, W, C]);
  for (const strip of [{ image: 2, begin: 0 }, { image: 1, begin: 5 }, { image: 0, begin: -1 }]) {
    assertThrows(
      () => applyGroupNorm(device, { x, moments, bias, y, strip }),
      KernelError,
      `Cannot normalise [2,7,5,24] from row ${strip.begin} of image ${strip.image} into [1,3,5,24]`,
    );
  }
  assertThrows(
    () => groupNormMoments(device, { x, weight, groups: 5, eps: EPS }),
    KernelError,
    "Cannot take moments of [2,7,5,24] in 5 groups with [24]",
  );
});

Deno.test("groupNormMoments() and applyGroupNorm() work on an image in bands", async () => {
  const next = random(5);
  const [W, C, groups] = [37, 64, 4];
  for (const [rows, H] of [[5, 13], [4, 8], [30, 31]] as const) {
    const x = values(next, H * W * C);
    const weight = values(next, C), bias = values(next, C);
    const tops = Array.from({ length: Math.ceil(H / rows) }, (_, i) => i * rows);
    const bands = tops.map((top) => {
      const part = x.subarray(top * W * C, (top + rows) * W * C);
      return upload("f32", [1, part.length / W / C, W, C], part);
    });
    const moments = groupNormMoments(device, {
      x: bands,
      weight: upload("f32", [C], weight),
      groups,
      eps: EPS,
    });
    const y = poisoned("f32", [1, H, W, C]);
    bands.forEach((band, i) =>
      applyGroupNorm(device, {
        x: band,
        moments,
        bias: upload("f32", [C], bias),
        y,
        strip: { image: 0, begin: 0, rows: band.shape[1]!, to: tops[i]! },
      })
    );
    const expected = reference.groupNorm(x, [1, H * W, C], groups, weight, bias, false, EPS);
    await assertTensor(y, expected, TOLERANCE.f32, `${H} rows in bands of ${rows}`);
  }
  const [a, b] = [poisoned("f32", [1, 2, 3, 8]), poisoned("f32", [1, 3, 3, 8])];
  const weight = upload("f32", [8], new Float64Array(8));
  for (const x of [[a, b], [a, a, b], [b, a, b]]) {
    assertThrows(
      () => groupNormMoments(device, { x, weight, groups: 2, eps: EPS }),
      KernelError,
      "Cannot take moments of [1,",
    );
  }
});

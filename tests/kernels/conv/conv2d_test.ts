import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { conv2d } from "../../../kernels/conv/conv2d.ts";
import { packConv } from "../../../kernels/conv/conv2d_weight.ts";
import { usesTexture } from "../../../kernels/shared/textures.ts";
import { matrixShape } from "../../../kernels/shared/matrix.ts";
import { emulateMatrix, NEED_EMULATION } from "../emulated_matrices.ts";
import {
  assertSums,
  assertTensor,
  device,
  NEED_CPU,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import * as reference from "./references.ts";

const CASES: reference.Case[] = [
  { x: [1, 1, 1, 1], N: 1, size: 1 },
  { x: [1, 1, 1, 1], N: 1, size: 3 },
  { x: [2, 4, 4, 32], N: 64, size: 3 },
  { x: [1, 5, 7, 14], N: 36, size: 3 },
  { x: [1, 9, 3, 3], N: 32, size: 3 },
  { x: [2, 6, 5, 36], N: 3, size: 3 },
  { x: [3, 3, 5, 7], N: 5, size: 1 },
  { x: [1, 4, 6, 64], N: 32, size: 1 },
  { x: [1, 8, 6, 16], N: 20, size: 3, stride: 2, padding: "after" },
  { x: [2, 7, 5, 6], N: 8, size: 3, stride: 2, padding: "after" },
  { x: [1, 7, 6, 8], N: 8, size: 3, stride: 2 },
  { x: [1, 3, 4, 40], N: 40, size: 3, upsample: true },
  { x: [2, 1, 2, 5], N: 7, size: 3, upsample: true },
];

/** Where weights can be on this adapter. Each has a kernel of its own. */
const STORAGES = usesTexture(device) ? ["buffer", "texture"] : ["buffer"];
if (!usesTexture(device)) {
  Deno.test({ name: `conv2d() by weights in textures${NEED_CPU}`, ignore: true, fn() {} });
}

for (
  const [dtype, storage] of (["f32", "f16"] as const).flatMap((d) =>
    STORAGES.map((s) => [d, s] as const)
  )
) {
  Deno.test(`conv2d() convolves odd shapes in ${dtype} with a weight ${storage}`, async () => {
    const next = random(1);
    for (const c of CASES) {
      const { x: shape, N, size, stride, upsample, padding } = c;
      const C = shape[3];
      const x = values(next, shape.reduce((a, b) => a * b), dtype);
      const w = values(next, N * C * size * size, dtype), b = values(next, N);
      const weight = upload("f32", [N, C, size, size], w);
      const texture = storage === "texture";
      const conv = packConv(device, weight, upload("f32", [N], b), dtype, "weight", texture);
      const y = poisoned(dtype, [shape[0], ...reference.outputSize(c), N]);
      conv2d(device, { x: upload(dtype, shape, x), conv, y, stride, upsample, padding });
      await assertTensor(y, reference.conv2d(c, x, w, b), TOLERANCE[dtype], JSON.stringify(c));
    }
  });
}

const MATRICES = matrixShape(device) !== null;
const NEED = MATRICES ? "" : " (skipped: no subgroup matrices of f16 here)";

for (const dtype of ["f32", "f16"] as const) {
  Deno.test({
    name: `conv2d() convolves odd shapes of ${dtype} on tensor cores${NEED}`,
    ignore: !MATRICES,
    fn: async () => {
      const next = random(7);
      // more pixels than a tile; software adapters take long to compile, so large tiles get only this case
      const many: reference.Case = { x: [2, 9, 8, dtype === "f32" ? 36 : 32], N: 72, size: 3 };
      for (const c of [many, ...CASES]) {
        const { x: shape, N, size, stride, upsample, padding } = c;
        const x = values(next, shape.reduce((a, b) => a * b), "f16");
        const w = values(next, N * shape[3] * size * size, "f16"), b = values(next, N);
        const weight = upload("f32", [N, shape[3], size, size], w);
        const conv = packConv(device, weight, upload("f32", [N], b), "f16", "weight", false);
        const image = upload(dtype, shape, x);
        const run = (variant: "middle" | "large") => {
          const y = poisoned("f32", [shape[0], ...reference.outputSize(c), N]);
          conv2d(device, { x: image, conv, y, stride, upsample, padding, variant });
          return y;
        };
        const y = run("middle");
        await assertTensor(y, reference.conv2d(c, x, w, b), TOLERANCE.f32, JSON.stringify(c));
        if (c !== many) continue;
        const [middle, large] = await device.readAll([y, run("large")]);
        assertEquals(large, middle);
      }
    },
  });
}

Deno.test({
  name: `conv2d() is right with the matrices of NVIDIA, emulated${NEED_EMULATION}`,
  ignore: NEED_EMULATION !== "",
  fn: async () => {
    using _ = emulateMatrix(device, 16, 16, 16);
    const c: reference.Case = { x: [2, 9, 8, 40], N: 72, size: 3 };
    const next = random(8), { x: shape, N } = c;
    const x = values(next, 2 * 9 * 8 * 40, "f16"), w = values(next, N * 40 * 9, "f16");
    const b = values(next, N), weight = upload("f32", [N, 40, 3, 3], w);
    const conv = packConv(device, weight, upload("f32", [N], b), "f16", "weight", false);
    for (const variant of ["middle", "large"] as const) {
      const y = poisoned("f32", [2, 9, 8, N]);
      conv2d(device, { x: upload("f16", shape, x), conv, y, variant });
      await assertTensor(y, reference.conv2d(c, x, w, b), TOLERANCE.f32, variant);
    }
  },
});

Deno.test("conv2d() adds to y", async () => {
  const next = random(2);
  for (const c of CASES) {
    const { x: shape, N, size, stride, upsample, padding } = c;
    const C = shape[3];
    const x = values(next, shape.reduce((a, b) => a * b)), w = values(next, N * C * size * size);
    const b = values(next, N), [OH, OW] = reference.outputSize(c);
    const before = values(next, shape[0] * OH * OW * N);
    const conv = packConv(device, upload("f32", [N, C, size, size], w), upload("f32", [N], b));
    const y = upload("f32", [shape[0], OH, OW, N], before);
    const how = { stride, upsample, padding, epilogue: "add" } as const;
    conv2d(device, { x: upload("f32", shape, x), conv, y, ...how });
    const expected = reference.conv2d(c, x, w, b).map((v, i) => v + before[i]!);
    await assertTensor(y, expected, TOLERANCE.f32, JSON.stringify(c));
  }
});

const NEED_TEXTURE = usesTexture(device) ? "" : " (skipped: this adapter does not use textures)";

Deno.test(`conv2d() makes the same bits from a buffer and from a texture${NEED_TEXTURE}`, {
  ignore: NEED_TEXTURE !== "",
}, async () => {
  const next = random(4);
  const x = upload("f32", [1, 7, 5, 36], values(next, 7 * 5 * 36));
  const weight = upload("f32", [20, 36, 3, 3], values(next, 20 * 36 * 9));
  const bias = upload("f32", [20], values(next, 20));
  const [a, b] = [false, true].map((texture) => {
    const y = poisoned("f32", [1, 7, 5, 20]);
    conv2d(device, { x, conv: packConv(device, weight, bias, "f32", "weight", texture), y });
    return y;
  });
  const [buffer, texture] = await device.readAll([a!, b!]);
  assertEquals(buffer, texture);
});

Deno.test("conv2d() convolves by a weight too large for a texture", async () => {
  const C = Math.ceil(device.gpu.limits.maxTextureDimension2D / 9) + 3;
  const next = random(6);
  const x = values(next, C), w = values(next, C * 9), b = values(next, 1);
  const weight = upload("f32", [1, C, 3, 3], w);
  const conv = packConv(device, weight, upload("f32", [1], b));
  const y = poisoned("f32", [1, 1, 1, 1]);
  conv2d(device, { x: upload("f32", [1, 1, 1, C], x), conv, y });
  // of the nine taps, eight lie in the padding
  await assertSums(y, reference.conv2d({ x: [1, 1, 1, C], N: 1, size: 3 }, x, w, b), C);
});

Deno.test("conv2d() makes an image of the same bits alone and in a batch", async () => {
  const next = random(3);
  for (const [H, W, C, N] of [[3, 5, 32, 32], [4, 4, 14, 3]] as const) {
    const x = values(next, 3 * H * W * C);
    const weight = upload("f32", [N, C, 3, 3], values(next, N * C * 9));
    const conv = packConv(device, weight, upload("f32", [N], values(next, N)));
    const all = poisoned("f32", [3, H, W, N]), one = poisoned("f32", [1, H, W, N]);
    conv2d(device, { x: upload("f32", [3, H, W, C], x), conv, y: all });
    const last = x.subarray(2 * H * W * C);
    conv2d(device, { x: upload("f32", [1, H, W, C], last), conv, y: one });
    const [images, image] = await device.readAll([all, one]);
    assertEquals(images!.slice(2 * H * W * N), image);
  }
});

Deno.test("conv2d() pads with zeros whatever lies outside the image", async () => {
  // infinite numbers of a neighbouring image must not leak in as 0 · ∞
  const x = upload(
    "f32",
    [2, 2, 2, 4],
    Float64Array.from({ length: 32 }, (_, i) => i < 16 ? 1 : Infinity),
  );
  const weight = upload("f32", [4, 4, 3, 3], new Float64Array(144).fill(1));
  const conv = packConv(device, weight, upload("f32", [4], new Float64Array(4)));
  const y = poisoned("f32", [2, 2, 2, 4]);
  conv2d(device, { x, conv, y });
  assertEquals([...(await device.read(y)).slice(0, 16)], new Array(16).fill(16));
});

Deno.test("conv2d() and packConv() refuse shapes that do not match", () => {
  const bias = upload("f32", [4], new Float64Array(4));
  const conv = packConv(device, upload("f32", [4, 8, 3, 3], new Float64Array(288)), bias);
  const x = upload("f32", [1, 4, 4, 8], new Float64Array(128));
  assertThrows(
    () => conv2d(device, { x, conv, y: poisoned("f32", [1, 2, 2, 4]) }),
    KernelError,
    "Cannot convolve [1,4,4,8] by [4, 8, 3, 3] into [1,2,2,4], expected [1,4,4,4]",
  );
  assertThrows(
    () => packConv(device, upload("f32", [8, 4], new Float64Array(32)), bias),
    KernelError,
    "Cannot pack [8,4] and bias [4] as a convolution",
  );
});

/** Strips of 1, 2, 3 and all 7 rows of images of odd size, also with C and N that are not whole vec4s. */
for (const storage of [...STORAGES, ...MATRICES ? ["on tensor cores"] : []]) {
  Deno.test(`conv2d() makes the same bits in strips with a weight ${storage}`, async () => {
    const [type, variant] = storage === "on tensor cores"
      ? ["f16", "middle"] as const
      : ["f32"] as const;
    const next = random(5);
    for (const [C, N, size] of [[36, 20, 3], [14, 3, 3], [8, 12, 1], [8, 8, 3]] as const) {
      const [B, H, W] = [2, 7, 5];
      // on tensor cores, f16 in units of 8 channels is loaded in another way
      const dtype = type === "f16" && C % 8 === 0 ? "f16" : "f32";
      const x = values(next, B * H * W * C);
      const weight = upload("f32", [N, C, size, size], values(next, N * C * size * size));
      const bias = upload("f32", [N], values(next, N));
      const conv = packConv(device, weight, bias, type, "weight", storage === "texture");
      const before = values(next, B * H * W * N);
      for (const epilogue of ["none", "add"] as const) {
        const start = () =>
          epilogue === "add" ? upload("f32", [B, H, W, N], before) : poisoned("f32", [B, H, W, N]);
        const whole = start();
        const image = upload(dtype, [B, H, W, C], x);
        conv2d(device, { x: image, conv, y: whole, epilogue, variant });
        for (const rows of [1, 2, 3, 7]) {
          const y = start();
          for (let image = 0; image < B; image++) {
            for (let first = 0; first < H; first += rows) {
              // strips and the whole image are made by different tiles
              device.tuning = {
                "matmul_texture patches": [[0, "32"]],
                "matmul_texture rows": [[0, "32"]],
              };
              const count = Math.min(rows, H - first);
              const begin = Math.max(0, first - 1), end = Math.min(H, first + count + 1);
              const from = (image * H + begin) * W * C, to = (image * H + end) * W * C;
              const part = upload(dtype, [1, end - begin, W, C], x.subarray(from, to));
              const strip = { image, begin, first, count };
              conv2d(device, { x: part, conv, y, epilogue, strip, variant });
              device.tuning = {};
            }
          }
          const [strips, all] = await device.readAll([y, whole]);
          assertEquals(strips, all, `${[C, N, size, epilogue, rows]}`);
        }
      }
    }
  });
}

/** Layers that resample: how, rows of x and of y, and the rows of x that rows `first` to `first + count` of y need. */
const RESAMPLING = [
  [{}, 8, 8, (first: number, count: number) => [first - 1, first + count + 1]],
  [{ upsample: true }, 4, 8, (first: number, count: number) => [
    Math.floor((first - 1) / 2),
    Math.floor((first + count) / 2) + 1,
  ]],
  [{ stride: 2, padding: "after" }, 16, 8, (first: number, count: number) => [
    2 * first,
    2 * (first + count) + 1,
  ]],
] as const;

Deno.test("conv2d() makes the same bits in bands of y", async () => {
  const next = random(6);
  const [C, N, W] = [8, 12, 6];
  const weight = upload("f32", [N, C, 3, 3], values(next, N * C * 9));
  const conv = packConv(device, weight, upload("f32", [N], values(next, N)));
  for (const [how, rows, height, needed] of RESAMPLING) {
    const x = values(next, rows * W * C);
    const width = W * height / rows;
    const whole = poisoned("f32", [1, height, width, N]);
    conv2d(device, { x: upload("f32", [1, rows, W, C], x), conv, y: whole, ...how });
    const expected = await device.read(whole);
    for (const [top, size] of [[0, 5], [5, 3]] as const) {
      const y = poisoned("f32", [1, size, width, N]);
      for (const [first, count] of [[top, 2], [top + 2, size - 2]] as const) {
        const [low, high] = needed(first, count);
        const begin = Math.max(0, low!), end = Math.min(rows, high!);
        const part = (from: number, to: number) =>
          upload("f32", [1, to - from, W, C], x.subarray(from * W * C, to * W * C));
        const strip = { image: 0, begin, first, count, top, height };
        conv2d(device, { x: part(begin, end), conv, y, strip, ...how });
        assertThrows(
          () => conv2d(device, { x: part(begin, end - 1), conv, y, strip, ...how }),
          KernelError,
          "Cannot make rows",
        );
      }
      const from = top * width * N;
      assertEquals(await device.read(y), expected.slice(from, from + size * width * N));
    }
  }
});

Deno.test("conv2d() leaves the rows outside a strip and refuses one that lacks rows", async () => {
  const conv = packConv(
    device,
    upload("f32", [4, 4, 3, 3], new Float64Array(144)),
    upload("f32", [4], [1, 2, 3, 4]),
  );
  const y = upload("f32", [2, 4, 2, 4], new Float64Array(64).fill(9));
  const x = upload("f32", [1, 3, 2, 4], new Float64Array(24));
  conv2d(device, { x, conv, y, strip: { image: 1, begin: 1, first: 2, count: 1 } });
  const rows = Array.from({ length: 16 }, (_, i) => i >> 1 === 6 ? [1, 2, 3, 4] : [9, 9, 9, 9]);
  assertEquals([...await device.read(y)], rows.flat());
  for (
    const strip of [
      { image: 1, begin: 1, first: 1, count: 1 }, // row 0 is missing
      { image: 1, begin: 0, first: 1, count: 2 }, // row 3 is missing
      { image: 1, begin: 2, first: 3, count: 1 }, // x extends below the image
      { image: 2, begin: 1, first: 2, count: 1 },
    ]
  ) {
    assertThrows(() => conv2d(device, { x, conv, y, strip }), KernelError, "Cannot make rows");
  }
  const strip = { image: 1, begin: 1, first: 2, count: 1 };
  assertThrows(() => conv2d(device, { x, conv, y, strip, stride: 2 }), KernelError);
  assertThrows(
    () => conv2d(device, { x, conv, y, strip: { ...strip, first: 1 } }),
    KernelError,
    "Cannot make rows 1..2 of image 1 of [2,4,2,4] from rows 1..4 in [1,3,2,4]",
  );
});

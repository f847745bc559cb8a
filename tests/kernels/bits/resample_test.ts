import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { golden } from "../../goldens.ts";
import { resample } from "../../../kernels/bits/resample.ts";
import {
  assertNear,
  assertTensor,
  device,
  poisoned,
  random,
  TOLERANCE,
  upload,
  values,
} from "../harness.ts";
import { channelsLast, resize, unshuffle } from "../images.ts";

Deno.test("resample() resizes each image and channel in both modes", async () => {
  const next = random(31);
  for (
    const [B, H, W, C, h, w] of [
      [1, 1, 1, 1, 1, 1],
      [2, 5, 3, 7, 8, 9],
      [3, 11, 13, 5, 4, 6],
      [1, 6, 4, 3, 6, 9],
      [2, 1, 8, 2, 3, 1],
      [2, 9, 11, 12, 31, 29], // large enough for textures, with 1, 2 and 4 elements to an invocation
      [3, 11, 9, 8, 19, 37],
      [1, 40, 23, 16, 33, 17],
    ] as const
  ) {
    const data = values(next, B * H * W * C);
    const x = upload("f32", [B, H, W, C], data);
    for (const mode of ["area", "linear"] as const) {
      for (const dtype of ["f32", "f16"] as const) {
        const y = poisoned(dtype, [B, h, w, C]);
        resample(device, { x, y, mode });
        const expected = resize(mode, { shape: [B, H, W, C], data }, h, w);
        await assertTensor(
          y,
          expected.data,
          TOLERANCE[dtype],
          `${mode} [${x.shape}] to [${y.shape}]`,
        );
        const stacked = poisoned(dtype, [B, h, w, 4 * C]);
        resample(device, { x, y: stacked, mode, unshuffle: true });
        const squares = unshuffle(resize(mode, { shape: [B, H, W, C], data }, 2 * h, 2 * w));
        await assertTensor(stacked, squares.data, TOLERANCE[dtype], `${mode} [${stacked.shape}]`);
      }
    }
  }
});

Deno.test("resample() copies exactly if the size stays the same", async () => {
  const data = values(random(32), 2 * 7 * 5 * 3);
  const x = upload("f32", [2, 7, 5, 3], data);
  for (const mode of ["area", "linear"] as const) {
    const y = poisoned("f32", [2, 7, 5, 3]);
    resample(device, { x, y, mode });
    assertEquals([...await device.read(y) as Float32Array], [...data]);
  }
});

Deno.test("resample() puts its result among the rows of others, and writes nothing else", async () => {
  const next = random(33);
  for (
    const [B, H, W, C, h, w, first, rows] of [
      [1, 3, 3, 1, 2, 2, 1, 6],
      [2, 9, 7, 3, 4, 5, 6, 27],
      [3, 6, 5, 8, 3, 4, 0, 12],
      [2, 9, 11, 12, 31, 29, 5, 910], // by a texture on CPUs
    ] as const
  ) {
    const data = values(next, B * H * W * C);
    const x = upload("f32", [B, H, W, C], data);
    for (const side of [1, 2]) {
      const width = C * side * side;
      const y = poisoned("f32", [B, rows, width]);
      const place = { height: h, width: w, first };
      resample(device, { x, y, mode: "linear", unshuffle: side === 2, place });
      const made = resize("linear", { shape: [B, H, W, C], data }, h * side, w * side);
      const result = (side === 2 ? unshuffle(made) : made).data;
      const read = await device.read(y) as Float32Array;
      const inside = read.filter((_, i) => {
        const row = Math.floor(i / width) % rows;
        const own = row >= first && row < first + h * w;
        assertEquals(own, !Number.isNaN(read[i]), `row ${row}`);
        return own;
      });
      assertNear(inside, result, TOLERANCE.f32, `[${x.shape}] to rows of [${y.shape}]`);
      const past = { ...place, first: rows - h * w + 1 };
      assertThrows(
        () => resample(device, { x, y, mode: "area", unshuffle: side === 2, place: past }),
        KernelError,
        "rows",
      );
    }
  }
});

Deno.test("golden: resample() equals interpolate() and pixel_unshuffle()", async () => {
  const { file, tensor } = await golden("interp");
  for (const name of file.tensors.keys()) {
    const [, kind, from] = /^(area|trilinear)\.(\w+)\.to\./.exec(name) ?? [];
    if (!kind) continue;
    const x = channelsLast(tensor(`x.${from}`));
    const expected = channelsLast(tensor(name));
    const y = poisoned("f32", expected.shape);
    const mode = kind === "area" ? "area" : "linear";
    resample(device, { x: upload("f32", x.shape, x.data), y, mode });
    await assertTensor(y, expected.data, 1e-6, name);
  }
  const x = channelsLast(tensor("px.x"));
  const expected = channelsLast(tensor("px.unshuffle2"));
  const y = poisoned("f32", expected.shape);
  resample(device, { x: upload("f32", x.shape, x.data), y, mode: "linear", unshuffle: true });
  await assertTensor(y, expected.data, 0, "px.unshuffle2");
});

Deno.test("resample() refuses shapes that do not fit", () => {
  const x = poisoned("f32", [1, 2, 2, 3]);
  for (const shape of [[2, 2, 2, 3], [1, 2, 2, 12], [1, 2, 3]]) {
    const y = poisoned("f32", shape);
    assertThrows(
      () => resample(device, { x, y, mode: "area" }),
      KernelError,
      `Cannot resample [1,2,2,3] to [${shape}]`,
    );
  }
});

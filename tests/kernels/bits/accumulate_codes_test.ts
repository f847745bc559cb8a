import { assert, assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import { accumulateCodes } from "../../../kernels/bits/accumulate_codes.ts";
import { nextInput } from "../../../kernels/bits/next_input.ts";
import { golden } from "../../goldens.ts";
import {
  assertNear,
  assertTensor,
  device,
  poisoned,
  random,
  relativeError,
  TOLERANCE,
  upload,
} from "../harness.ts";
import { channelsLast } from "../images.ts";
import { type Codes, EXACT, explained, EXPLANATIONS, sumOfCodes } from "./freedoms.ts";
import * as reference from "./references.ts";

type Bits = Uint8Array<ArrayBuffer>;

Deno.test("accumulateCodes() sums resized codes of tokens and of patches", async () => {
  const next = random(41);
  for (
    const [B, H, W, dv, grids, patchify] of [
      [1, 1, 1, 1, [[1, 1]], false],
      [2, 6, 9, 14, [[1, 1], [2, 3], [6, 9]], false],
      [3, 5, 4, 16, [[1, 1], [7, 8], [5, 4]], false], // one larger than the sum
      [2, 6, 8, 3, [[1, 1], [2, 3], [3, 4]], true],
    ] as const
  ) {
    const sum = poisoned("f32", [B, H, W, dv]);
    const total = new Float64Array(B * H * W * dv);
    const d = patchify ? 4 * dv : dv;
    grids.forEach(([h, w], s) => {
      const sampled = Uint32Array.from({ length: B * h * w * d }, () => Number(next() < 0.5));
      const bits = upload("u32", [B, h * w, d], sampled);
      accumulateCodes(device, { bits, sum, height: h, width: w, first: s === 0, patchify });
      reference.codes(sampled, [B, h, w, d], [H, W], patchify).forEach((v, i) => total[i]! += v);
    });
    await assertTensor(sum, total, TOLERANCE.f32, `[${sum.shape}] patchify ${patchify}`);
    const sampled = Uint32Array.from({ length: B * d }, () => Number(next() < 0.5));
    const codes = { bits: upload("u32", [B, 1, d], sampled), height: 1, width: 1, patchify };
    const before = await device.read(sum);
    accumulateCodes(device, { ...codes, sum, first: false, subtract: true });
    const less = await device.read(sum);
    accumulateCodes(device, { ...codes, sum, first: true });
    const code = await device.read(sum);
    assertNear(less, Float64Array.from(before, (v, i) => v - code[i]!), TOLERANCE.f32, "less");
  }
});

Deno.test("golden: accumulateCodes() and nextInput() equal the official loop", async () => {
  for (const name of ["transformer_tiny.golden", "transformer_patchify.golden"]) {
    const { config, has, tensor } = await golden(name);
    const patchify = Boolean(config.apply_spatial_patchify);
    const schedule: number[][] = config.scale_schedule;
    const d = config.d_vae;
    const [, lastH, lastW] = schedule.at(-1) as [number, number, number];
    for (const run of Object.keys(config.runs)) {
      const patch = patchify ? 2 : 1;
      const shape = [1, lastH * patch, lastW * patch, d / patch ** 2];
      const sum = poisoned("f32", shape);
      const unpatched = poisoned("f32", shape); // the same from the VAE's bits, which have no patches
      for (const [s, [, h, w]] of (schedule as [number, number, number][]).entries()) {
        const first = s === 0;
        const bits = upload("u32", [1, h * w, d], tensor<Bits>(`${run}.step${s}.bits`).data);
        const [, height = 0, width = 0] = schedule[s + 1] ?? [];
        const y = height ? poisoned("f32", [1, height * width, d]) : null;
        // recorded together, as when generating: no upload comes between the two
        accumulateCodes(device, { bits, sum, height: h, width: w, first, patchify });
        if (y) nextInput(device, { sum, y, height, width, patchify });
        if (patchify) {
          const { shape, data } = tensor<Bits>(`${run}.step${s}.vae_bits`);
          const [, height = 0, width = 0, dv = 0] = shape;
          const bits = upload("u32", [1, height * width, dv], data);
          accumulateCodes(device, { bits, sum: unpatched, height, width, first, patchify: false });
        }
        if (!y) break;
        const expected = tensor(`${run}.step${s}.next_input`).data;
        await assertTensor(y, expected, 1e-6, `${run} step ${s}`);
      }
      if (patchify) assertEquals(await device.read(unpatched), await device.read(sum));
      if (!has(`${run}.summed_codes`)) continue;
      const expected = channelsLast(tensor(`${run}.summed_codes`)).data;
      await assertTensor(sum, expected, 1e-6, `${run} summed codes`);
    }
  }
});

Deno.test("golden: accumulateCodes() turns the bits of real schedules into the quantiser's sum", async () => {
  const { config, has, tensor } = await golden("bsq_only");
  for (
    const [name, { d, schedule }] of Object.entries<{ d: number; schedule: number[][] }>(config)
  ) {
    const { data } = tensor<Bits>(`${name}bits`);
    const [, H, W] = schedule.at(-1) as [number, number, number];
    const z = channelsLast(tensor(has(`${name}z`) ? `${name}z` : `${name}z.first4ch`));
    const channels = z.shape[3]!;
    const sum = poisoned("f32", [1, H, W, d]);
    const scales: Codes[] = [];
    let begin = 0;
    for (const [s, [, height, width]] of (schedule as [number, number, number][]).entries()) {
      const tokens = data.subarray(begin * d, (begin += height * width) * d);
      const bits = upload("u32", [1, height * width, d], tokens);
      accumulateCodes(device, { bits, sum, height, width, first: s === 0, patchify: false });
      const at = (row: number, col: number, c: number) =>
        2 * tokens[(row * width + col) * d + c]! - 1;
      scales.push({ height, width, at });
    }
    const read = await device.read(sum) as Float32Array;
    const actual = read.filter((_, i) => i % d < channels);
    // promised on every adapter: each scale adds three roundings of half a unit: of weights, of blends, and of the sum
    const shape = [H, W, channels] as const, value = 1 / Math.sqrt(d);
    const error = relativeError(actual, sumOfCodes(scales, shape, value, EXACT));
    if (!(error <= 3 * Math.sqrt(schedule.length) * 2 ** -24)) {
      const near = explained(actual, scales, shape, value).slice(0, 2).map(({ name, distance }) =>
        `${distance.toExponential(1)} from "${name}"`
      );
      throw new Error(`${name}: ${error.toExponential(2)} off; ${near.join(", ")}`);
    }
    // the official code rounds positions, too: it is up to 3.3e-7 off
    assertNear(actual, z.data, 1e-6, name);
  }
});

Deno.test("explained() tells what an adapter does from what it computes", () => {
  const next = random(43), shape = [24, 20, 3] as const;
  const scales = [1, 2, 3, 5, 7, 11, 20].map((side): Codes => {
    const bits = Array.from({ length: side * side * 3 }, () => next() < 0.5 ? -1 : 1);
    return { height: side, width: side, at: (row, col, c) => bits[(row * side + col) * 3 + c]! };
  });
  for (const [name, how] of Object.entries(EXPLANATIONS)) {
    const actual = Float32Array.from(sumOfCodes(scales, shape, 0.25, how));
    const [first, second] = explained(actual, scales, shape, 0.25);
    assertEquals(first, { name, distance: 0 });
    assert(second!.distance > 0, `"${name}" and "${second!.name}" are the same`);
  }
});

Deno.test("accumulateCodes() refuses shapes that do not fit", () => {
  const sum = poisoned("f32", [1, 4, 4, 8]);
  const bits = poisoned("u32", [1, 4, 8]);
  const args = { bits, sum, height: 2, width: 2, first: true, patchify: false };
  for (const wrong of [{ height: 3 }, { patchify: true }, { bits: bits.reshape(2, 2, 8) }]) {
    assertThrows(
      () => accumulateCodes(device, { ...args, ...wrong }),
      KernelError,
      "Cannot add codes",
    );
  }
});

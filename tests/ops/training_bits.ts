/** Cases of the kernels of kernels/bits that only training runs. */

import { drawStrengths } from "../../kernels/bits/draw_strengths.ts";
import { flipBits } from "../../kernels/bits/flip_bits.ts";
import { unitVectors } from "../../kernels/bits/unit_vectors.ts";
import { unitVectorsBackward } from "../../kernels/bits/unit_vectors_backward.ts";
import * as reference from "../kernels/bits/references.ts";
import { device, poisoned, upload } from "../kernels/harness.ts";
import type { Draw } from "./draw.ts";
import { type Op, plain } from "./op.ts";

export const TRAINING_BITS: readonly Op[] = [
  plain("draw_strengths", "f32", "f32", drawn),
  plain("flip_bits", "u32", "exact", flippedBits),
  plain("unit_vectors", "f32", "f32", projected),
  plain("unit_vectors_backward", "f32", "f32", projectedBack),
];

function sourceOf(draw: Draw) {
  return { seed: draw.int(0, 2 ** 32 - 1), step: draw.int(0, 2 ** 32 - 1), image: draw.int(0, 9) };
}

function drawn(draw: Draw) {
  const B = draw.size(40), S = draw.size(14), random = sourceOf(draw);
  const hundredths = draw.odds(0.5), shared = draw.odds(0.5), percent = draw.int(1, 100);
  const odds = draw.of([1, 0.5]), most = percent / 100;
  const tensor = poisoned("f32", [B, S]);
  drawStrengths(device, { y: tensor, most, hundredths, shared, odds, random });
  const how = { levels: hundredths ? percent + 1 : 0, most, shared, odds };
  return {
    shape: `[${B}, ${S}] ${JSON.stringify({ ...how, ...random })}`,
    outputs: [{ tensor, expected: reference.strengths([B, S], how, random) }],
  };
}

function flippedBits(draw: Draw) {
  const B = draw.int(1, 3), rows = draw.size(30), d = draw.size(24, 4), S = draw.int(1, 4);
  const first = draw.int(0, 9), L = first + rows + draw.int(0, 9), scale = draw.int(0, S - 1);
  const x = draw.bits(B * L * d), mask = draw.bits(B * rows * d), random = sourceOf(draw);
  const kind = draw.of(["mask", "random", "none"]);
  const p = Float32Array.from({ length: B * S }, () => draw.next());
  const tensor = poisoned("u32", [B, rows, d]);
  flipBits(device, {
    x: upload("u32", [B, L, d], x),
    first,
    y: tensor,
    flips: {
      none: null,
      mask: { mask: upload("u32", [B, rows, d], mask) },
      random: { strengths: upload("f32", [B, S], p), scale, random },
    }[kind],
  });
  const u = reference.flipUniforms([B, rows, d], scale, random);
  const expected = mask.map((given, i) => {
    const image = Math.floor(i / rows / d), drawn = Number(u[i]! < p[image * S + scale]!);
    const flip = { none: 0, mask: given, random: drawn }[kind];
    return x[(image * L + first) * d + i % (rows * d)]! ^ flip;
  });
  return {
    shape: `[${B}, ${L}, ${d}] ${kind}, from ${first} on ${rows}, ${JSON.stringify(random)}`,
    outputs: [{ tensor, expected }],
  };
}

/** Rows of vectors that are not short for their components. */
function vectors(draw: Draw) {
  const rows = draw.size(60), d = 1 + draw.size(64, 4);
  return { rows, d, x: draw.values(rows * d).map((v, i) => i % d ? v : Math.fround(v + 2)) };
}

function projected(draw: Draw) {
  const { rows, d, x } = vectors(draw);
  const tensor = poisoned("f32", [rows, d]);
  unitVectors(device, { x: upload("f32", [rows, d], x), y: tensor });
  return { shape: `[${rows}, ${d}]`, outputs: [{ tensor, expected: reference.unitVectors(x, d) }] };
}

function projectedBack(draw: Draw) {
  const { rows, d, x } = vectors(draw), shape = [rows, d], add = draw.odds(0.5);
  const dy = draw.values(rows * d), before = draw.values(rows * d);
  const tensor = add ? upload("f32", shape, before) : poisoned("f32", shape);
  const args = { x: upload("f32", shape, x), dy: upload("f32", shape, dy) };
  unitVectorsBackward(device, { ...args, dx: { tensor, add } });
  const expected = reference.unitVectorsBackward(x, dy, d);
  return {
    shape: `[${shape}] add ${add}`,
    outputs: [{ tensor, expected: add ? expected.map((v, i) => v + before[i]!) : expected }],
  };
}

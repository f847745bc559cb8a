import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../engine/mod.ts";
import {
  layerNormBackward,
  type LayerNormBackwardArgs,
} from "../../../kernels/norm/layer_norm_backward.ts";
import type { LayerNormVariant } from "../../../kernels/norm/row_totals.ts";
import { centralDifferences } from "../central_differences.ts";
import {
  asGpu,
  assertNear,
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

const SUBGROUPS = device.capabilities.subgroups && device.capabilities.subgroupSize > 0;
/** All ways to sum. */
const WAYS: readonly (readonly [name: string, Launch, LayerNormVariant])[] = [
  ["workgroup", plain, "workgroup"],
  ["workgroup as on a GPU", asGpu, "workgroup"],
  ...SUBGROUPS ? [["subgroup", plain, "subgroup"], ["subgroups", asGpu, "subgroups"]] as const : [],
];

Deno.test("layerNormBackward(): the analytic gradients are right", () => {
  const next = random(1);
  const [images, rows, C] = [2, 3, 5], M = images * rows, eps = 1e-3;
  const inputs = [M * C, C, C, images * C, images * C].map((count) => values(next, count));
  const dy = values(next, M * C);
  for (const rms of [false, true]) {
    const options = ([, weight, bias, scale, shift]: readonly Float64Array[]) => ({
      rms,
      weight,
      bias,
      rows,
      scale: (image: number, c: number) => scale![image * C + c]!,
      shift: (image: number, c: number) => shift![image * C + c]!,
    });
    const forward = (...inputs: Float64Array[]) =>
      reference.layerNorm(inputs[0]!, C, eps, options(inputs));
    const expected = centralDifferences(forward, inputs, dy);
    const found = reference.layerNormBackward(inputs[0]!, dy, C, eps, options(inputs));
    const { dx, dweight, dbias, dscale, dshift } = found;
    [dx, dweight, dbias, dscale, dshift].forEach((gradient, i) => {
      assertNear(gradient, expected[i]!, 1e-8, `rms ${rms}, input ${i}`);
    });
  }
});

const SHAPES = [
  [1, 4],
  [3, 5],
  [7, 32],
  [40, 33], // more rows than a chunk
  [5, 130],
  [30, 256],
  [3, 2048], // what a workgroup of a GPU holds
  [2, 3361], // more than it holds
] as const;

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`layerNormBackward() sends ${dtype} back to x, weight and bias`, async () => {
    const next = random(2);
    for (const [i, [M, C]] of SHAPES.entries()) {
      const x = values(next, M * C, dtype), dy = values(next, M * C, dtype);
      const weight = values(next, C), bias = values(next, C), before = values(next, M * C, dtype);
      for (const rms of [false, true]) {
        const expected = reference.layerNormBackward(x, dy, C, 1e-3, { rms, weight, bias });
        for (const [name, launch, variant] of WAYS) {
          for (const add of i ? [(i & 1) === 0] : [false, true]) {
            const what = `[${M},${C}] rms ${rms} add ${add} ${name}`;
            const dx = add ? upload(dtype, [M, C], before) : poisoned(dtype, [M, C]);
            const [dweight, dbias] = [0, 1].map(() =>
              add ? upload("f32", [C], before.subarray(0, C)) : poisoned("f32", [C])
            ) as [typeof dx, typeof dx];
            const args: LayerNormBackwardArgs = {
              x: upload(dtype, [M, C], x),
              dy: upload(dtype, [M, C], dy),
              weight: upload("f32", [C], weight),
              bias: upload("f32", [C], bias),
              eps: 1e-3,
              rms,
              variant,
              dx: { tensor: dx, add },
              dweight: { tensor: dweight, add },
              dbias: { tensor: dbias, add },
            };
            launch(() => layerNormBackward(device, args));
            const sum = (v: Float64Array) => v.map((v, i) => v + (add ? before[i]! : 0));
            await assertTensor(dx, sum(expected.dx), TOLERANCE[dtype], `dx ${what}`);
            await assertTensor(dweight, sum(expected.dweight), 4e-6, `dweight ${what}`);
            await assertTensor(dbias, sum(expected.dbias), 4e-6, `dbias ${what}`);
          }
        }
      }
    }
  });
}

Deno.test("layerNormBackward() sums scales and shifts of each image apart", async () => {
  const next = random(3);
  for (const C of [24, 7]) {
    for (const [images, rows, missing] of [[3, 5, 2], [2, 70, 0], [1, 1, 0]] as const) {
      for (const given of [{}, { weight: values(next, C), bias: values(next, C) }]) {
        const M = images * rows - missing;
        const vectors = values(next, images * 6 * C), before = values(next, images * 6 * C);
        const x = values(next, M * C), dy = values(next, M * C);
        const at = (vector: number) => (image: number, c: number) =>
          vectors[image * 6 * C + vector * C + c]!;
        const tensors = Object.fromEntries(
          Object.entries(given).map(([name, v]) => [name, upload("f32", [C], v)]),
        );
        const dx = poisoned("f32", [M, C]),
          [dweight, dbias] = [0, 1].map(() => poisoned("f32", [C]));
        const dmodulation = upload("f32", [images, 6, C], before);
        layerNormBackward(device, {
          x: upload("f32", [M, C], x),
          dy: upload("f32", [M, C], dy),
          eps: 1e-6,
          ...tensors,
          modulation: {
            tensor: upload("f32", [images, 6, C], vectors),
            scaleOffset: 2 * C,
            shiftOffset: 4 * C,
            stride: 6 * C,
            rows,
          },
          dx: { tensor: dx, add: false },
          dmodulation: { tensor: dmodulation, add: true },
          ...given.weight &&
            {
              dweight: { tensor: dweight!, add: false },
              dbias: { tensor: dbias!, add: false },
            },
        });
        const expected = reference.layerNormBackward(x, dy, C, 1e-6, {
          ...given,
          scale: at(2),
          shift: at(4),
          rows,
        });
        const sums = before.map((v, i) => {
          const image = Math.floor(i / 6 / C), vector = Math.floor(i / C) % 6, c = i % C;
          const { dscale, dshift } = expected;
          return v + (vector === 2 ? dscale : vector === 4 ? dshift : [])[image * C + c]!;
        }).map((v, i) => Number.isNaN(v) ? before[i]! : v);
        const what = `C ${C}, ${images} images of ${rows}`;
        await assertTensor(dx, expected.dx, TOLERANCE.f32, what);
        await assertTensor(dmodulation, sums, TOLERANCE.f32, what);
        if (!given.weight) continue;
        await assertTensor(dweight!, expected.dweight, 4e-6, what);
        await assertTensor(dbias!, expected.dbias, 4e-6, what);
      }
    }
  }
});

Deno.test("layerNormBackward() computes only what is wanted", async () => {
  const next = random(4);
  const [M, C] = [35, 12], x = values(next, M * C), dy = values(next, M * C);
  const weight = values(next, C);
  const expected = reference.layerNormBackward(x, dy, C, 1e-6, { rms: true, weight });
  const args = {
    x: upload("f32", [M, C], x),
    dy: upload("f32", [M, C], dy),
    weight: upload("f32", [C], weight),
    rms: true,
    eps: 1e-6,
  };
  const dx = poisoned("f32", [M, C]), dweight = poisoned("f32", [C]);
  layerNormBackward(device, { ...args, dx: null, dweight: { tensor: dweight, add: false } });
  layerNormBackward(device, { ...args, dx: { tensor: dx, add: false } });
  await assertTensor(dx, expected.dx, TOLERANCE.f32);
  await assertTensor(dweight, expected.dweight, TOLERANCE.f32);
  const { dispatches } = device.counters;
  layerNormBackward(device, { ...args, dx: null, dweight: null });
  assertEquals(device.counters.dispatches, dispatches);
});

Deno.test("layerNormBackward() gives the same bytes twice", async () => {
  const next = random(5);
  const [M, C] = [300, 64];
  const x = upload("f32", [M, C], values(next, M * C)),
    dy = upload("f32", [M, C], values(next, M * C));
  const weight = upload("f32", [C], values(next, C));
  const runs = [0, 1].map(() => {
    const made = [poisoned("f32", [M, C]), poisoned("f32", [C])] as const;
    const [dx, dweight] = made.map((tensor) => ({ tensor, add: false }));
    layerNormBackward(device, { x, dy, weight, eps: 1e-6, dx: dx!, dweight: dweight! });
    return made;
  });
  const [a, b] = [await device.readAll(runs[0]!), await device.readAll(runs[1]!)];
  assertEquals(a, b);
});

Deno.test("layerNormBackward() refuses shapes that disagree", () => {
  const x = poisoned("f32", [3, 8]), dx = { tensor: poisoned("f32", [3, 8]), add: false };
  const vector = { tensor: poisoned("f32", [8]), add: false };
  const send = (given: Partial<LayerNormBackwardArgs>) => () =>
    layerNormBackward(device, { x, dy: x, eps: 1e-6, dx, ...given });
  const refused = [
    { dy: poisoned("f32", [3, 7]) },
    { dx: vector },
    { dweight: vector }, // there is no weight
    { dmodulation: vector },
    { weight: poisoned("f32", [7]) },
    {
      modulation: {
        tensor: poisoned("f32", [2, 8]),
        scaleOffset: 0,
        shiftOffset: 0,
        stride: 8,
        rows: 1.5,
      },
    },
  ];
  for (const given of refused) {
    assertThrows(send(given), KernelError, "Cannot send [3,");
  }
});

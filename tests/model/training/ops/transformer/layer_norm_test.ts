import { adaVectors } from "../../../../../model/training/ops/transformer/ada_vectors.ts";
import { addGated } from "../../../../../model/training/ops/transformer/add_gated.ts";
import { layerNorm } from "../../../../../model/training/ops/transformer/layer_norm.ts";
import { Parameters } from "../../../../../model/training/tape/parameters.ts";
import { Tape } from "../../../../../model/training/tape/tape.ts";
import { assertTensor, device, random, upload, values } from "../../../../harness.ts";
import { centralDifferences } from "../../../../kernels/central_differences.ts";
import * as reference from "../../../../kernels/norm/references.ts";

const [B, L, C] = [2, 3, 4];
const eps = 1e-3;

/** Relative errors of gradients by the type of activations. */
const TOLERANCE = { f32: 1e-5, f16: 2e-3 } as const;

for (const dtype of ["f32", "f16"] as const) {
  Deno.test(`layerNorm() and addGated() add up the gradients of what they share, in ${dtype}`, async () => {
    const next = random(1);
    const shapes = { x: [B, L, C], shared: [B, 6 * C], gss: [1, 1, 6, C], gamma: [C] };
    const specs = Object.entries(shapes).map(([name, shape]) => ({ name, shape, decay: false }));
    using parameters = new Parameters(device, specs);
    const inputs = specs.map(({ name }) => {
      const { value } = parameters.get(name);
      const data = values(next, value.elements);
      device.upload(value, Float32Array.from(data));
      return data;
    });
    const dy = values(next, B * L * C);

    const tape = new Tape(device, { dtype });
    const [x, shared, gss, gamma] = specs.map(({ name }) => parameters.get(name));
    const vectors = adaVectors(tape, shared!, gss!);
    const normed = layerNorm(tape, x!, { eps, ada: { vectors, scale: 2, shift: 4 } });
    const middle = addGated(tape, x!, normed, { vectors, index: 1 });
    const weighted = layerNorm(tape, middle, { eps, rms: true, weight: gamma! });
    const gated = addGated(tape, middle, weighted, { vectors: gamma! });
    const y = addGated(tape, gated, middle);
    y.take(upload("f32", [B, L, C], dy));
    tape.unwind();

    const forward = (...[x, shared, gss, gamma]: Float64Array[]) => {
      const vectors = reference.adaVectors(shared!, gss!, 6 * C);
      const of = (vector: number) => (image: number, c: number) =>
        vectors[(image * 6 + vector) * C + c]!;
      const ada = { rows: L, scale: of(2), shift: of(4) };
      const normed = reference.layerNorm(x!, C, eps, ada);
      const middle = reference.addGated(x!, normed, C, L, of(1));
      const weighted = reference.layerNorm(middle, C, eps, { rms: true, weight: gamma });
      const gated = reference.addGated(middle, weighted, C, B * L, (_, c) => gamma![c]!);
      return reference.addGated(gated, middle, C, L, () => 1);
    };
    const expected = centralDifferences(forward, inputs, dy);
    for (const [i, { name }] of specs.entries()) {
      await assertTensor(parameters.get(name).grad!, expected[i]!, TOLERANCE[dtype], name);
    }
  });
}

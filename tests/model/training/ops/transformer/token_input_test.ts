import { Lookups } from "../../../../../kernels/tokens/lookups.ts";
import { embedding } from "../../../../../model/training/ops/transformer/embedding.ts";
import { addLevel, tokenInput } from "../../../../../model/training/ops/transformer/token_input.ts";
import { Parameters } from "../../../../../model/training/tape/parameters.ts";
import { Tape } from "../../../../../model/training/tape/tape.ts";
import { assertTensor, device, random, upload, values } from "../../../../harness.ts";
import { centralDifferences } from "../../../../kernels/central_differences.ts";
import * as reference from "../../../../kernels/tokens/references.ts";

const [B, L, C, V] = [2, 4, 4, 5];
const level = [0, 1, 1, 1], ids = [4, 0, 4, 4, 2, 1];

Deno.test("tokenInput() and addLevel() add up the gradients of the levels", async () => {
  const next = random(1);
  const shapes = { pooled: [B, C], position: [1, 1, C], embedded: [V, C], levels: [2, C] };
  const specs = Object.entries(shapes).map(([name, shape]) => ({ name, shape, decay: false }));
  using parameters = new Parameters(device, specs);
  const inputs = specs.map(({ name }) => {
    const { value } = parameters.get(name);
    const data = values(next, value.elements);
    device.upload(value, Float32Array.from(data));
    return data;
  });
  const dy = values(next, B * L * C);

  using levels = new Lookups(device, level, 2);
  using lookups = new Lookups(device, ids, V);
  const tape = new Tape(device);
  const [pooled, position, embedded, table] = specs.map(({ name }) => parameters.get(name));
  const words = embedding(tape, embedded!, lookups).reshape(B, L - 1, C);
  const x = tokenInput(tape, {
    pooled: pooled!,
    position: position!,
    words,
    table: table!,
    levels,
  });
  const y = addLevel(tape, x, table!, levels);
  y.take(upload("f32", [B, L, C], dy));
  tape.unwind();

  const forward = (...[pooled, position, embedded, table]: Float64Array[]) => {
    const words = reference.embedding(ids, embedded!, new Float64Array(ids.length * C), { C });
    const sizes = { B, L, C, images: B, skip: 1, level };
    const given = { pooled: pooled!, position: position!, table: table! };
    const x = reference.tokenInput({ ...sizes, ...given, words });
    return reference.addLevel(x, table!, level, C);
  };
  const expected = centralDifferences(forward, inputs, dy);
  for (const [i, { name }] of specs.entries()) {
    await assertTensor(parameters.get(name).grad!, expected[i]!, 1e-6, name);
  }
});

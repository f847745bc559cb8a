import { Tape } from "../../../../../model/training/tape/tape.ts";
import { Variable } from "../../../../../model/training/tape/variable.ts";
import { conv2d } from "../../../../../model/training/ops/tokenizer/conv2d.ts";
import { assertTensor, device, random, upload, values } from "../../../../harness.ts";
import * as reference from "../../../../kernels/conv/references.ts";

Deno.test("conv2d() adds a residual, which gets the whole gradient, and adds up gradients of parameters", async () => {
  const next = random(61);
  const c: reference.Case = { x: [2, 3, 5, 6], N: 8, size: 3 };
  const x = values(next, 2 * 3 * 5 * 6), w = values(next, 8 * 6 * 9), b = values(next, 8);
  const residual = values(next, 2 * 3 * 5 * 8), dy = values(next, 2 * 3 * 5 * 8);
  const gradients = [w, b].map((v) => v.map(() => 0.5));
  const weight = upload("f32", [8, 6, 3, 3], w), bias = upload("f32", [8], b);
  const dw = upload("f32", [8, 6, 3, 3], gradients[0]!), db = upload("f32", [8], gradients[1]!);
  using tape = new Tape(device);
  const input = Variable.tracked(device, upload("f32", [2, 3, 5, 6], x));
  const other = Variable.tracked(device, upload("f32", [2, 3, 5, 8], residual));
  const parameters = [
    Variable.parameter(device, weight, dw),
    Variable.parameter(device, bias, db),
  ] as const;
  const y = conv2d(tape, input, ...parameters, { residual: other });
  const made = reference.conv2d(c, x, w, b);
  await assertTensor(y.value, made.map((v, i) => v + residual[i]!), 2e-6);
  y.take(upload("f32", [2, 3, 5, 8], dy));
  tape.unwind();
  const expected = reference.conv2dBackward(c, x, w, dy);
  await assertTensor(input.grad!, expected.dx, 2e-6);
  await assertTensor(other.grad!, dy, 0);
  await assertTensor(dw, expected.dw.map((v) => v + 0.5), 2e-6);
  await assertTensor(db, expected.db.map((v) => v + 0.5), 2e-6);
});

Deno.test("conv2d() makes the activations of a tape in its type", async () => {
  const next = random(62);
  const c: reference.Case = { x: [1, 4, 4, 8], N: 4, size: 3, stride: 2, padding: "after" };
  const x = values(next, 128, "f16"), w = values(next, 288, "f16"), dy = values(next, 16, "f16");
  using tape = new Tape(device, { dtype: "f16" });
  const input = Variable.tracked(device, upload("f16", [1, 4, 4, 8], x));
  const weight = Variable.tracked(device, upload("f32", [4, 8, 3, 3], w));
  const bias = Variable.constant(device, upload("f32", [4], new Float64Array(4)));
  const how = { stride: 2, padding: "after" } as const;
  const y = conv2d(tape, input, weight, bias, how);
  await assertTensor(y.value, reference.conv2d(c, x, w, new Float64Array(4)), 1e-3);
  y.take(upload("f16", [1, 2, 2, 4], dy));
  tape.unwind();
  const expected = reference.conv2dBackward(c, x, w, dy);
  await assertTensor(input.grad!, expected.dx, 1e-3);
  await assertTensor(weight.grad!, expected.dw, 2e-6);
});

import { assertEquals, assertThrows } from "@std/assert";
import { KernelError } from "../../../../engine/mod.ts";
import { StoredMatrix } from "../../../../model/checkpoint/stored_matrix.ts";
import { linear } from "../../../../model/training/ops/linear.ts";
import { lora } from "../../../../model/training/ops/lora.ts";
import { Tape } from "../../../../model/training/tape/tape.ts";
import { Variable } from "../../../../model/training/tape/variable.ts";
import { assertTensor, device, random, TOLERANCE, upload, values } from "../../../harness.ts";
import { centralDifferences } from "../../../kernels/central_differences.ts";
import * as reference from "../../../kernels/linear/references.ts";

/** Shapes of the tests: x [2, 7, K], y [2, 7, 12]. */
const [M, K, N] = [14, 10, 12];

/** A parameter with values, whose gradient begins as zeros. */
function parameter(data: Float64Array, ...shape: number[]): Variable {
  return Variable.parameter(
    device,
    upload("f32", shape, data),
    upload("f32", shape, data.map(() => 0)),
  );
}

function constant(data: Float64Array, ...shape: number[]): Variable {
  return Variable.constant(device, upload("f32", shape, data));
}

/** Unwinds a tape with `data` as the gradient by y. */
function unwind(tape: Tape, y: Variable, data: Float64Array): void {
  y.take(upload("f32", y.value.shape, data));
  tape.unwind();
}

Deno.test("linear() multiplies by stacked weights with a bias in parts, each with its own gradient", async () => {
  const next = random(61);
  const [xs, ws, dy] = [M * K, N * K, M * N].map((count) => values(next, count));
  const bias = values(next, N).map((v, i) => i >= 4 && i < 7 ? 0 : v);
  const x = parameter(xs!, 2, 7, K);
  const [q, kv] = [parameter(ws!.subarray(0, 4 * K), 4, K), parameter(ws!.subarray(4 * K), 8, K)];
  const [first, last] = [parameter(bias.subarray(0, 4), 4), parameter(bias.subarray(7), 5)];
  const live = device.memory.liveBytes;
  const tape = new Tape(device);
  const y = linear(tape, x, [q, kv], [first, 3, last]);
  assertEquals(y.value.shape, [2, 7, N]);
  await assertTensor(y.value, reference.matmul(xs!, ws!, bias, M, K, N), TOLERANCE.f32);
  unwind(tape, y, dy!);
  assertEquals(device.memory.liveBytes, live, "the tape frees what it made");
  const { dx, dw, db } = reference.matmulBackward(xs!, ws!, dy!, M, K, N);
  await assertTensor(x.grad!, dx, TOLERANCE.f32);
  await assertTensor(q.grad!, dw.subarray(0, 4 * K), TOLERANCE.f32);
  await assertTensor(kv.grad!, dw.subarray(4 * K), TOLERANCE.f32);
  await assertTensor(first.grad!, db.subarray(0, 4), TOLERANCE.f32);
  await assertTensor(last.grad!, db.subarray(7), TOLERANCE.f32);
});

Deno.test("linear() begins a bias with zeros, and makes y of the type that is asked for", async () => {
  const next = random(62);
  const [xs, ws] = [M * K, N * K].map((count) => values(next, count, "f16"));
  const bias = values(next, N).map((v, i) => i < 5 ? 0 : v);
  const tape = new Tape(device, { dtype: "f16" });
  const b = constant(bias.subarray(5), 7);
  const [x, w] = [constant(xs!, M, K), constant(ws!, N, K)];
  const expected = reference.matmul(xs!, ws!, bias, M, K, N);
  for (const dtype of [undefined, "f32"] as const) {
    const y = linear(tape, x, w, [5, b], dtype && { dtype });
    assertEquals(y.value.dtype, dtype ?? "f16");
    await assertTensor(y.value, expected, TOLERANCE[dtype ?? "f16"]);
  }
  tape.dispose();
});

Deno.test("linear() computes no gradient by a frozen weight", () => {
  const next = random(63);
  const flops = (frozen: boolean) => {
    const tape = new Tape(device);
    const w = (frozen ? constant : parameter)(values(next, N * K), N, K);
    const y = linear(tape, parameter(values(next, M * K), M, K), w);
    const before = device.counters.flops;
    unwind(tape, y, values(next, M * N));
    return device.counters.flops - before;
  };
  assertEquals(flops(true), 2 * M * K * N);
  // with rows padded to vec4s
  assertEquals(flops(false), 2 * (M + 16) * K * N);
});

Deno.test("linear() refuses a bias of another length", () => {
  const tape = new Tape(device);
  const [x, w] = [constant(new Float64Array(K), 1, K), constant(new Float64Array(N * K), N, K)];
  assertThrows(() => linear(tape, x, w, [5, 5]), KernelError, "a bias of 10 to 12 columns");
});

Deno.test("lora() adds what its adapter makes, and trains it by central differences", async () => {
  const next = random(64);
  const rank = 3, strength = 0.7;
  const counts = [M * K, N * K, N, rank * K, N * rank];
  const inputs = counts.map((count) => values(next, count));
  const dy = values(next, M * N);
  const forward = (...[x, w, b, down, up]: Float64Array[]) => {
    const hidden = reference.matmul(x!, down!, null, M, K, rank);
    const adapted = reference.matmul(hidden, up!, null, M, rank, N);
    return reference.matmul(x!, w!, b!, M, K, N).map((v, i) => v + strength * adapted[i]!);
  };
  const [xs, ws, bs, downs, ups] = inputs;
  const x = parameter(xs!, M, K);
  const [down, up] = [parameter(downs!, rank, K), parameter(ups!, N, rank)];
  const live = device.memory.liveBytes;
  for (const frozen of [true, false]) {
    const make = frozen ? constant : parameter;
    const [w, b] = [make(ws!, N, K), make(bs!, N)];
    for (const { grad } of [x, down, up]) device.upload(grad!, new Float32Array(grad!.elements));
    const tape = new Tape(device);
    const y = lora(tape, x, w, b, { down, up, strength });
    await assertTensor(y.value, forward(...inputs), TOLERANCE.f32);
    unwind(tape, y, dy);
    const expected = centralDifferences(forward, inputs, dy);
    for (const [i, { grad }] of [x, w, b, down, up].entries()) {
      assertEquals(grad === null, frozen && (i === 1 || i === 2));
      if (grad) await assertTensor(grad, expected[i]!, TOLERANCE.f32);
    }
    for (const { value, grad } of [w, b]) {
      value.dispose();
      grad?.dispose();
    }
  }
  assertEquals(device.memory.liveBytes, live, "the tape frees what it made");
});

Deno.test("linear() gives the same bytes with a matrix as it is stored, and leaves no memory behind", async () => {
  const next = random(65);
  const [xs, dy, halves] = [M * K, M * N, N * K].map((count) => values(next, count, "f16"));
  const words = new Uint32Array(new Float16Array(halves!).buffer);
  const raw = upload("u32", [words.length], words);
  const matrices = [
    constant(halves!, N, K),
    new StoredMatrix(device, [N, K], { type: "F16", x: raw }),
    ...device.capabilities.f16
      ? [new StoredMatrix(device, [N, K], { type: "f16", x: upload("f16", [N, K], halves!) })]
      : [],
  ];
  for (const dtype of ["f32", "f16"] as const) {
    const made: unknown[] = [];
    for (const weight of matrices) {
      const x = Variable.tracked(device, upload(dtype, [M, K], xs!));
      const live = device.memory.liveBytes;
      const tape = new Tape(device, { dtype });
      const y = linear(tape, x, weight, [N]);
      const forward = await device.read(y.value);
      y.take(upload(dtype, [M, N], dy!));
      tape.unwind();
      using dx = x.release()!;
      made.push([[...forward], [...await device.read(dx)]]);
      dx.dispose();
      assertEquals(device.memory.liveBytes, live);
    }
    for (const other of made.slice(1)) assertEquals(other, made[0]);
  }
});

import { assertThrows } from "@std/assert";
import { KernelError, type Tensor } from "../../../../../engine/mod.ts";
import { accumulate } from "../../../../../kernels/elementwise/accumulate.ts";
import { scalesLayout } from "../../../../../model/training/ops/attention/attention_layouts.ts";
import { selfAttention } from "../../../../../model/training/ops/attention/self_attention.ts";
import { Tape } from "../../../../../model/training/tape/tape.ts";
import { Variable } from "../../../../../model/training/tape/variable.ts";
import { assertNear, assertTensor, device, random, upload, values } from "../../../../harness.ts";
import { centralDifferences } from "../../../../kernels/central_differences.ts";
import { scales } from "../../../../kernels/attention/attention_backward_cases.ts";
import { reference as attended } from "../../../../kernels/attention/attention_cases.ts";
import { reference as rotated } from "../../../../kernels/attention/qkv_rope_cases.ts";

const batch = 2, heads = 2, headDim = 8, C = heads * headDim, tokens = [1, 4], rows = 5;

function input(value: Tensor, before: ArrayLike<number>): Variable {
  return Variable.parameter(device, value, upload("f32", value.shape, before));
}

for (const cosine of [true, false]) {
  Deno.test(`selfAttention() and its gradients are right, cosine attention ${cosine}`, async () => {
    const next = random(4), half = headDim / 2;
    const qkv = values(next, batch * rows * 3 * C), dy = values(next, batch * rows * C);
    const angles = values(next, rows * half);
    const [cos, sin] = [angles.map(Math.cos), angles.map(Math.sin)];
    const scaleMul = Float64Array.of(5, 1.5);
    const forward = (qkv: Float64Array, scaleMul: Float64Array) => {
      const { q, k, v } = rotated(
        {
          ...{ batch, rows, heads, headDim, cosine, dtype: "f32" },
          ...{ cacheRows: rows, cacheStart: 0, ropeStart: 0 },
        },
        { qkv, cos, sin, scaleMul: scaleMul.slice() },
      );
      const at = (row: number) => row * C;
      return attended({
        ...{ q, k, v, qAt: at, kAt: at, vAt: at, rows: batch * rows, heads, headDim },
        ...{ spans: scales(batch, tokens), scale: cosine ? 1 : 1 / Math.sqrt(headDim) },
      });
    };
    const before = values(next, qkv.length);
    const x = input(upload("f32", [batch * rows, 3 * C], qkv), before);
    const log = input(upload("f32", [1, heads, 1, 1], scaleMul), new Float32Array(heads));
    const tape = new Tape(device);
    const layout = scalesLayout(device, batch, tokens);
    const table = (data: Float64Array) => upload("f32", [rows, half], data);
    const y = selfAttention(tape, x, {
      ...{ layout, heads, batch, rope: { cos: table(cos), sin: table(sin) } },
      scaleMul: cosine ? log : null,
    });
    await assertTensor(y.value, forward(qkv, scaleMul), 1e-5);
    y.receive((where) => accumulate(device, upload("f32", [batch * rows, C], dy), where));
    tape.unwind();
    layout.dispose();
    const [dqkv, dScaleMul] = centralDifferences(forward, [qkv, scaleMul], dy);
    const sum = dqkv!.map((value, i) => value + before[i]!);
    await assertTensor(x.grad!, sum, 1e-5, "qkv");
    const slopes = await device.read(log.grad!) as Float32Array;
    assertNear(slopes, cosine ? dScaleMul! : [0, 0], 1e-5, "scaleMul");
  });
}

Deno.test("selfAttention() refuses rows in no span", () => {
  using tape = new Tape(device);
  const qkv = tape.constant(upload("f32", [6, 12], new Float32Array(72)));
  const layout = scalesLayout(device, 1, [1, 4]);
  const table = upload("f32", [6, 2], new Float32Array(12));
  const rope = { cos: table, sin: table };
  assertThrows(
    () => selfAttention(tape, qkv, { layout, heads: 1, batch: 1, rope, scaleMul: null }),
    KernelError,
    "Cannot attend with qkv [6,12]",
  );
});

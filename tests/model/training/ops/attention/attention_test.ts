import { assertEquals, assertThrows } from "@std/assert";
import { KernelError, type Tensor } from "../../../../../engine/mod.ts";
import { accumulate } from "../../../../../kernels/elementwise/accumulate.ts";
import type { SpanLayout } from "../../../../../kernels/attention/attention_spans.ts";
import { attention } from "../../../../../model/training/ops/attention/attention.ts";
import {
  crossLayout,
  scalesLayout,
  textLayout,
} from "../../../../../model/training/ops/attention/attention_layouts.ts";
import { Tape } from "../../../../../model/training/tape/tape.ts";
import { Variable } from "../../../../../model/training/tape/variable.ts";
import { device, random, upload, values } from "../../../../harness.ts";

const heads = 2, C = 8;

/** An input whose gradient starts as zeros. */
function input(value: Tensor): Variable {
  return Variable.parameter(
    device,
    value,
    upload("f32", value.shape, new Float32Array(value.elements)),
  );
}

/** Gradients of inputs whose rows are those of q, k and v side by side, after one step back from `dy`. */
async function gradients(
  inputs: readonly Variable[],
  [q, k, v]: readonly [Variable, Variable, Variable],
  layout: SpanLayout,
  dy: Tensor,
): Promise<number[][]> {
  const tape = new Tape(device);
  const y = attention(tape, q, k, v, { layout, heads, scale: 0.4 });
  y.receive((where) => accumulate(device, dy, where));
  tape.unwind();
  layout.dispose();
  const read = await device.readAll(inputs.map(({ grad }) => grad!));
  return read.map((data) => [...data as Float32Array]);
}

/** Puts rows of C side by side. */
function join(...parts: Float64Array[]): Float64Array {
  const rows = parts[0]!.length / C;
  return Float64Array.from(
    { length: rows * parts.length * C },
    (_, i) => {
      const column = i % (parts.length * C), row = Math.floor(i / (parts.length * C));
      return parts[Math.floor(column / C)]![row * C + column % C]!;
    },
  );
}

Deno.test("attention() takes q, k and v from one variable, or k and v, or each from its own", async () => {
  const next = random(2), rows = 10;
  const [q, k, v] = [0, 1, 2].map(() => values(next, rows * C)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const dy = upload("f32", [rows, C], values(next, rows * C));
  const layout = () => scalesLayout(device, 2, [1, 4]);
  const tensor = (...parts: Float64Array[]) =>
    input(upload("f32", [rows, parts.length * C], join(...parts)));
  const own = [tensor(q), tensor(k), tensor(v)] as const;
  const [dq, dk, dv] = (await gradients(own, own, layout(), dy)).map((x) =>
    Float64Array.from(x)
  ) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const [first, kv] = [tensor(q), tensor(k, v)];
  assertEquals(await gradients([first, kv], [first, kv, kv], layout(), dy), [
    [...dq],
    [...join(dk, dv)],
  ]);
  const qkv = tensor(q, k, v);
  assertEquals(await gradients([qkv], [qkv, qkv, qkv], layout(), dy), [[...join(dq, dk, dv)]]);
});

Deno.test("Layouts say who attends to whom", async () => {
  const rows = async (layout: SpanLayout) => {
    const { byQueries, byKeys } = layout;
    const read = await device.readAll([byQueries.spans, byKeys.spans]);
    return read.map((data) => [...data as Uint32Array]);
  };
  assertEquals(await rows(scalesLayout(device, 2, [1, 4])), [
    [0, 1, 0, 1, 1, 4, 0, 5, 5, 1, 5, 1, 6, 4, 5, 5],
    [0, 5, 0, 5, 5, 5, 5, 5],
  ]);
  assertEquals(await rows(crossLayout(device, 5, [3, 2])), [
    [0, 5, 0, 3, 5, 5, 3, 2],
    [0, 3, 0, 5, 3, 2, 5, 5],
  ]);
  assertEquals(await rows(textLayout(device, [3, 2])), [[0, 3, 0, 3, 3, 2, 3, 2], [
    0,
    3,
    0,
    3,
    3,
    2,
    3,
    2,
  ]]);
});

Deno.test("attention() refuses widths that disagree, and rows in no span", () => {
  using tape = new Tape(device);
  const of = (...shape: number[]) =>
    input(upload("f32", shape, new Float32Array(shape[0]! * shape[1]!)));
  const layout = textLayout(device, [3, 2]);
  const refused = (q: Variable, k: Variable, v: Variable, heads = 2) =>
    assertThrows(
      () => attention(tape, q, k, v, { layout, heads, scale: 1 }),
      KernelError,
      "Cannot attend from q",
    );
  const [right, both] = [of(5, C), of(5, 2 * C)];
  refused(right, right, both);
  refused(right, both, right);
  refused(both, both, both);
  refused(of(4, C), both, both);
  refused(right, of(6, C), right);
  refused(right, both, both, 3);
});

/**
 * Proves attention backwards by matrices on an adapter, see attention_proof.ts.
 *
 * @module
 */

import type { Device } from "../../engine/mod.ts";
import { attentionBackward, type AttentionBackwardArgs } from "./attention_backward.ts";
import { peakedAttention, worstError } from "./attention_proof.ts";
import { type Span, spanLayout } from "./attention_spans.ts";

/**
 * Largest error of an element of a gradient, over the root mean square of all, that operands and weights rounded to f16
 * explain: gradients are sums of differences of nearly the same numbers.
 */
export const GRADIENT_TOLERANCE = 2e-2;

/** What {@link provesBackward} sends back through: one long span, and scales that attend to those before them. */
const CASES: readonly { readonly spans: readonly Span[]; readonly sharpness: number }[] = [
  { spans: [[0, 200, 0, 521]], sharpness: 20 },
  { spans: [[0, 1, 0, 1], [1, 4, 0, 5], [5, 36, 0, 41], [41, 100, 0, 141]], sharpness: 4 },
];

/**
 * Whether the variant `matrix` computes what the plain kernel does for heads of this width. `backward` is what to prove,
 * for tests.
 *
 * @throws {KernelError} `no-matrices`: the device has no tensor cores for it.
 */
export async function provesBackward(
  device: Device,
  headDim: number,
  backward: (args: AttentionBackwardArgs) => void = (args) =>
    attentionBackward(device, { ...args, variant: "matrix" }),
): Promise<boolean> {
  const heads = 2, C = heads * headDim;
  for (const { spans, sharpness } of CASES) {
    const [, , , keys] = spans.at(-1)!;
    const queries = spans.reduce((sum, [, count]) => sum + count, 0);
    using held = new DisposableStack();
    const peaked = peakedAttention(device, { queries, keys, heads, headDim, sharpness });
    const { q, k, v, y, spans: rows, scale } = peaked;
    for (const tensor of [q, k, v, y, rows]) held.use(tensor);
    const layout = held.adopt(spanLayout(device, spans), (layout) => layout.dispose());
    const dy = held.use(device.from("f16", [queries, C], wave(queries * C)));
    const gradients = [queries, keys, keys].map((n) => held.use(device.tensor("f32", [n, C])));
    const [dq, dk, dv] = gradients.map((tensor) => ({ tensor, add: false }));
    const args = { q, k, v, dy, layout, heads, headDim, scale, dq: dq!, dk: dk!, dv: dv! };
    const made = async (run: () => void) => {
      for (const one of gradients) device.upload(one, new Float32Array(one.elements).fill(NaN));
      run();
      return await device.readAll(gradients) as Float32Array[];
    };
    const found = await made(() => backward(args));
    const right = await made(() => attentionBackward(device, { ...args, variant: "tiles" }));
    if (!found.every((one, i) => worstError(one, right[i]!) <= GRADIENT_TOLERANCE)) return false;
  }
  return true;
}

/** Numbers from −1 to 1 that repeat late. */
function wave(count: number): Float16Array<ArrayBuffer> {
  return Float16Array.from({ length: count }, (_, i) => Math.sin(i * 1.7));
}

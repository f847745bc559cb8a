import { defineKernel, type Device, memoised, type Tensor } from "../../engine/mod.ts";
import { readX } from "../shared/access.ts";
import { divideLines } from "../shared/divide.ts";
import { spread } from "../shared/spread.ts";
import source from "./pad_rows.wgsl" with { type: "text" };

const kernel = defineKernel("pad_rows", source, ["x", "y"], ["count", "vectors", "K"]);

/**
 * Copies the rows of x, [rows, K] f32 or f16, to a new f32 tensor [rows, ⌈K/4⌉·4], padded with zeros. The caller
 * disposes it. Returns null if K is divisible by 4, where no copy is needed.
 */
export function padRows(device: Device, x: Tensor, K: number): Tensor | null {
  if (K % 4 === 0) return null;
  const vectors = Math.ceil(K / 4);
  const count = x.elements / K * vectors;
  const read = readX(x.dtype, K, "K");
  const { WG, workgroups } = spread(device, count);
  return device.allOrNothing(() => {
    const y = device.tensor("f32", [x.elements / K, vectors * 4], "padded rows");
    device.run(kernel, {
      specialise: { X: read.type, WG },
      functions: prelude(read.lines, divideLines(device, count)),
      bind: { x, y },
      params: { count, vectors, K },
      workgroups,
    });
    return y;
  });
}

const prelude = memoised((read: string, divide: string): string => `${divide}\n${read}`);

import { defineKernel, type Device, grid, memoised, type Tensor } from "../../engine/mod.ts";
import { readX } from "../shared/access.ts";
import { divideLines } from "../shared/divide.ts";
import source from "./whole.wgsl" with { type: "text" };

const kernel = defineKernel("whole", source, ["x", "y"], ["count", "vectors", "K"]);

/**
 * The rows of x, [rows, K] f32 or f16, as f32 padded with zeros to whole vec4s, for the caller to dispose; null where
 * they are whole already.
 */
export function whole(device: Device, x: Tensor, K: number): Tensor | null {
  if (K % 4 === 0) return null;
  const vectors = Math.ceil(K / 4);
  const count = x.elements / K * vectors;
  const y = device.tensor("f32", [count * 4], "whole rows");
  const read = readX(x.dtype, K, "K");
  device.run(kernel, {
    specialise: { X: read.type },
    functions: prelude(read.lines, divideLines(device, count)),
    bind: { x, y },
    params: { count, vectors, K },
    workgroups: grid(Math.ceil(count / 64)),
  });
  return y;
}

const prelude = memoised((read: string, divide: string): string => `${divide}\n${read}`);

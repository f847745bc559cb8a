import {
  defineKernel,
  type Device,
  grid,
  memoised,
  type Tensor,
  type Texture,
} from "../engine/mod.ts";
import { readX } from "./access.ts";
import divideSource from "./divide.wgsl" with { type: "text" };
import source from "./stage.wgsl" with { type: "text" };

const kernel = defineKernel("stage", source, ["x", "y"], ["count", "vectors", "K"]);

/**
 * A texture with the rows of x, [rows, K] f32 or f16, in vec4s, zeros behind each row: what matmul_texture.wgsl reads. The caller disposes it.
 */
export function stage(device: Device, x: Tensor, K: number): Texture {
  if (K % 4 === 0) return device.stage(x);
  const vectors = Math.ceil(K / 4);
  const count = x.elements / K * vectors;
  using y = device.tensor("f32", [count * 4], "staged");
  const read = readX(x.dtype, K, "K");
  device.run(kernel, {
    specialise: { X: read.type },
    functions: prelude(read.lines),
    bind: { x, y },
    params: { count, vectors, K },
    workgroups: grid(Math.ceil(count / 64)),
  });
  return device.stage(y);
}

const prelude = memoised((read: string): string => `${divideSource}\n${read}`);

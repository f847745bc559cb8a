import { defineKernel, type Device, KernelError, memoised, type Tensor } from "../../engine/mod.ts";
import { accessY } from "../shared/access.ts";
import { spread } from "../shared/spread.ts";
import source from "./widen.wgsl" with { type: "text" };

const kernel = defineKernel("widen", source, ["x", "y"], ["eights", "fours", "N"]);

const UNPACK = {
  F16: "fn unpack(word: u32) -> vec2<f32> { return unpack2x16float(word); }",
  BF16:
    "fn unpack(word: u32) -> vec2<f32> { return bitcast<vec2<f32>>(vec2(word << 16, word & 0xffff0000)); }",
} as const;

const prelude = memoised((from: keyof typeof UNPACK, access: string): string =>
  `${UNPACK[from]}\n${access}`
);

/** Arguments of {@link widen}. */
export interface WidenArgs {
  /** Raw bytes of 16-bit floats, two per u32 word; an odd count leaves the last half word unused. */
  readonly x: Tensor;
  /** f32. */
  readonly y: Tensor;
  /** Format of the 16 bits. */
  readonly from: keyof typeof UNPACK;
}

/**
 * y = f32(x): converts F16 or BF16 to f32, exactly.
 *
 * @throws {KernelError} `bad-shape`: x holds fewer elements than y.
 */
export function widen(device: Device, { x, y, from }: WidenArgs): void {
  if (x.byteLength < y.elements * 2) {
    throw new KernelError(
      "bad-shape",
      `Cannot widen ${x.byteLength / 2} to ${y.elements} elements`,
    );
  }
  const N = y.elements;
  const { WG, workgroups } = spread(device, N / 8);
  const access = accessY("f32", N % 4 === 0); // a view may end within a vec4
  device.run(kernel, {
    specialise: { WG, Y: access.type },
    functions: prelude(from, access.lines),
    bind: { x, y },
    params: { eights: Math.ceil(N / 8), fours: Math.ceil(N / 4), N },
    workgroups,
  });
}

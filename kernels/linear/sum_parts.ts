import {
  defineKernel,
  type Device,
  elementCount,
  grid,
  KernelError,
  memoised,
  type Tensor,
} from "../../engine/mod.ts";
import { type Epilogue, epilogueLines, finishes, type Gate, gateParams } from "./epilogue.ts";
import { accessY } from "../shared/access.ts";
import type { Overflow } from "../shared/narrow.ts";
import { repeat } from "../shared/unroll.ts";
import source from "./sum_parts.wgsl" with { type: "text" };

const kernel = defineKernel("sum_parts", source, ["parts", "bias", "gate", "y"], [
  "M",
  "N",
  "first",
  "rows_per_gate",
  "gate_stride",
  "gate_offset",
]);

/** Invocations of a workgroup. */
const WG = 256;

/** Bytes that parts take at most: twice what one image with guidance needs where products are split. */
const MOST_BYTES = 128 << 20;

/** Rows of which to make parts at a time, so that a large batch needs no more memory: a multiple of 128. */
export function rowsInParts(S: number, N: number): number {
  return Math.max(1, Math.floor(MOST_BYTES / (16 * S * Math.ceil(N / 4)) / 128)) * 128;
}

/**
 * Calls `use` with memory for parts, [S, rows, columns] f32. It has a power of four of elements, so that the pool keeps
 * a few buffers for the products of all scales.
 */
export function withParts(
  device: Device,
  shape: readonly [S: number, rows: number, columns: number],
  use: (parts: Tensor) => void,
): void {
  const elements = elementCount(shape);
  const rounded = Math.min(4 ** Math.ceil(Math.log2(elements) / 2), MOST_BYTES / 4);
  using memory = device.tensor("f32", [Math.max(elements, rounded)], "parts of sums");
  use(memory.rows(0, elements).reshape(...shape));
}

/** Arguments of {@link sumParts}. */
export interface SumPartsArgs {
  /** [S, M, ⌈N/4⌉·4] f32: sums over S parts of the common axis. What is beyond N does not matter. */
  readonly parts: Tensor;
  /** Columns of y. */
  readonly N: number;
  /** [⌈N/4⌉·4] f32, or null. */
  readonly bias: Tensor | null;
  /** At least `first` + M rows of N f32 or f16. */
  readonly y: Tensor;
  /** Row of y where row 0 of the sums goes; 0 if absent. */
  readonly first?: number;
  /** `none` if absent. */
  readonly epilogue?: Epilogue | undefined;
  /** For the epilogue `gate`. Offset, stride and N are divisible by 4. */
  readonly gate?: Gate | undefined;
  /** What becomes of sums beyond the range of f16; its largest number if absent. */
  readonly overflow?: Overflow | undefined;
}

/**
 * Computes y = epilogue(Σ parts + bias), in the order of the parts: the second pass of a product with a split K.
 *
 * @throws {KernelError} `bad-shape`: shapes do not match.
 */
export function sumParts(device: Device, args: SumPartsArgs): void {
  const { parts, N, bias, y, first = 0, epilogue = "none", gate, overflow } = args;
  const [S = 0, M = 0, width = 0] = parts.shape;
  const columns = Math.ceil(N / 4);
  if (
    parts.shape.length !== 3 || width !== 4 * columns || y.elements < (first + M) * N ||
    !finishes(first + M, N, { ...args, epilogue })
  ) {
    throw new KernelError(
      "bad-shape",
      `Cannot sum parts [${parts.shape}] with ${N} columns to [${y.shape}]`,
    );
  }
  const access = accessY(y.dtype, N % 4 === 0, overflow);
  device.run(kernel, {
    specialise: { Y: access.type, WG },
    functions: prelude(access.lines, S, bias !== null, epilogue),
    bind: { parts, bias, gate: gate?.tensor ?? null, y },
    params: { M, N, first, ...gateParams(gate) },
    workgroups: grid(Math.ceil(M * columns / WG)),
    work: { shape: [S, M, N] },
  });
}

/** Returns all prelude lines. The sum is unrolled, so that all loads are under way at once. */
const prelude = memoised((
  access: string,
  S: number,
  bias: boolean,
  epilogue: Epilogue,
): string => {
  const terms = repeat(S, (s) => `parts[i + ${s} * stride]`, " + ");
  return [
    access,
    `fn sum(i: u32, stride: u32) -> vec4<f32> { return ${terms}; }`,
    epilogueLines(bias, epilogue),
  ].join("\n");
});

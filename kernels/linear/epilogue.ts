import type { Tensor } from "../../engine/mod.ts";
import { ACTIVATIONS } from "../shared/activations.ts";

/** What is done to a sum before it is stored. `add` and `gate` accumulate into y, which must be f32. */
export type Epilogue = "none" | "gelu" | "silu" | "add" | "gate";

/** The gate of the epilogue `gate`: y += gate[m / rows] · sum. */
export interface Gate {
  /** f32, with rows as wide as those of y. */
  readonly tensor: Tensor;
  /** Elements before the first row. */
  readonly offset: number;
  /** Elements between rows. */
  readonly stride: number;
  /** Rows of y that share one row. */
  readonly rows: number;
}

/** Bodies of WGSL functions that return what to store at vec4 `n` of row `m` for the sum `v`. */
export const EPILOGUES: Readonly<Record<Epilogue, string>> = {
  none: "return v;",
  gelu: ACTIVATIONS.gelu.value,
  silu: ACTIVATIONS.silu.value,
  add: "return v + load_y(m, n);",
  gate:
    "return fma(gate[params.gate_offset + m / params.rows_per_gate * params.gate_stride + n], v, load_y(m, n));",
};

/** Returns WGSL `epilogue(m, n, sum)`: what to store at vec4 `n` of row `m`. It reads `bias` if there is one. */
export function epilogueLines(bias: boolean, epilogue: Epilogue): string {
  return `fn epilogue(m: u32, n: u32, sum: vec4<f32>) -> vec4<f32> { let v = sum${
    bias ? " + bias[n]" : ""
  }; ${EPILOGUES[epilogue]} }`;
}

/** Elements of a gate's tensor that M rows of N reach. */
export function gateReach(
  { offset, stride, rows }: Omit<Gate, "tensor">,
  M: number,
  N: number,
): number {
  if (rows % 1) return Infinity; // a row would belong to two images
  return offset + (Math.ceil(M / rows) - 1) * stride + N;
}

/** Whether M rows of N find a bias for each column, and a gate if the epilogue takes one. */
export function finishes(
  M: number,
  N: number,
  { bias, epilogue, gate }: {
    readonly bias: Tensor | null;
    readonly epilogue?: Epilogue | undefined;
    readonly gate?: Gate | undefined;
  },
): boolean {
  return (!bias || bias.elements >= N) && (epilogue !== "gate" || gate !== undefined) &&
    (!gate || gate.tensor.elements >= gateReach(gate, M, N));
}

/** Values of the parameters by which the epilogue `gate` finds its rows. */
export function gateParams(
  gate?: Gate,
): Record<"rows_per_gate" | "gate_stride" | "gate_offset", number> {
  return {
    rows_per_gate: gate?.rows ?? 1,
    gate_stride: (gate?.stride ?? 0) / 4,
    gate_offset: (gate?.offset ?? 0) / 4,
  };
}

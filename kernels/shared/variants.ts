import type { Device, Tuning } from "../../engine/mod.ts";

/** A choice between variants of a kernel that is made by size. */
export interface Choice {
  /** What the size counts. */
  readonly size: string;
  /** The variants, from the one for the smallest sizes to the one for the largest. */
  readonly variants: readonly string[];
}

/** Every choice made by size, see {@link variantOf}. */
export const CHOICES = {
  "matmul_texture rows": { size: "rows", variants: ["8", "16", "32"] },
  "matmul_texture patches": { size: "pixels", variants: ["8", "16", "32"] },
  "matmul": { size: "rows with guidance", variants: ["rows", "tiles"] },
  "matmul_tiles parts": { size: "tiles with guidance", variants: ["8", "4", "2", "1"] },
  "matmul_tiles parts, deep": { size: "tiles with guidance", variants: ["8", "4", "2", "1"] },
  "conv2d_tiles parts": { size: "tiles of an image", variants: ["8", "4", "2", "1"] },
  "matmul_matrix shallow": {
    size: "rows with guidance",
    variants: ["rows", "split8", "middle", "split4", "large"],
  },
  "matmul_matrix deep": {
    size: "rows with guidance",
    variants: ["rows", "split8", "middle", "split4", "large"],
  },
  "conv2d_matrix": { size: "large tiles", variants: ["middle", "large"] },
  attention: { size: "queries of one sequence", variants: ["workgroup", "tiles"] },
  "attention matrix": { size: "queries of one sequence", variants: ["two-pass", "one-pass"] },
  "attention backward": { size: "queries of one sequence", variants: ["tiles", "matrix"] },
  "attention_tiles queries": {
    size: "workgroups of 128 queries",
    variants: ["64", "128"],
  },
  "attention operands": {
    size: "operations per byte of keys and values",
    variants: ["subgroup", "texture"],
  },
  "attention_texture queries": { size: "queries per lane", variants: ["2", "4"] },
} as const satisfies Record<string, Choice>;

/** Measured on lavapipe 22.3.6 on 2 Xeon cores (Sapphire Rapids), with 256 (`narrow`) and 512 bits (`wide`); GPUs. */
const DEFAULTS: Record<"narrow" | "wide" | "gpu", Tuning> = {
  narrow: {
    "matmul_texture rows": [[0, "16"], [65, "32"]],
    "matmul_texture patches": [[0, "16"], [2049, "32"]],
    // twice as fast from 6, but compiles a second longer
    "attention operands": [[0, "subgroup"], [12, "texture"]],
    "attention_texture queries": [[0, "2"], [16, "4"]],
  },
  wide: {
    // unrolled over 16 lanes, 32 rows take two seconds to compile
    "matmul_texture rows": [[0, "8"], [65, "32"]],
    "matmul_texture patches": [[0, "8"], [1025, "32"]],
    "attention operands": [[0, "subgroup"], [12, "texture"]],
    "attention_texture queries": [[0, "2"], [16, "4"]],
  },
  gpu: {
    // measured on an H200 with 32 rows, and with 128
    "matmul": [[0, "rows"], [48, "tiles"]],
    // between 32, 80, 128, 208 to 240, 288, 512 to 864 and 2048 tiles of 64 x 128, K of 2048: fills 132 processors
    "matmul_tiles parts": [[0, "8"], [101, "2"], [163, "8"], [263, "4"], [384, "2"], [1330, "1"]],
    // between 80 to 128, 288 and 800 tiles, K of 8192
    "matmul_tiles parts, deep": [[0, "8"], [192, "4"], [480, "2"], [1330, "1"]],
    // measured with 1024 tiles alone; the rest so that 4 workgroups fill each of 132 processors
    "conv2d_tiles parts": [[0, "8"], [80, "4"], [160, "2"], [450, "1"]],
    // measured on an H200 with 2 to 8, 32, 72 to 512, and 800 rows or more
    "matmul_matrix shallow": [[0, "rows"], [9, "split8"], [65, "middle"], [800, "large"]],
    // with 2 to 8, 32 to 128, 288 to 800, and 1152 rows or more
    "matmul_matrix deep": [[0, "rows"], [9, "split8"], [129, "split4"], [960, "large"]],
    // large tiles were measured from 512 on; the rest is not: about one for each core of a large GPU
    "conv2d_matrix": [[0, "middle"], [128, "large"]],
    // not measured: a step of tiles takes 36 us on an H200, however few its queries are
    attention: [[0, "workgroup"], [37, "tiles"]],
    // the faster must be proved on each adapter first: bench --tune does
    "attention matrix": [[0, "two-pass"]],
    "attention backward": [[0, "tiles"]],
    // 128 are 1.3 times as fast on an H200, if they fill its 132 processors
    "attention_tiles queries": [[0, "64"], [128, "128"]],
  },
};

/** Chooses the variant for a size: by measurements on this adapter if there are any, otherwise by the defaults. */
export function variantOf<K extends keyof typeof CHOICES>(
  device: Device,
  kernel: K,
  size: number,
): (typeof CHOICES)[K]["variants"][number] {
  const { class: adapter, subgroupSize } = device.capabilities;
  const defaults = DEFAULTS[adapter === "gpu" ? "gpu" : subgroupSize > 8 ? "wide" : "narrow"];
  const steps = device.tuning[kernel] ?? defaults[kernel] ?? [];
  const variant = steps.findLast(([least]) => size >= least)?.[1] ?? CHOICES[kernel].variants[0];
  device.debug?.variant(
    kernel,
    variant,
    `${size} ${CHOICES[kernel].size}, ${device.tuning[kernel] ? "as measured here" : "by default"}`,
  );
  return variant as (typeof CHOICES)[K]["variants"][number];
}

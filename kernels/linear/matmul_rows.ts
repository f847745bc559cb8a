import { defineKernel, type Device, grid, memoised } from "../../engine/mod.ts";
import { BINDINGS, PARAMS, type Product, productDispatch } from "./product.ts";
import { INVOCATION } from "../shared/invocation.ts";
import { range } from "../shared/unroll.ts";
import source from "./matmul_rows.wgsl" with { type: "text" };

const kernel = defineKernel("matmul_rows", source, BINDINGS, PARAMS);

/** How a workgroup shares K. It changes the order of sums, so it depends on one sequence alone. */
export interface Sharing {
  /** Vec4s of columns that a workgroup makes: a power of two. */
  readonly across: number;
  /** Invocations of a workgroup: a power of two. */
  readonly workgroup: number;
  /** Invocations of a subgroup whose sums shuffles add; 1 without shuffles. */
  readonly lanes: number;
}

/** Widest product that counts as narrow: the logits of a token's bits. */
export const NARROW = 64;

/**
 * Most invocations of a workgroup where subgroups have no fixed size, as on Metal: it leaves out, in silence, a
 * dispatch whose kernel needs so many registers that fewer fit than the adapter's limit says.
 */
const SURE = 256;

/** Columns from which on workgroups are enough if each makes twice as many. */
const WIDE = 4096;

/**
 * Returns how to share K for `rows` rows of a sequence. Measured on an NVIDIA H200 with two sequences of 1 to 36 rows,
 * K of 2048 and 8192, and N of 32, 2048 and 8192.
 */
export function sharing(
  { capabilities: { subgroups, subgroupSize, limits } }: Device,
  rows: number,
  K: number,
  N: number,
): Sharing {
  const [across, wanted] = N <= NARROW
    ? [rows <= 36 ? 2 : 4, 512]
    : rows === 1
    ? N < WIDE ? [4, 1024] : [8, 512]
    : rows <= 8 && N < WIDE
    ? [4, 512]
    : [16, 512];
  const useful = across * Math.ceil(K / 4); // more would have no part of K
  const fixed = subgroups && subgroupSize > 0;
  const most = Math.min(limits.maxComputeInvocationsPerWorkgroup!, fixed ? Infinity : SURE);
  const workgroup = Math.max(64, Math.min(wanted, powerUpTo(most), powerUpTo(2 * useful - 1)));
  // with fewer lanes, a subgroup has no two parts of a sum
  const shuffles = fixed && subgroupSize > across && workgroup % subgroupSize === 0;
  return { across, workgroup, lanes: shuffles ? subgroupSize : 1 };
}

/** Multiplies few rows: {@link matmul} by workgroups whose invocations share K. `how` is chosen if absent. */
export function matmulRows(device: Device, product: Product, how?: Sharing): void {
  const { specialise, functions, ...operands } = productDispatch(product);
  const { M, K, N } = operands.params;
  const { across, workgroup, lanes } = how ?? sharing(device, product.rows ?? M, K, N);
  const rows = M <= 2 ? 2 : 8;
  const span = Math.max(lanes, across);
  const parts = workgroup / span;
  const room = device.capabilities.limits.maxComputeWorkgroupStorageSize!;
  // as many invocations must be there to store them
  const turn = Math.min(rows, workgroup / across, powerUpTo(room / (16 * parts * across)));
  device.run(kernel, {
    specialise: {
      ...specialise,
      ROWS: rows,
      ACROSS: across,
      SLICES: workgroup / across,
      SPAN: span,
      PARTS: parts,
      TURN: turn,
      WG: workgroup,
    },
    functions: prelude(functions, lanes, rows, turn, across, parts),
    ...operands,
    workgroups: [Math.ceil(N / 4 / across), ...grid(Math.ceil(M / rows))],
  });
}

/** The largest power of two up to a number. */
function powerUpTo(most: number): number {
  return 2 ** Math.floor(Math.log2(most));
}

/** Returns all prelude lines. Rows are unrolled: sums stay in registers only if each has a name. */
const prelude = memoised((
  lines: string,
  lanes: number,
  rows: number,
  turn: number,
  across: number,
  parts: number,
): string => {
  const all = range(rows);
  const fetch = (step: number, k: string) => [
    `  let p${step} = fetch_w(2 * (${k}), n, columns);`,
    `  let q${step} = fetch_w(2 * (${k}) + 1, n, columns);`,
    ...all.map((r) => `  let x${step}_${r} = fetch_x(row(m + ${r}), ${k});`),
  ];
  const multiply = (step: number) => [
    ...["p", "q"].map((name) => `  let u${name}${step} = unpack_w(${name}${step});`),
    ...all.map((r) => `  s.s${r} = madd(s.s${r}, x${step}_${r}, up${step}, uq${step});`),
  ];
  const add = (name: string, steps: readonly string[]) => [
    `fn ${name}(sums: Sums, m: u32, k: u32, n: u32, columns: u32) -> Sums {`,
    "  var s = sums;",
    ...steps.flatMap((k, step) => fetch(step, k)),
    ...steps.flatMap((_, step) => multiply(step)),
    "  return s;",
    "}",
  ];
  const shuffles = range(Math.log2(Math.max(1, lanes / across)))
    .map((i) => `  s += subgroupShuffleXor(s, ${across << i}u);`);
  return [
    lines,
    INVOCATION[lanes > 1 ? "subgroups" : "plain"],
    `struct Sums { ${all.map((r) => `s${r}: vec4<f32>`).join(", ")} }`,
    ...add("add", ["k"]),
    ...add("add_two", ["k", "k + SLICES"]),
    "fn over_lanes(sum: vec4<f32>) -> vec4<f32> {",
    "  var s = sum;",
    ...shuffles,
    "  return s;",
    "}",
    "fn finish_all(sums: Sums, m: u32, n: u32, at: u32) {",
    ...all.map((r) => `  let s${r} = over_lanes(sums.s${r});`),
    ...range(rows / turn).flatMap((t) => [
      ...t > 0 ? ["  workgroupBarrier();"] : [],
      ...range(turn).map((r) => `  keep(${r}, at, s${t * turn + r});`),
      "  workgroupBarrier();",
      `  finish(m + ${t * turn}, n, at);`,
    ]),
    "}",
    "fn total(r: u32, c: u32) -> vec4<f32> {",
    "  var s = parts[0][r][c];",
    ...range(parts - 1).map((p) => `  s += parts[${p + 1}][r][c];`),
    "  return s;",
    "}",
  ].join("\n");
});

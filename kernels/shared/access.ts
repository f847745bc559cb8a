import { narrowLines, type Overflow } from "./narrow.ts";

/** How rows of a tensor are bound: as vec4s, or as scalars where their width is not divisible by 4. */
export interface Access {
  /** Element type of the binding. */
  readonly type: string;
  /** WGSL functions that load, and store, vec4s of rows. */
  readonly lines: string;
}

/** Returns WGSL: four scalars of row `r` that `at_name` reads, from column 4i on. */
function gather(name: string): string {
  const columns = [0, 1, 2, 3].map((k) => `at_${name}(r, 4 * i${k ? ` + ${k}` : ""})`);
  return `vec4(${columns.join(", ")})`;
}

/**
 * Returns `fetch_x(r, i)`: vec4 `i` of row `r` of x, whose width is the parameter `param`; zeros beyond it. `Fetched`
 * is its type, as stored: a kernel that loads early converts late. `load_x(r, i)` is the same as f32.
 */
export function readX(dtype: string, width: number, param: string): Access {
  const head = `alias Fetched = vec4<${dtype}>;
fn load_x(r: u32, i: u32) -> vec4<f32> { return vec4<f32>(fetch_x(r, i)); }
fn fetch_x(r: u32, i: u32) -> Fetched`;
  if (width % 4 === 0) {
    return {
      type: `vec4<${dtype}>`,
      lines: `${head} { return x[r * (params.${param} / 4) + i]; }`,
    };
  }
  return {
    type: dtype,
    lines: `${head} { return ${gather("x")}; }
fn at_x(r: u32, k: u32) -> ${dtype} {
  return select(${dtype}(), x[r * params.${param} + min(k, params.${param} - 1)], k < params.${param});
}`,
  };
}

/**
 * Returns `load_y(r, i)` and `store_y(r, i, v)`: vec4 `i` of row `r` of y, params.N wide. Stores nothing beyond it, and
 * what is too large for f16 as {@link narrowLines} does.
 */
export function accessY(dtype: string, vectors: boolean, overflow?: Overflow): Access {
  const narrow = narrowLines(dtype, 4, "narrow", overflow);
  if (vectors) {
    return {
      type: `vec4<${dtype}>`,
      lines: `${narrow}
fn load_y(r: u32, i: u32) -> vec4<f32> { return vec4<f32>(y[r * (params.N / 4) + i]); }
fn store_y(r: u32, i: u32, v: vec4<f32>) { y[r * (params.N / 4) + i] = narrow(v); }`,
    };
  }
  return {
    type: dtype,
    lines: `${narrow}
fn at_y(r: u32, k: u32) -> f32 { return f32(y[r * params.N + min(k, params.N - 1)]); }
fn load_y(r: u32, i: u32) -> vec4<f32> { return ${gather("y")}; }
fn store_y(r: u32, i: u32, v: vec4<f32>) {
  let w = narrow(v);
  for (var k = 0u; k < 4 && 4 * i + k < params.N; k++) { y[r * params.N + 4 * i + k] = w[k]; }
}`,
  };
}

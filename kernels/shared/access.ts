/** How rows of a tensor are bound: by vec4s, or by scalars where their width is not divisible by 4. */
export interface Access {
  /** Element type of the binding. */
  readonly type: string;
  /** WGSL functions. */
  readonly lines: string;
}

/** Vec4 `i` of row `r`, made of scalars that `at(r, column)` gives. */
function gather(name: string): string {
  const columns = [0, 1, 2, 3].map((k) => `at_${name}(r, 4 * i${k ? ` + ${k}` : ""})`);
  return `fn load_${name}(r: u32, i: u32) -> vec4<f32> { return vec4(${columns.join(", ")}); }`;
}

/** `load_x(r, i)`: vec4 `i` of row `r` of x, whose width is a parameter; zeros beyond it. */
export function readX(dtype: string, width: number, param: string): Access {
  if (width % 4 === 0) {
    return {
      type: `vec4<${dtype}>`,
      lines: `fn load_x(r: u32, i: u32) -> vec4<f32> {
  return vec4<f32>(x[r * (params.${param} / 4) + i]);
}`,
    };
  }
  return {
    type: dtype,
    lines: `fn at_x(r: u32, k: u32) -> f32 {
  return select(0.0, f32(x[r * params.${param} + min(k, params.${param} - 1)]), k < params.${param});
}
${gather("x")}`,
  };
}

/** `load_y(r, i)` and `store_y(r, i, v)`: vec4 `i` of row `r` of y, params.N wide; nothing is stored beyond it. */
export function accessY(dtype: string, vectors: boolean): Access {
  if (vectors) {
    return {
      type: `vec4<${dtype}>`,
      lines:
        `fn load_y(r: u32, i: u32) -> vec4<f32> { return vec4<f32>(y[r * (params.N / 4) + i]); }
fn store_y(r: u32, i: u32, v: vec4<f32>) { y[r * (params.N / 4) + i] = Y(v); }`,
    };
  }
  return {
    type: dtype,
    lines: `fn at_y(r: u32, k: u32) -> f32 { return f32(y[r * params.N + min(k, params.N - 1)]); }
${gather("y")}
fn store_y(r: u32, i: u32, v: vec4<f32>) {
  for (var k = 0u; k < 4 && 4 * i + k < params.N; k++) { y[r * params.N + 4 * i + k] = Y(v[k]); }
}`,
  };
}

/** How a kernel binds rows that it takes element by element. */
export interface Vectors {
  /** Elements of a V. */
  readonly per: 1 | 4;
  /** The type V of a scalar: itself, or a vec4. */
  readonly type: (scalar: string) => string;
  /** WGSL `total(v)`: the sum of a V of f32. */
  readonly total: string;
}

const SCALARS: Vectors = {
  per: 1,
  type: (scalar) => scalar,
  total: "fn total(v: f32) -> f32 { return v; }",
};

const VEC4S: Vectors = {
  per: 4,
  type: (scalar) => `vec4<${scalar}>`,
  total: "fn total(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }",
};

/** Vec4s, or scalars where one of `widths`, of rows or steps, is not whole vec4s. */
export function vectorsOf(...widths: readonly number[]): Vectors {
  return widths.every((width) => width % 4 === 0) ? VEC4S : SCALARS;
}

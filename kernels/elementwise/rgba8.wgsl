// y[p] = (r, g, b, 255) as bytes, r lowest, from x[p, 0..2] in [-1, 1]: the format of PNG encoders and canvases.
//
// The steps of the official code, in order: clamp, + 1, / 2, · 255, truncate. Halving is exact, so a compiler that
// rewrites the two products cannot change a bit.
//
// Prelude (rgba8.ts): WG.

struct Params {
  pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

fn level(v: f32) -> u32 {
  return u32((clamp(v, -1.0, 1.0) + 1) / 2 * 255);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let p = id.y * groups.x * WG + id.x;
  if (p >= params.pixels) { return; }
  y[p] = level(x[3 * p]) | (level(x[3 * p + 1]) << 8) | (level(x[3 * p + 2]) << 16) | 0xff000000;
}

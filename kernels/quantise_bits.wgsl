// bits[b, row, col, c] = x[b] resized by area to (height, width) > 0: one scale of multi-scale residual BSQ. Dividing by
// a vector's length changes no sign, so the sphere needs no arithmetic.
//
// One invocation per bit; the mean exists only in registers.
//
// Prelude (quantise_bits.ts): resize_area.wgsl.

struct Params {
  count: u32, // bits
  height: u32, // of the scale
  width: u32,
  in_height: u32,
  in_width: u32,
  C: u32, // channels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> bits: array<u32>;

// x at a row and column of channel and image `at`
fn load(at: vec2<u32>, row: u32, col: u32) -> f32 {
  return x[((at.y * params.in_height + row) * params.in_width + col) * params.C + at.x];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64 + id.x;
  if (i >= params.count) { return; }
  let cell = i / params.C;
  let at = vec2(i % params.C, cell / params.width / params.height);
  let place = vec2(cell / params.width % params.height, cell % params.width);
  let cells = vec2(params.in_height, params.in_width);
  bits[i] = u32(resize_area(at, place, cells, vec2(params.height, params.width)) > 0);
}

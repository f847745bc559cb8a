// y[b, row, col, c] = x[b] resized to (height, width), channels last; optionally with each 2 × 2 square of the result
// stacked along the channels (pixel_unshuffle), so that patches need no second pass.
//
// Invocations follow y, so writes and the channels of a read are side by side.
//
// Prelude (resample.ts): Y (element type of y), fn resize(at, cell, cells, size) -> f32, and fn result(value) -> Y.

struct Params {
  count: u32, // elements of y
  height: u32, // of the result, before it is stacked
  width: u32,
  in_height: u32,
  in_width: u32,
  C: u32, // channels of x
  side: u32, // 2 where squares are stacked, else 1
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

// x at a row and column of channel and image `at`
fn load(at: vec2<u32>, row: u32, col: u32) -> f32 {
  return x[((at.y * params.in_height + row) * params.in_width + col) * params.C + at.x];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64 + id.x;
  if (i >= params.count) { return; }
  let P = params.side;
  let channels = params.C * P * P;
  let k = i % channels;
  let cell = i / channels;
  let columns = params.width / P;
  let rows = params.height / P;
  let at = vec2(k / P / P, cell / columns / rows);
  let place = vec2(cell / columns % rows, cell % columns) * P + vec2(k / P % P, k % P);
  let cells = vec2(params.in_height, params.in_width);
  y[i] = result(resize(at, place, cells, vec2(params.height, params.width)));
}

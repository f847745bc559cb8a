// y[m] = norm(x[m]) · weight + bias, then · (1 + scale[image]) + shift[image]: LayerNorm or RMSNorm over a row.
//
// A workgroup takes a row; each invocation takes every WG-th element (a vec4 where the width allows). Two passes in
// f32, the mean and then the variance about it, since x is in cache by then and the one-pass formula cancels. Partial
// sums are added in a fixed order, so a row's bits depend on nothing but the row.
//
// Prelude (layer_norm.ts): X, Y (elements as stored), V (the same in f32: scalar or vec4), WG, RMS, WEIGHT, BIAS,
// MODULATION; fns across(V) -> f32, the sum of its elements, and total(lane, f32) -> f32, the sum over the workgroup.

struct Params {
  M: u32,
  C: u32, // Vs in a row
  width: f32, // elements in a row
  eps: f32,
  rows: u32, // of an image, which share one row of the modulation
  stride: u32, // Vs between rows of the modulation
  scale_offset: u32, // Vs before its first scale
  shift_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> weight: array<V>;
@group(0) @binding(3) var<storage, read> bias: array<V>;
@group(0) @binding(4) var<storage, read> modulation: array<V>;
@group(0) @binding(5) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let m = group.y * groups.x + group.x;
  if (m >= params.M) { return; }
  let first = m * params.C;
  let image = m / params.rows * params.stride;
  var mean = V();
  if (!RMS) {
    var sum = V();
    for (var c = lane; c < params.C; c += WG) { sum += V(x[first + c]); }
    mean = V(total(lane, across(sum)) / params.width);
  }
  var squares = V();
  for (var c = lane; c < params.C; c += WG) {
    let centred = V(x[first + c]) - mean;
    squares = fma(centred, centred, squares);
  }
  let inverse = 1 / sqrt(total(lane, across(squares)) / params.width + params.eps);
  for (var c = lane; c < params.C; c += WG) {
    var v = (V(x[first + c]) - mean) * inverse;
    if (WEIGHT) { v *= weight[c]; }
    if (BIAS) { v += bias[c]; }
    if (MODULATION) {
      v = fma(v, 1 + modulation[image + params.scale_offset + c], modulation[image + params.shift_offset + c]);
    }
    y[first + c] = Y(v);
  }
}

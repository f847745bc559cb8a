// dweight[n, c, tap] = the sum over parts of sums[part, n, c, tap], whatever the order of their axes, or dweight plus that:
// brings the gradient by a weight to the layout of the checkpoint.
//
// Prelude (conv2d_backward_weight.ts): WG, ADD; fn divide.

struct Params {
  count: u32, // elements of dweight
  C: u32,
  taps: u32,
  parts: u32,
  part_stride: u32, // elements of `sums` from one part to the next, and so on
  n_stride: u32,
  c_stride: u32,
  tap_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let row = divide(i, params.taps);
  let n = divide(row, params.C);
  let c = row - n * params.C;
  let tap = i - row * params.taps;
  var at = n * params.n_stride + c * params.c_stride + tap * params.tap_stride;
  var sum = 0.0;
  for (var part = 0u; part < params.parts; part++) {
    sum += sums[at];
    at += params.part_stride;
  }
  if (ADD) { sum += dweight[i]; }
  dweight[i] = sum;
}

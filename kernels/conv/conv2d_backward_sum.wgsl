// dweight[n, c, tap] = the sum over parts of sums[part, n, c, tap], whatever the order of their axes, or dweight plus that:
// brings the gradient by a weight to the layout of the checkpoint.
//
// One invocation moves a vec4 of sums, along n or c. Neighbours have neighbouring taps, which lie together in dweight, so
// both sides are touched in pieces of cache lines.
//
// Prelude (conv2d_backward_weight.ts): WG, ADD; fn divide.

struct Params {
  count: u32, // vec4s of a part
  taps: u32,
  length: u32, // of the axis that vec4s run along
  others: u32, // length of the other one of n and c
  step: u32, // elements of dweight from one of the axis to the next
  other_step: u32, // and from one of the other axis
  parts: u32,
  part_stride: u32, // vec4s of sums from one part to the next
  stride: u32, // from one vec4 of the axis
  other_stride: u32, // from one of the other axis
  tap_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dweight: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let row = divide(i, params.taps);
  let four = divide(row, params.others);
  let tap = i - row * params.taps;
  let other = row - four * params.others;
  var at = four * params.stride + other * params.other_stride + tap * params.tap_stride;
  // most sums have one part, and loads in loops are slow on software adapters
  var sum = sums[at];
  for (var part = 1u; part < params.parts; part++) {
    at += params.part_stride;
    sum += sums[at];
  }
  let left = params.length - 4 * four;
  let first = 4 * four * params.step + other * params.other_step + tap;
  store(first, sum.x);
  if (left > 1) { store(first + params.step, sum.y); }
  if (left > 2) { store(first + 2 * params.step, sum.z); }
  if (left > 3) { store(first + 3 * params.step, sum.w); }
}

fn store(i: u32, v: f32) {
  if (ADD) { dweight[i] += v; } else { dweight[i] = v; }
}

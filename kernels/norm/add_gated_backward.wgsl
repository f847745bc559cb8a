// dv[m] = gate[image] · dy[m], or dv plus that: the gradient of add_gated.wgsl by what it adds.
//
// Prelude (add_gated_backward.ts): WG, ADD, DY, DV (elements as stored: scalar or vec4), V (the same in f32); fns narrow,
// divide.

struct Params {
  count: u32, // elements
  columns: u32, // elements of a row
  rows: u32, // rows of an image, which share one row of gates
  stride: u32, // elements between rows of gates
  offset: u32, // elements before the first
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<DY>;
@group(0) @binding(2) var<storage, read> gate: array<V>;
@group(0) @binding(3) var<storage, read_write> dv: array<DV>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let m = divide(i, params.columns);
  var v = V(dy[i]) * gate[params.offset + divide(m, params.rows) * params.stride + i - m * params.columns];
  if (ADD) { v += V(dv[i]); }
  dv[i] = narrow(v);
}

// y = value: gradients that several operations write a part of each begin with zeros.
//
// Prelude (fill.ts): WG, Y (elements as stored: scalar or vec4), T (their scalar type).

struct Params {
  count: u32, // elements
  value: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  y[i] = Y(T(params.value));
}

// y = activation(x): SiLU comes before the AdaLN projections; GELU is a kernel of its own in training, which keeps its
// input.
//
// Prelude (activate.ts): WG, X, Y (elements as stored: scalar or vec4), V (the same in f32); fns activation, narrow.

struct Params {
  count: u32, // elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  y[i] = narrow(activation(V(x[i])));
}

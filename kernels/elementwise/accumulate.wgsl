// y = x, or y = y + x, of any float types: how gradients that reach a tensor on several ways are summed.
//
// Prelude (accumulate.ts): WG, ADD, X, Y (elements as stored: scalar or vec4), V (the same in f32); fn narrow(V) -> Y.

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
  var v = V(x[i]);
  if (ADD) { v += V(y[i]); }
  y[i] = narrow(v);
}

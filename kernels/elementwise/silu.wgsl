// y = x · sigmoid(x): comes before the AdaLN projections, on one row per image.
//
// Prelude (silu.ts): WG, V (elements: scalar or vec4).

struct Params {
  count: u32, // Vs
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  y[i] = x[i] / (1 + exp(-x[i]));
}

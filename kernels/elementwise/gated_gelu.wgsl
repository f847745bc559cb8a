// y[t, f] = gelu(h[t, f]) · h[t, F + f]: T5's gated feed-forward. One matmul makes both inputs, side by side. One
// invocation makes one element (a vec4 where the width allows).
//
// Prelude (gated_gelu.ts): WG, H, Y (elements as stored: scalar or vec4), V (the same in f32); fns activation,
// narrow.

struct Params {
  count: u32, // elements of y
  F: u32, // elements in a row of y
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> h: array<H>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let at = i + i / params.F * params.F; // rows of h are twice as wide
  y[i] = narrow(activation(V(h[at])) * V(h[at + params.F]));
}

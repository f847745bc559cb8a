// y[t, f] = gelu(h[t, f]) · h[t, F + f]: T5's gated feed-forward. One matmul makes both inputs, side by side. GELU
// is the tanh form. One invocation makes one element (a vec4 where the width allows).
//
// Prelude (gated_gelu.ts): WG, H, Y (elements as stored: scalar or vec4), V (the same in f32); fn narrow(V) -> Y.

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
  let v = V(h[at]);
  let inner = 0.7978845608028654 * (v + 0.044715 * v * v * v);
  let gelu = 0.5 * v * (1 + tanh(clamp(inner, V() - 20, V() + 20))); // some drivers' tanh overflows
  y[i] = narrow(gelu * V(h[at + params.F]));
}

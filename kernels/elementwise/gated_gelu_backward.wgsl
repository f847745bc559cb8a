// dh[t, f] = dy · gelu'(h[t, f]) · h[t, F + f] and dh[t, F + f] = dy · gelu(h[t, f]), or dh plus that: the gradient of
// gated_gelu.wgsl. One invocation makes two elements (vec4s where the width allows), F apart.
//
// Prelude (gated_gelu_backward.ts): WG, ADD, H, DY, DH (elements as stored: scalar or vec4), V (the same in f32); fns
// activation, slope, narrow.

struct Params {
  count: u32, // elements of dy
  F: u32, // elements in a row of dy
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> h: array<H>;
@group(0) @binding(2) var<storage, read> dy: array<DY>;
@group(0) @binding(3) var<storage, read_write> dh: array<DH>;

fn put(at: u32, gradient: V) {
  var v = gradient;
  if (ADD) { v += V(dh[at]); }
  dh[at] = narrow(v);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let at = i + i / params.F * params.F; // rows of h are twice as wide
  let v = V(h[at]);
  let factor = V(h[at + params.F]);
  let d = V(dy[i]);
  put(at, d * slope(v) * factor);
  put(at + params.F, d * activation(v));
}

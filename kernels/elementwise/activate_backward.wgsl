// dx = dy · slope(x), or dx plus that: the gradient of activate.wgsl.
//
// Prelude (activate_backward.ts): WG, ADD, X, DY, DX (elements as stored: scalar or vec4), V (the same in f32); fns
// slope, narrow.

struct Params {
  count: u32, // elements
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> dy: array<DY>;
@group(0) @binding(3) var<storage, read_write> dx: array<DX>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  var v = V(dy[i]) * slope(V(x[i]));
  if (ADD) { v += V(dx[i]); }
  dx[i] = narrow(v);
}

// dx[2k + 1] = dy[k], dx[2k] = −dy[k], or dx plus that: the gradient of pair_difference.wgsl.
//
// Prelude (pair_difference_backward.ts): WG, V (f32 or vec4<f32>), ADD.

struct Params {
  count: u32, // Vs of dy
  width: u32, // Vs of a row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<V>;
@group(0) @binding(2) var<storage, read_write> dx: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let zero = i + i / params.width * params.width;
  let one = zero + params.width;
  let g = dy[i];
  dx[zero] = select(V(), dx[zero], ADD) - g;
  dx[one] = select(V(), dx[one], ADD) + g;
}

// p[i] = sigmoid(−sharpness · n[i]): the soft probability that a component is quantised to −1/√d, of which code_losses.wgsl
// needs the mean over all vectors.
//
// Prelude (code_losses.ts): WG, V (f32 or vec4<f32>), code_losses_soft.wgsl.

struct Params {
  count: u32, // Vs
  sharpness: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> n: array<V>;
@group(0) @binding(2) var<storage, read_write> p: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  p[i] = soft(n[i] * params.sharpness).p;
}

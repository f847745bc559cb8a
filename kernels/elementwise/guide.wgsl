// y[b] = y[B + b] = cfg · y[b] + (1 − cfg) · y[B + b]: classifier-free guidance of hidden states, in place.
//
// Prelude (guide.ts): WG.

struct Params {
  half: u32, // vec4s of the conditional half
  cfg: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.half) { return; }
  let mixed = params.cfg * y[i] + (1 - params.cfg) * y[params.half + i];
  y[i] = mixed;
  y[params.half + i] = mixed;
}

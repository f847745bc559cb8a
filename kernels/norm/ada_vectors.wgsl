// y[d, b] = shared[b] + ada_gss[d]: the six AdaLN vectors of every block, computed once per prompt.
//
// Prelude (ada_vectors.ts): WG.

struct Params {
  count: u32, // vec4s of y
  block: u32, // vec4s of one block: batch times width
  width: u32, // vec4s of six vectors
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> shared_vectors: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> ada_gss: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let gss = i / params.block * params.width + i % params.width;
  y[i] = shared_vectors[i % params.block] + ada_gss[gss];
}

// biases[distance, head] = table[bucket_of[distance], head]: T5's relative bias of each distance between query and key.
//
// Prelude (attention_backward.ts): WG.

struct Params {
  count: u32,
  heads: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> bucket_of: array<u32>;
@group(0) @binding(3) var<storage, read_write> biases: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  biases[i] = table[bucket_of[i / params.heads] * params.heads + i % params.heads];
}

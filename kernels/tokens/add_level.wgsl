// y[b, l] += table[level[l]]: the level embedding, added to every token of its scale, in place.
//
// Prelude (add_level.ts): WG.

struct Params {
  count: u32, // vec4s of y
  rows: u32,
  width: u32, // vec4s
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> table: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> level: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let l = i / params.width % params.rows;
  y[i] += table[level[l] * params.width + i % params.width];
}

// y[k, c] = x[2k + 1, c] − x[2k, c]: of the two rows that a head has for each bit, what their logits' difference needs.
//
// Prelude (pair_difference.ts): WG, V (f32 or vec4<f32>).

struct Params {
  count: u32, // Vs of y
  width: u32, // Vs of a row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let zero = i + i / params.width * params.width; // i of row k lies in row 2k of x
  y[i] = x[zero + params.width] - x[zero];
}

// y[r] = x[r] / |x[r]|: each row on the unit sphere.
//
// Prelude (unit_vectors.ts): WG, V (f32 or vec4<f32>), fn total(V) -> f32.

struct Params {
  rows: u32,
  width: u32, // Vs of a row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> y: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = id.y * groups.x * WG + id.x;
  if (row >= params.rows) { return; }
  let first = row * params.width;
  let end = first + params.width;
  var squares = V();
  for (var i = first; i < end; i++) { squares = fma(x[i], x[i], squares); }
  let inverse = 1 / max(sqrt(total(squares)), 1e-12);
  for (var i = first; i < end; i++) { y[i] = x[i] * inverse; }
}

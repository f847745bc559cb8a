// y[row, i] = vec4 i of a row of x as f32, zeros beyond the row's end: matmul_texture.wgsl reads rows of whole vec4s.
//
// Prelude (pad_rows.ts): WG, X, fn divide, fn load_x.

struct Params {
  count: u32, // vec4s of y
  vectors: u32, // vec4s of a row of y
  K: u32, // elements of a row of x
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  // surplus invocations repeat the last vec4: without a branch a CPU adapter stays vectorised
  let i = min(id.y * groups.x * WG + id.x, params.count - 1);
  let row = divide(i, params.vectors);
  y[i] = load_x(row, i - row * params.vectors);
}

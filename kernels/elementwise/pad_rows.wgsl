// y[row, i] = vec4 i of row of x as f32, zeros where the row ends: rows of whole vec4s, which matmul_texture.wgsl reads.
//
// Prelude (whole.ts): X; divide.wgsl; fn load_x.

struct Params {
  count: u32, // vec4s of y
  vectors: u32, // of a row
  K: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  // spare invocations write the last one again: without a branch a CPU adapter stays vectorised
  let i = min(id.y * groups.x * 64 + id.x, params.count - 1);
  let row = divide(i, params.vectors);
  y[i] = load_x(row, i - row * params.vectors);
}

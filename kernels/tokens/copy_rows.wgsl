// y[b, r] = x[b, r] for the first rows of each image. An image may have different numbers of rows in x and y.
//
// Prelude (copy_rows.ts): WG, T (16 bytes, or 8 where a row is not a multiple of 16).

struct Params {
  count: u32, // Ts to copy
  block: u32, // Ts to copy per image
  x_block: u32, // Ts per image of x
  y_block: u32, // Ts per image of y
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let b = i / params.block;
  let r = i % params.block;
  y[b * params.y_block + r] = x[b * params.x_block + r];
}

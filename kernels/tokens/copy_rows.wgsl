// y[b, r] = x[b, r] for the first rows of each image. An image may have different numbers of rows in x and y.
//
// Prelude (copy_rows.ts): WG, X, Y (elements of x and y: vec4s, or 16 bytes as they are); fn convert(X) -> Y.

struct Params {
  count: u32, // elements to copy
  block: u32, // elements to copy per image
  x_block: u32, // elements per image of x
  y_block: u32, // elements per image of y
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let b = i / params.block;
  let r = i % params.block;
  y[b * params.y_block + r] = convert(x[b * params.x_block + r]);
}

// y[b, p, c] = activation((x[b, p, c] − mean) · scale + bias[c]): the last step of GroupNorm, element-wise, with the
// mean and scale from group_norm_combine.wgsl for each image and channel. x may be a strip, and so may y.
//
// An invocation makes one vec4 of channels, or four that are WG apart, and loads all before it stores the first.
//
// Prelude (group_norm.ts): WG, X, Y (vec4 types of x and y); fns activation, divide, columns, narrow, and apply(i), which makes
// what the i-th of the invocations that are needed for one vec4 each makes.

struct Params {
  area: u32, // pixels of an image
  columns: u32, // vec4s of channels
  count: u32, // invocations: vec4s of y
  first: u32, // vec4 of x to begin with
  to: u32, // vec4 of y to begin with
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> moments: array<vec4<f32>>; // [images, 3, columns]
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  apply(i);
}

fn normalised(i: u32, v: X) -> Y {
  let at_x = params.first + i;
  let pixel = divide(at_x, columns());
  let c = at_x - pixel * columns();
  let at = divide(pixel, params.area) * 3 * columns() + c;
  return narrow(activation(fma(vec4<f32>(v) - moments[at], moments[at + columns()], bias[c])));
}

// y[b, p, c] = activation((x[b, p, c] − mean) · scale + bias[c]): the last step of GroupNorm, element-wise, with the
// mean and scale from group_norm_combine.wgsl for each image and channel. y may be a strip of x.
//
// One vec4 of channels per invocation.
//
// Prelude (group_norm.ts): X, Y (vec4 types of x and y); fn activation, divide.

struct Params {
  area: u32, // pixels of an image
  columns: u32, // vec4s of channels
  count: u32, // invocations: vec4s of y
  first: u32, // index of the vec4 of x that y starts with
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> moments: array<vec4<f32>>; // [images, 2, columns]
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64 + id.x;
  if (i >= params.count) { return; }
  let at_x = params.first + i;
  let pixel = divide(at_x, params.columns);
  let c = at_x - pixel * params.columns;
  let at = divide(pixel, params.area) * 2 * params.columns + c;
  y[i] = Y(activation(fma(vec4<f32>(x[at_x]) - moments[at], moments[at + params.columns], bias[c])));
}

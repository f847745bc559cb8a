// dx = scale · dv − shares[b, 0, c] − (x − mean) · shares[b, 1, c], or dx plus that, where dv = dy · slope of the activation
// and the shares are those of each pixel in the group's mean and deviation: the gradient of group_norm.wgsl by x.
//
// Prelude (group_norm_backward.ts): WG, ADD, X, DY, DX (vec4 types), V (vec4 of f32); fns slope, divide, narrow.

struct Params {
  area: u32, // pixels of an image
  columns: u32, // vec4s of channels
  count: u32, // vec4s of x
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> dy: array<DY>;
@group(0) @binding(3) var<storage, read> moments: array<V>; // [images, 3, columns]
@group(0) @binding(4) var<storage, read> bias: array<V>;
@group(0) @binding(5) var<storage, read> shares: array<V>; // [images, 2, columns]
@group(0) @binding(6) var<storage, read_write> dx: array<DX>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let pixel = divide(i, params.columns);
  let c = i - pixel * params.columns;
  let image = divide(pixel, params.area);
  let at = image * 3 * params.columns + c;
  let share = image * 2 * params.columns + c;
  let scale = moments[at + params.columns];
  let d = V(x[i]) - moments[at];
  let dv = V(dy[i]) * slope(fma(d, scale, bias[c]));
  var v = fma(scale, dv, -fma(d, shares[share + params.columns], shares[share]));
  if (ADD) { v += V(dx[i]); }
  dx[i] = narrow(v);
}

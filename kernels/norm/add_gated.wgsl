// y[m] = x[m] + gate[image] · v[m]: a residual connection.
//
// Prelude (add_gated.ts): WG, X, W, Y (elements of x, v and y as stored: scalar or vec4), V (the same in f32), GATE; fns
// narrow, divide.

struct Params {
  count: u32, // elements
  columns: u32, // elements of a row
  rows: u32, // rows of an image, which share one row of gates
  stride: u32, // elements between rows of gates
  offset: u32, // elements before the first
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> v: array<W>;
@group(0) @binding(3) var<storage, read> gate: array<V>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  var term = V(v[i]);
  if (GATE) {
    let m = divide(i, params.columns);
    term *= gate[params.offset + divide(m, params.rows) * params.stride + i - m * params.columns];
  }
  y[i] = narrow(V(x[i]) + term);
}

// y[g, n] = Σ x[m, n] · z[m, n] over the rows m of group g, or y plus that: gradients of biases, and of what all rows of
// an image share.
//
// One invocation adds up one column (4 where the width allows) of a part of a group, in the order of rows. A second
// dispatch of the same kernel adds up the parts.
//
// Prelude (column_sums.ts): WG, ADD, TIMES (there is a z), X, Z (elements as stored: scalar or vec4), V (the same in f32).

struct Params {
  count: u32, // Vs of all parts
  columns: u32, // Vs to sum of a row
  pitch: u32, // Vs of a row
  first: u32, // V of a row to begin with
  rows: u32, // rows of a group
  parts: u32, // parts of a group
  depth: u32, // rows of a part; the last may have fewer
  stride: u32, // Vs between sums
  offset: u32, // Vs before the first
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> z: array<Z>;
@group(0) @binding(3) var<storage, read_write> y: array<V>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let part = i / params.columns;
  let n = i % params.columns;
  let row = part % params.parts * params.depth;
  let rows = min(params.depth, params.rows - row);
  let begin = (part / params.parts * params.rows + row) * params.pitch + params.first + n;
  let end = begin + rows * params.pitch;
  var sum = V();
  for (var at = begin; at < end; at += params.pitch) {
    let v = V(x[at]);
    if (TIMES) { sum = fma(v, V(z[at]), sum); } else { sum += v; }
  }
  let to = params.offset + part * params.stride + n;
  if (ADD) { sum += y[to]; }
  y[to] = sum;
}

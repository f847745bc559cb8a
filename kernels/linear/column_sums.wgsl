// y[g, n] = Σ x[m, n] · z[m, n] over the rows m of group g, or y plus that: gradients of biases, and of what all rows of
// an image share.
//
// One invocation adds up one column (4 where the width allows) of a part of a group, in the order of rows. Then the
// same kernel adds up the parts.
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

fn term(at: u32) -> V {
  if (TIMES) { return V(x[at]) * V(z[at]); }
  return V(x[at]);
}

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
  var at = begin;
  for (; at + 3 * params.pitch < end; at += 4 * params.pitch) { // loads that are under way at once
    let a = term(at);
    let b = term(at + params.pitch);
    let c = term(at + 2 * params.pitch);
    let d = term(at + 3 * params.pitch);
    sum = sum + a + b + c + d;
  }
  for (; at < end; at += params.pitch) { sum += term(at); }
  let to = params.offset + part * params.stride + n;
  if (ADD) { sum += y[to]; }
  y[to] = sum;
}

// y[t] = table[ids[t]] where the table has such a row, otherwise x[t]; or y plus that: the text features of images whose
// condition is dropped are rows of `cfg_uncond`.
//
// Prelude (choose_rows.ts): WG, ADD, TABLE (otherwise it has zeros), X, T, Y (elements of x, table and y as stored: scalar
// or vec4), V (the same in f32); fn narrow.

struct Params {
  count: u32, // elements of y
  columns: u32, // elements of a row
  rows: u32, // rows of the table
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<T>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let t = i / params.columns;
  let row = ids[t];
  var v = V();
  if (row >= params.rows) {
    v = V(x[i]);
  } else if (TABLE) {
    v = V(table[row * params.columns + i - t * params.columns]);
  }
  if (ADD) { v += V(y[i]); }
  y[i] = narrow(v);
}

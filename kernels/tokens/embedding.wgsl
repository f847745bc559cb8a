// y[t] = table[ids[t]]: looks up rows of a table, or of the part of it that is bound; other rows of y keep their
// values. One invocation copies one element (a vec4 where the width allows).
//
// Prelude (embedding.ts): WG, TABLE, Y (elements as stored: scalar or vec4), V (the same in f32); fn narrow.

struct Params {
  count: u32, // elements of y
  C: u32, // elements in a row
  first: u32, // id of the first row of this part of the table
  rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<TABLE>;
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let row = ids[i / params.C] - params.first; // wraps to a large number below the first row
  if (row < params.rows) { y[i] = narrow(V(table[row * params.C + i % params.C])); }
}

// y[row] = Σ x[positions[k]] for k from begin to end, or y[row] plus that: the gradient of embedding.wgsl. Each entry is
// one such sum; rows that are looked up often are summed in two steps, the second of which sums results of the first.
//
// One invocation makes one element (a vec4 where the width allows), in the order of k.
//
// Prelude (embedding_backward.ts): WG, ADD, LISTED (there are positions; otherwise k itself is one), X, Y (elements as
// stored: scalar or vec4), V (the same in f32); fn narrow.

struct Params {
  count: u32, // elements of all sums
  columns: u32, // elements of a row
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> entries: array<u32>; // row, begin and end of each sum
@group(0) @binding(2) var<storage, read> positions: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<X>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let entry = i / params.columns;
  let c = i - entry * params.columns;
  let end = entries[3 * entry + 2];
  var sum = V();
  for (var k = entries[3 * entry + 1]; k < end; k++) {
    var row = k;
    if (LISTED) { row = positions[k]; }
    sum += V(x[row * params.columns + c]);
  }
  let to = entries[3 * entry] * params.columns + c;
  if (ADD) { sum += V(y[to]); }
  y[to] = narrow(sum);
}

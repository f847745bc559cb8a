// A gradient of attention: y = Σ parts, or y = y + Σ parts, in the order of the parts, for the rows of all spans, which
// are runs of neighbours.
//
// Prelude (attention_backward.ts): WG, ADD, Y (a vec4 as stored); fns narrow and divide.

struct Params {
  rows: u32, // of a part
  width: u32, // vec4s of a row of a part
  column: u32, // the first of those to be summed
  columns: u32, // their number
  parts: u32,
  y_stride: u32, // in vec4s
  y_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> runs: array<vec2<u32>>; // first row, number of rows
@group(0) @binding(3) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * WG + lane;
  let run = runs[group.z];
  let line = divide(i, params.columns);
  if (line >= run.y) { return; }
  let row = run.x + line;
  let column = i - line * params.columns;
  var sum = vec4(0.0);
  for (var part = 0u; part < params.parts; part++) {
    sum += sums[(part * params.rows + row) * params.width + params.column + column];
  }
  let at = row * params.y_stride + params.y_offset + column;
  if (ADD) { sum += vec4<f32>(y[at]); }
  y[at] = narrow(sum);
}

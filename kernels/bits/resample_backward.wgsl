// dx[b, row, col, c] = the sum of dy over all cells of y that were made of this cell of x, each times its weight there:
// the transpose of resample.wgsl, or dx plus that.
//
// One invocation gathers for one element of dx, or a vec4 of channels, so nothing is added atomically and the order of
// sums is fixed. Weights are separable: a row of y is summed over its columns first.
//
// Prelude (resample_backward.ts): WG, ADD, T (f32 or vec4<f32>), X and Y (elements of dy and dx as stored); fns divide,
// reach(cell, cells, size), which returns the first cell of y that may read a cell of x, and the one after the last,
// along one axis, weight(i, cell, cells, size, unit), how much of it cell i of y takes, and narrow.

struct Params {
  count: u32, // invocations
  height: u32, // of dx
  width: u32,
  out_height: u32, // of dy
  out_width: u32,
  C: u32, // Ts of a cell
  row_unit: f32, // 1 / (2 · out_height)
  column_unit: f32, // 1 / (2 · out_width)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<X>;
@group(0) @binding(2) var<storage, read_write> dx: array<Y>;

// dy at a row and a column; `at` is the channel and the image
fn load(at: vec2<u32>, row: u32, col: u32) -> T {
  return T(dy[((at.y * params.out_height + row) * params.out_width + col) * params.C + at.x]);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let cell = divide(i, params.C);
  let line = divide(cell, params.width);
  let image = divide(line, params.height);
  let at = vec2(i - cell * params.C, image);
  let row = line - image * params.height;
  let col = cell - line * params.width;
  let rows = reach(row, params.height, params.out_height);
  let cols = reach(col, params.width, params.out_width);
  var sum = T();
  for (var r = rows.x; r < rows.y; r++) {
    var part = T();
    for (var q = cols.x; q < cols.y; q++) {
      part += weight(q, col, params.width, params.out_width, params.column_unit) * load(at, r, q);
    }
    sum += weight(r, row, params.height, params.out_height, params.row_unit) * part;
  }
  if (ADD) { sum += T(dx[i]); }
  dx[i] = narrow(sum);
}

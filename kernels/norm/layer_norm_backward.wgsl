// dx[m] = inverse · (dz − mean(dz) − z · mean(dz · z)), or dx plus that, where z is the normalised row and
// dz = dy · (1 + scale) · weight: the gradient of layer_norm.wgsl by x. RMSNorm subtracts no mean of dz. Also writes the
// mean and the inverse deviation of each row, for the sums of layer_norm_backward_sums.wgsl.
//
// A workgroup takes a row, see row_statistics.wgsl, and holds as much of dz as of x; longer rows are read three times.
//
// Prelude (layer_norm_backward.ts): X, DY, DX (elements as stored), V (the same in f32: scalar or vec4), WEIGHT, SCALE,
// WANTED (dx), ADD, MOMENTS; row_statistics.ts; fn narrow; and, unrolled: load_dz, products_held, store_held.

struct Params {
  M: u32,
  C: u32, // Vs in a row
  width: f32, // elements in a row
  eps: f32,
  rows: u32, // rows of an image: they share one row of the modulation
  stride: u32, // Vs between rows of the modulation
  scale_offset: u32, // Vs before the first scale
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> dy: array<DY>;
@group(0) @binding(3) var<storage, read> weight: array<V>;
@group(0) @binding(4) var<storage, read> modulation: array<V>;
@group(0) @binding(5) var<storage, read_write> moments: array<vec2<f32>>; // mean, 1 / deviation
@group(0) @binding(6) var<storage, read_write> dx: array<DX>;

// what is subtracted from dz
struct Line {
  mean: f32,
  slope: f32, // by x
}

fn at_dz(row: Row, c: u32) -> V {
  let k = select(min(c, params.C - 1), c, FULL);
  var v = V(dy[row.first + k]);
  if (WEIGHT) { v *= weight[k]; }
  if (SCALE) { v *= 1 + modulation[row.modulation + k + params.scale_offset]; }
  return select(V(), v, FULL || c < params.C);
}

// (x − mean) · v, and 0 beyond the row
fn product(row: Row, c: u32, x: V, v: V) -> V {
  return select(V(), (x - row.mean) * v, FULL || c < params.C);
}

fn store(row: Row, line: Line, c: u32, x: V, dz: V) {
  if (!FULL && c >= params.C) { return; }
  var v = fma(row.mean - x, V(line.slope), dz - line.mean) * row.inverse;
  if (ADD) { v += V(dx[row.first + c]); }
  dx[row.first + c] = narrow(v);
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  invocation: Invocation,
) {
  let m = group.y * groups.x + group.x;
  if (m >= params.M) { return; }
  let lane = place(invocation);
  var held: Held;
  let row = read_row(m, lane, &held);
  if (MOMENTS && lane == 0) { moments[m] = vec2(row.mean, row.inverse); }
  if (!WANTED) { return; }
  var dz: Held;
  var sums = vec2<f32>();
  for (var c = 0u; c < pieces_end(); c += HELD * WG) {
    if (!ONCE) { held = load_x(row, c + lane); }
    dz = load_dz(row, c + lane);
    sums += vec2(across(sum_held(dz)), across(products_held(row, c + lane, held, dz)));
  }
  sums = total_pair(lane, sums, 0) / params.width;
  let line = Line(select(sums.x, 0.0, RMS), sums.y * row.inverse * row.inverse);
  for (var c = 0u; c < pieces_end(); c += HELD * WG) {
    if (!ONCE) {
      held = load_x(row, c + lane);
      dz = load_dz(row, c + lane);
    }
    store_held(row, line, c + lane, held, dz);
  }
}

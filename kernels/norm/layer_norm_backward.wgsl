// dx[m] = inverse · (dz − mean(dz) − z · mean(dz · z)), or dx plus that, where z is the normalised row and
// dz = dy · (1 + scale) · weight: the gradient of layer_norm.wgsl by x. RMSNorm subtracts no mean of dz. Also writes the
// mean and the inverse deviation of each row, for the sums of layer_norm_backward_sums.wgsl.
//
// A workgroup takes a row as in layer_norm.wgsl: it holds HELD · WG elements of x and of dz; longer rows are read three
// times.
//
// Prelude (layer_norm_backward.ts): X, DY, DX (elements as stored), V (the same in f32: scalar or vec4), PER (elements of
// V), WG, HELD, ONCE (a row is held), FULL (by all invocations), RMS, WEIGHT, SCALE, WANTED (dx), ADD, MOMENTS;
// row_totals.ts; fn narrow; and, unrolled: struct Held, load_x, load_dz, sum_held, products_held, store_held.

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

struct Row {
  first: u32, // index of its first V in x and dy
  modulation: u32,
  mean: V,
  inverse: f32,
  mean_dz: V,
  slope: f32, // of what is subtracted, by x
}

fn at_x(row: Row, c: u32) -> V {
  if (FULL) { return V(x[row.first + c]); }
  return select(V(), V(x[row.first + min(c, params.C - 1)]), c < params.C);
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

fn store(row: Row, c: u32, x: V, dz: V) {
  if (!FULL && c >= params.C) { return; }
  var v = fma(row.mean - x, V(row.slope), dz - row.mean_dz) * row.inverse;
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
  var row = Row(m * params.C, m / params.rows * params.stride, V(), 0, V(), 0);
  var held: Held;
  var mean = 0.0;
  var squares = 0.0; // squared deviations from the mean
  var turn = 0u;
  let end = select(params.C, 1, ONCE); // a constant spares the loops
  for (var c = 0u; c < end; c += HELD * WG) {
    held = load_x(row, c + lane);
    let before = f32(c * PER);
    let count = f32(min(params.C - c, HELD * WG) * PER);
    if (!RMS) {
      row.mean = V(total(lane, across(sum_held(held)), turn) / count);
      turn++;
    }
    let own = total(lane, across(squares_held(row, c + lane, held)), turn);
    turn++;
    let step = across(row.mean) / f32(PER) - mean;
    mean = fma(step, count / (before + count), mean);
    squares += fma(step * step, before * count / (before + count), own);
  }
  row.mean = V(mean);
  row.inverse = 1 / sqrt(squares / params.width + params.eps);
  if (MOMENTS && lane == 0) { moments[m] = vec2(mean, row.inverse); }
  if (!WANTED) { return; }
  var dz: Held;
  var sums = vec2<f32>();
  for (var c = 0u; c < end; c += HELD * WG) {
    if (!ONCE) { held = load_x(row, c + lane); }
    dz = load_dz(row, c + lane);
    sums += vec2(across(sum_held(dz)), across(products_held(row, c + lane, held, dz)));
  }
  sums = total_pair(lane, sums, 0) / params.width;
  row.mean_dz = V(select(sums.x, 0.0, RMS));
  row.slope = sums.y * row.inverse * row.inverse;
  for (var c = 0u; c < end; c += HELD * WG) {
    if (!ONCE) {
      held = load_x(row, c + lane);
      dz = load_dz(row, c + lane);
    }
    store_held(row, c + lane, held, dz);
  }
}

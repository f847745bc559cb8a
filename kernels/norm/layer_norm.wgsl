// y[m] = (norm(x[m]) · weight + bias) · (1 + scale[image]) + shift[image]: LayerNorm or RMSNorm over a row.
//
// A workgroup takes a row. Each invocation holds HELD elements of it, WG apart (vec4s where the width allows), so a row
// of up to HELD · WG elements is read once. Longer rows are read twice: the mean, and the squares about it, are
// computed piece by piece and combined, which does not cancel as a difference of sums would. Partial sums are added in
// a fixed order, so the bits of a row depend on that row alone.
//
// Prelude (layer_norm.ts): X, Y (elements as stored), V (the same in f32: scalar or vec4), PER (elements of V), WG,
// HELD, ONCE (a row is held), FULL (by all invocations), RMS, WEIGHT, BIAS, MODULATION; invocation.ts; fns narrow, across(V) ->
// f32, the sum of its elements, and total(lane, f32, turn) -> f32, the sum over the workgroup, where a turn is not that
// of the call before; and, unrolled because arrays stay in registers only under constant indices: struct Held,
// load_held, sum_held, squares_held, store_held.

struct Params {
  M: u32,
  C: u32, // Vs in a row
  width: f32, // elements in a row
  eps: f32,
  rows: u32, // rows of an image: they share one row of the modulation
  stride: u32, // Vs between rows of the modulation
  scale_offset: u32, // Vs before the first scale
  shift_offset: u32, // Vs before the first shift
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> weight: array<V>;
@group(0) @binding(3) var<storage, read> bias: array<V>;
@group(0) @binding(4) var<storage, read> modulation: array<V>;
@group(0) @binding(5) var<storage, read_write> y: array<Y>;

struct Row {
  first: u32, // index of its first V in x and y
  modulation: u32,
  mean: V,
  inverse: f32,
}

fn load(row: Row, c: u32) -> V {
  if (FULL) { return V(x[row.first + c]); }
  return select(V(), V(x[row.first + min(c, params.C - 1)]), c < params.C);
}

fn square(row: Row, c: u32, v: V) -> V {
  let centred = v - row.mean;
  return select(V(), centred * centred, FULL || c < params.C);
}

fn store(row: Row, c: u32, held: V) {
  if (!FULL && c >= params.C) { return; }
  var v = (held - row.mean) * row.inverse;
  if (WEIGHT) { v *= weight[c]; }
  if (BIAS) { v += bias[c]; }
  if (MODULATION) {
    let at = row.modulation + c;
    v = fma(v, 1 + modulation[at + params.scale_offset], modulation[at + params.shift_offset]);
  }
  y[row.first + c] = narrow(v);
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
  var row = Row(m * params.C, m / params.rows * params.stride, V(), 0);
  var held: Held;
  var mean = 0.0;
  var squares = 0.0; // squared deviations from the mean
  var turn = 0u;
  let end = select(params.C, 1, ONCE); // a constant spares the loops
  for (var c = 0u; c < end; c += HELD * WG) {
    held = load_held(row, c + lane);
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
  for (var c = 0u; c < end; c += HELD * WG) {
    if (!ONCE) { held = load_held(row, c + lane); }
    store_held(row, c + lane, held);
  }
}

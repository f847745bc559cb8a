// A row of x, what a workgroup holds of it, and its mean and deviation: what layer_norm.wgsl and its backward pass share.
// Not a kernel: text for the preludes of kernels with these bindings and params.
//
// Each invocation holds HELD elements, WG apart (vec4s where the width allows), so a row of up to HELD · WG elements is
// read once. Longer rows are read again: the mean, and the squares about it, are computed piece by piece and combined,
// which does not cancel as a difference of sums would. Partial sums are added in a fixed order, so the bits of a row
// depend on that row alone.
//
// Prelude (row_statistics.ts): V (scalar or vec4 of f32), PER (elements of V), WG, HELD, ONCE (a row is held), FULL (by
// all invocations), RMS; row_totals.ts; and, unrolled because arrays stay in registers only under constant indices:
// struct Held, load_x, sum_held, squares_held.

struct Row {
  first: u32, // index of its first V in x
  modulation: u32,
  mean: f32,
  inverse: f32,
}

fn at_x(row: Row, c: u32) -> V {
  if (FULL) { return V(x[row.first + c]); }
  return select(V(), V(x[row.first + min(c, params.C - 1)]), c < params.C);
}

fn square(row: Row, c: u32, v: V) -> V {
  let centred = v - row.mean;
  return select(V(), centred * centred, FULL || c < params.C);
}

// Vs up to which a row is read in pieces: a constant spares the loops
fn pieces_end() -> u32 { return select(params.C, 1, ONCE); }

// row m of x, whose last piece is held
fn read_row(m: u32, lane: u32, held: ptr<function, Held>) -> Row {
  var row = Row(m * params.C, m / params.rows * params.stride, 0, 0);
  var mean = 0.0;
  var squares = 0.0; // squared deviations from the mean
  var turn = 0u;
  for (var c = 0u; c < pieces_end(); c += HELD * WG) {
    *held = load_x(row, c + lane);
    let before = f32(c * PER);
    let count = f32(min(params.C - c, HELD * WG) * PER);
    if (!RMS) {
      row.mean = total(lane, across(sum_held(*held)), turn) / count;
      turn++;
    }
    let own = total(lane, across(squares_held(row, c + lane, *held)), turn);
    turn++;
    let step = row.mean - mean;
    mean = fma(step, count / (before + count), mean);
    squares += fma(step * step, before * count / (before + count), own);
  }
  row.mean = mean;
  row.inverse = 1 / sqrt(squares / params.width + params.eps);
  return row;
}

// terms[i] = what a 4 × 4 square of a channel adds to (loss, mean |e|, mean square error of what is shown, mean
// differences of e), with e = y − x, and the gradient of the loss by y.
//
// An invocation makes a square: the mean of e over it is a term of its own, and of e around it one row and column are
// needed. Pixels outside repeat the border, so that differences across it are 0 and have no sign. Written out without
// loops, which CPUs would run lane by lane.
//
// Prelude (reconstruction_loss.ts): WG, Y (element of y), WEIGHTED, GRADIENT, ADD; fn narrow(f32) -> Y.

struct Params {
  count: u32, // squares
  height: u32,
  width: u32,
  C: u32, // channels
  rows: u32, // squares down
  columns: u32, // squares across
  l1: f32, // what each term counts, divided by how many it is the mean of
  l2: f32,
  across: f32,
  down: f32,
  pooled: f32,
  mean: f32, // 1 / elements of y
  mean_across: f32, // 1 / differences
  mean_down: f32,
  scale: f32, // of the gradient
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<Y>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<Y>;
@group(0) @binding(5) var<storage, read_write> terms: array<vec4<f32>>;

// where a square is
struct Square {
  channel: u32,
  image: u32, // its first pixel
  row: u32,
  columns: vec4<u32>, // inside the image
  before: u32, // the columns next to it
  after: u32,
  valid: vec4<bool>, // columns that exist
}

// a row of e, and of what is shown of it: y within [−1, 1]
struct Line {
  e: vec4<f32>,
  shown: vec4<f32>,
  before: f32,
  after: f32,
}

struct Sums {
  loss: f32,
  size: f32,
  square: f32,
  across: f32,
  down: f32,
}

fn pixel(s: Square, row: u32, col: u32) -> u32 { return s.image + row * params.width + col; }

fn error(s: Square, row: u32, col: u32) -> f32 {
  let i = pixel(s, row, col) * params.C + s.channel;
  return f32(y[i]) - x[i];
}

fn errors(s: Square, row: u32) -> vec4<f32> {
  let c = s.columns;
  return vec4(error(s, row, c.x), error(s, row, c.y), error(s, row, c.z), error(s, row, c.w));
}

// the `k`th row of the square, or the last of the image
fn line(s: Square, k: u32) -> Line {
  let row = min(s.row + k, params.height - 1);
  let first = pixel(s, row, 0);
  let i = (first + s.columns) * params.C + s.channel;
  let made = vec4(f32(y[i.x]), f32(y[i.y]), f32(y[i.z]), f32(y[i.w]));
  let right = vec4(x[i.x], x[i.y], x[i.z], x[i.w]);
  let shown = clamp(made, vec4(-1.0), vec4(1.0)) - right;
  return Line(made - right, shown, error(s, row, s.before), error(s, row, s.after));
}

// adds the terms of the `k`th row and stores its gradient
fn finish(sums: Sums, s: Square, k: u32, above: vec4<f32>, l: Line, below: vec4<f32>, pooled: f32) -> Sums {
  let row = s.row + k;
  if (row >= params.height) { return sums; }
  let e = l.e;
  let left = e - vec4(l.before, e.xyz);
  let right = vec4(e.yzw, l.after) - e;
  let down = below - e;
  var weight = vec4(1.0);
  if (WEIGHTED) {
    let i = pixel(s, row, 0) + s.columns;
    weight = vec4(weights[i.x], weights[i.y], weights[i.z], weights[i.w]);
  }
  let size = select(vec4<f32>(), abs(e), s.valid);
  let square = size * size;
  let shown = select(vec4<f32>(), l.shown * l.shown, s.valid);
  let across = total(select(vec4<f32>(), abs(right), s.valid));
  let along = total(select(vec4<f32>(), abs(down), s.valid));
  if (GRADIENT) {
    let slopes = params.across * (sign(left) - sign(right)) + params.down * (sign(e - above) - sign(down));
    let g = params.l1 * weight * sign(e) + 2 * params.l2 * e + slopes + pooled;
    let i = (pixel(s, row, 0) + s.columns) * params.C + s.channel;
    put(s.valid.x, i.x, g.x);
    put(s.valid.y, i.y, g.y);
    put(s.valid.z, i.z, g.z);
    put(s.valid.w, i.w, g.w);
  }
  let loss = params.l1 * dot(weight, size) + params.l2 * total(square) + params.across * across + params.down * along;
  return Sums(
    sums.loss + loss,
    sums.size + total(size),
    sums.square + total(shown),
    sums.across + across,
    sums.down + along,
  );
}

fn put(valid: bool, i: u32, g: f32) {
  if (!valid) { return; }
  var v = params.scale * g;
  if (ADD) { v += f32(gradient[i]); }
  gradient[i] = narrow(v);
}

fn total(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let square = i / params.C;
  let channel = i - square * params.C;
  let strip = square / params.columns;
  let image = strip / params.rows;
  let row = 4 * (strip - image * params.rows);
  let col = 4 * (square - strip * params.columns);
  let columns = col + vec4(0u, 1u, 2u, 3u);
  let end = params.width - 1;
  let s = Square(
    channel,
    image * params.height * params.width,
    row,
    min(columns, vec4(end)),
    max(col, 1) - 1,
    min(col + 4, end),
    columns <= vec4(end),
  );
  let above = errors(s, max(row, 1) - 1);
  let a = line(s, 0);
  let b = line(s, 1);
  let c = line(s, 2);
  let d = line(s, 3);
  let below = errors(s, min(row + 4, params.height - 1));
  let whole = row + 4 <= params.height && col + 4 <= params.width;
  let mean = select(0.0, total((a.e + b.e) + (c.e + d.e)) / 16, whole);
  let pooled = params.pooled * sign(mean) / 16;
  var sums = Sums(params.pooled * abs(mean), 0, 0, 0, 0);
  sums = finish(sums, s, 0, above, a, b.e, pooled);
  sums = finish(sums, s, 1, a.e, b, c.e, pooled);
  sums = finish(sums, s, 2, b.e, c, d.e, pooled);
  sums = finish(sums, s, 3, c.e, d, below, pooled);
  let differences = sums.across * params.mean_across + sums.down * params.mean_down;
  terms[i] = vec4(sums.loss, sums.size * params.mean, sums.square * params.mean, differences);
}

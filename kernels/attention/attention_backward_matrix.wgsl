// The sums of attention's backward pass on tensor cores (subgroup matrices), whose operands are rounded to f16.
//
// A workgroup takes QUERIES own rows of one head, and KEYS rows of the other side at a time. Each of its subgroups
// handles ROWS of the own rows, whose x and y stay in registers, as do the sums. Rows of the other side and weights pass
// through workgroup memory as f16, products as f32. For queries, a first pass over the keys finds the logarithm of each
// row's sum of weights and D, so that sums need not be rescaled, which elements of matrices do not allow; a second pass
// makes dq. For keys, `stats` has both. Other rows are taken in steps of KEYS from the start, in order.
//
// Before it: attention_backward_bindings.wgsl. Prelude (attention_backward_matrix.ts): Left, Right, Result, WG, QUERIES,
// ROWS, KEYS, SPLIT (lanes per own row), WIDTH (vec4s of a head, padded), the pitches and sizes of arrays in workgroup
// memory; structs Queries (own rows) and Output; fns to_f16, load_queries, score, weigh, finish_all.

@group(0) @binding(5) var<storage, read> own_x: array<OWN_X>;
@group(0) @binding(6) var<storage, read> own_y: array<OWN_Y>;
@group(0) @binding(7) var<storage, read> other_x: array<OTHER_X>;
@group(0) @binding(8) var<storage, read> other_y: array<OTHER_Y>;

const CHUNK = KEYS / 4 / SPLIT; // vec4s of other rows of a lane
const Y_ROWS = KEYS * PITCH; // where y of the other side begins in `tile`
const Y_PRODUCTS = QUERIES * PITCH_S;
const Y_WEIGHTS = QUERIES * PITCH_P;

var<private> lane: u32; // of the workgroup
var<private> row: u32; // the own row of the tile that this lane shares with SPLIT - 1 others
var<private> start: u32; // first other row that it sees, counted in the span
var<private> seen: vec3<f32>; // by this lane: the largest logit, the sum of weights, and of their gradients, weighted
var<private> stat: vec2<f32>; // of a query: the logarithm of its sum of weights, D
var<private> part: u32;
var<private> column: u32; // the first vec4 of a row of `sums` that is stored

var<workgroup> shared_span: vec4<u32>;
var<workgroup> shared_start: vec4<u32>; // that of the first own row, in x
var<workgroup> tile: array<vec4<f16>, TILE>; // own rows; then KEYS rows of x and KEYS rows of y of the other side
var<workgroup> logits: array<vec4<f32>, 2 * QUERIES * PITCH_S>; // products of x, then those of y; at the end the sums
var<workgroup> weights: array<vec4<f16>, 2 * QUERIES * PITCH_P>; // what multiplies x of the other side, then y
var<workgroup> parts: array<vec3<f32>, WG>;

// zeros beyond a head's width; beyond the span its last row
fn keep_own(y: bool) {
  for (var i = lane; i < QUERIES * WIDTH; i += WG) {
    let c = i % WIDTH;
    let r = own_row(i / WIDTH);
    var x: vec4<f32>;
    if (y) {
      x = vec4<f32>(own_y[r * params.own_y_stride + params.own_y_offset + channel(c)]);
    } else {
      x = vec4<f32>(own_x[r * params.own_x_stride + params.own_x_offset + channel(c)]);
    }
    tile[i / WIDTH * PITCH + c] = select(vec4<f16>(), to_f16(x), c < VECTORS);
  }
}

fn keep_others() {
  for (var i = lane; i < KEYS * WIDTH; i += WG) {
    let c = i % WIDTH;
    let r = other_row(i / WIDTH);
    let x = vec4<f32>(other_x[r * params.other_x_stride + params.other_x_offset + channel(c)]);
    let y = vec4<f32>(other_y[r * params.other_y_stride + params.other_y_offset + channel(c)]);
    let at = i / WIDTH * PITCH + c;
    tile[at] = select(vec4<f16>(), to_f16(x), c < VECTORS);
    tile[Y_ROWS + at] = select(vec4<f16>(), to_f16(y), c < VECTORS);
  }
}

fn chunk(i: u32) -> u32 { return lane % SPLIT * CHUNK + i; }

// whether this lane's own row sees 4 other rows: none before its first, nor beyond the part's end
fn sees(i: u32) -> vec4<bool> {
  let other = step + 4 * i + vec4(0, 1, 2, 3);
  return (other >= vec4(start)) & (other < vec4(last));
}

fn logit(i: u32) -> vec4<f32> {
  var s = params.scale * logits[row * PITCH_S + i];
  if (BIAS) {
    let own = first + row;
    let other = step + 4 * i;
    s += vec4(bias(own, other), bias(own, other + 1), bias(own, other + 2), bias(own, other + 3));
  }
  return s;
}

// takes this step's logits and gradients of weights into account
fn look() {
  var most = seen.x;
  for (var i = 0u; i < CHUNK; i++) {
    let s = select(vec4(LOWEST), logit(chunk(i)), sees(chunk(i)));
    most = max(most, max(max(s.x, s.y), max(s.z, s.w)));
  }
  seen = vec3(most, seen.yz * exp(seen.x - most));
  for (var i = 0u; i < CHUNK; i++) {
    let p = select(vec4<f32>(), exp(logit(chunk(i)) - most), sees(chunk(i)));
    let g = logits[Y_PRODUCTS + row * PITCH_S + chunk(i)];
    seen += vec3(0.0, dot(p, vec4(1.0)), dot(p, g));
  }
}

// makes the statistics of an own row, in the order of its lanes
fn combine() {
  parts[lane] = seen;
  workgroupBarrier();
  var most = LOWEST;
  for (var i = 0u; i < SPLIT; i++) { most = max(most, parts[row * SPLIT + i].x); }
  var all = vec2<f32>();
  for (var i = 0u; i < SPLIT; i++) {
    let one = parts[row * SPLIT + i];
    all += exp(one.x - most) * one.yz;
  }
  let none = all.x == 0.0;
  stat = vec2(most + select(log(all.x), 0.0, none), select(all.y / all.x, 0.0, none));
  if (lane % SPLIT == 0 && first + row < span.y) { stats[(span.x + first + row) * params.heads + head] = stat; }
}

fn stat_of(other: u32) -> vec2<f32> {
  if (BY_KEYS) { return stats[other_row(other) * params.heads + head]; }
  return stat;
}

// what multiplies x of 4 other rows, and for keys what multiplies y
fn weigh_others() {
  for (var i = 0u; i < CHUNK; i++) {
    let at = chunk(i);
    let four = transpose(mat4x2(stat_of(4 * at), stat_of(4 * at + 1), stat_of(4 * at + 2), stat_of(4 * at + 3)));
    let p = select(vec4<f32>(), exp(logit(at) - four[0]), sees(at));
    let g = logits[Y_PRODUCTS + row * PITCH_S + at] - four[1];
    weights[row * PITCH_P + at] = to_f16(select(vec4<f32>(), p * g, sees(at)));
    if (BY_KEYS) { weights[Y_WEIGHTS + row * PITCH_P + at] = vec4<f16>(p); }
  }
}

// stores channels from vec4 c on, whose sums have taken the place of the logits
fn store(c: u32, by: f32) {
  for (var i = 0u; i < CHUNK; i++) {
    let at = chunk(i);
    if (first + row < span.y && c + at < VECTORS) {
      let to = (part * params.rows + span.x + first + row) * width() + column + head * VECTORS + c + at;
      sums[to] = by * logits[row * PITCH_S + at];
    }
  }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  lane = index;
  row = index / SPLIT;
  head = group.y;
  first = group.x * QUERIES;
  let block = group.z / params.spans; // not a private variable: barriers must depend on uniform values only
  part = block;
  if (index == 0) { shared_span = spans[group.z % params.spans]; }
  let bounds = workgroupUniformLoad(&shared_span);
  span = bounds;
  if (group.x * QUERIES >= bounds.y) { return; }
  start = first_other(row);
  if (index == 0) { shared_start = vec4(start); }
  let begin = workgroupUniformLoad(&shared_start).x + block * params.part;
  let end = min(begin + params.part, bounds.w);
  last = end;
  let rows = subgroup * ROWS; // first row of the tile that is this subgroup's
  keep_own(false);
  workgroupBarrier();
  let x = load_queries(rows * PITCH);
  workgroupBarrier();
  keep_own(true);
  workgroupBarrier();
  let y = load_queries(rows * PITCH);
  workgroupBarrier();
  seen = vec3(LOWEST, 0.0, 0.0);
  var by_x: Output;
  var by_y: Output;
  // one text for both passes: it is long
  for (var turn = select(0u, 1u, BY_KEYS); turn < 2; turn++) {
    for (var other = begin; other < end; other += KEYS) {
      step = other;
      workgroupBarrier();
      keep_others();
      workgroupBarrier();
      score(x, 0, rows * PITCH_S);
      score(y, Y_ROWS, Y_PRODUCTS + rows * PITCH_S);
      workgroupBarrier();
      if (turn == 0) {
        look();
      } else {
        weigh_others();
        workgroupBarrier();
        by_x = weigh(by_x, rows * PITCH_P, 0);
        if (BY_KEYS) { by_y = weigh(by_y, Y_WEIGHTS + rows * PITCH_P, Y_ROWS); }
      }
    }
    if (turn == 0) { combine(); }
  }
  workgroupBarrier();
  finish_all(by_x, rows * PITCH_S, params.scale);
  if (BY_KEYS) {
    column = params.heads * VECTORS;
    finish_all(by_y, rows * PITCH_S, 1.0);
  }
}

// The sums of attention's backward pass by tiles in workgroup memory and registers. Runs on any adapter.
//
// A workgroup takes 64 own rows, and OTHERS of the other side at a time. An invocation makes 4 own rows by DEPTH / 2
// others, then 4 own rows by its vec4s of channels, so each number that it loads from workgroup memory serves 4. Channels
// go through workgroup memory DEPTH vec4s at a time for logits, and 16 for sums. Every dynamic index has a dimension of
// its own, because each is clamped.
//
// Before it: attention_backward_bindings.wgsl. Prelude (attention_backward_tiles.ts): DEPTH, PIECES (vec4s of channels
// of an invocation); the unrolled loops reset, score, finish_logits, largest, weigh_all, share, rescale, add_all and
// store_all.

@group(0) @binding(5) var<storage, read> own_x: array<OWN_X>;
@group(0) @binding(6) var<storage, read> own_y: array<OWN_Y>;
@group(0) @binding(7) var<storage, read> other_x: array<OTHER_X>;
@group(0) @binding(8) var<storage, read> other_y: array<OTHER_Y>;

const WG = 128; // 16 along own rows, 8 along others
const OTHERS = 4 * DEPTH;
const BLOCKS = (VECTORS + DEPTH - 1) / DEPTH; // of channels

var<private> lane: u32;
var<private> ti: u32; // takes own rows ti, ti + 16, …
var<private> tj: u32; // takes others tj, tj + 8, …, and channels of vec4s tj, tj + 8, …

// vectors over the 4 own rows
var<private> s: array<vec4<f32>, DEPTH / 2>; // logits, then weights
var<private> g: array<vec4<f32>, DEPTH / 2>; // gradients of weights, then what multiplies x of the other side
var<private> start: vec4<u32>; // first other row that an own row sees, counted in the span
var<private> maxima: vec4<f32>;
var<private> total: vec4<f32>; // of this invocation's weights
var<private> mean: vec4<f32>; // of their gradients, weighted
// by piece, own row: sums of x by g; then sums of x, or of y, by s
var<private> sum_g: array<mat4x4<f32>, PIECES>;
var<private> sum_s: array<mat4x4<f32>, PIECES>;

var<workgroup> shared_span: vec4<u32>;
var<workgroup> shared_start: u32;
// x, and y, of own rows [channel][row / 16][row % 16]; g, and s, [other / 4][other % 4][ti], of 4 rows
var<workgroup> left: array<array<array<array<vec4<f32>, 17>, 4>, DEPTH>, 2>;
// x and y of others [channel][other / 8][x or y][other % 8]; for sums [other / 4][other % 4][channel / 8][channel % 8]
var<workgroup> right: array<array<array<array<vec4<f32>, 9>, 2>, 4>, DEPTH>;

// vec4 d of a row; zeros beyond a head's width
fn within(x: vec4<f32>, d: u32) -> vec4<f32> { return select(vec4<f32>(), x, d < VECTORS); }
fn load_other_x(j: u32, d: u32) -> vec4<f32> {
  return vec4<f32>(other_x[other_row(j) * params.other_x_stride + params.other_x_offset + channel(d)]);
}
fn load_other_y(j: u32, d: u32) -> vec4<f32> {
  return vec4<f32>(other_y[other_row(j) * params.other_y_stride + params.other_y_offset + channel(d)]);
}

// 8 neighbours take 8 rows, so that their stores fall into different banks
fn keep_operands(block: u32) {
  for (var n = lane; n < 64 * DEPTH; n += WG) {
    let row = n / (8 * DEPTH) * 8 + n % 8;
    let c = n / 8 % DEPTH;
    let d = block * DEPTH + c;
    let at = own_row(row);
    let x = vec4<f32>(own_x[at * params.own_x_stride + params.own_x_offset + channel(d)]);
    let y = vec4<f32>(own_y[at * params.own_y_stride + params.own_y_offset + channel(d)]);
    left[0][c][row / 16][row % 16] = within(x, d);
    left[1][c][row / 16][row % 16] = within(y, d);
  }
  for (var n = lane; n < OTHERS * DEPTH; n += WG) {
    let row = n / (8 * DEPTH) * 8 + n % 8;
    let c = n / 8 % DEPTH;
    let d = block * DEPTH + c;
    right[c][row / 8][0][row % 8] = within(load_other_x(row, d), d);
    right[c][row / 8][1][row % 8] = within(load_other_y(row, d), d);
  }
}

// 16 vec4s of channels of all others
fn keep_x(start: u32) {
  for (var n = lane; n < OTHERS * 16; n += WG) {
    right[n / 64][n / 16 % 4][n / 8 % 2][n % 8] = load_other_x(n / 16, start + n % 16);
  }
}

fn keep_y(start: u32) {
  for (var n = lane; n < OTHERS * 16; n += WG) {
    right[n / 64][n / 16 % 4][n / 8 % 2][n % 8] = load_other_y(n / 16, start + n % 16);
  }
}

// logits of other row j of this step; nothing before what an own row sees, nor beyond the part's end
fn logit(j: u32, products: vec4<f32>) -> vec4<f32> {
  var x = params.scale * products;
  if (BIAS) {
    let own = first + ti;
    let other = step + j;
    x += vec4(bias(own, other), bias(own + 16, other), bias(own + 32, other), bias(own + 48, other));
  }
  if (BY_KEYS) { x = select(vec4(LOWEST), x, vec4(step + j) >= start); }
  return select(vec4(LOWEST), x, step + j < last);
}

// vectors of all that share own rows
fn shared_by(which: u32, t: u32) -> vec4<f32> { return left[which][t / 4][t % 4][ti]; }
fn share_one(which: u32, x: vec4<f32>) { left[which][tj / 4][tj % 4][ti] = x; }

fn add(sum: mat4x4<f32>, weights: vec4<f32>, x: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(
    fma(vec4(weights.x), x, sum[0]),
    fma(vec4(weights.y), x, sum[1]),
    fma(vec4(weights.z), x, sum[2]),
    fma(vec4(weights.w), x, sum[3]),
  );
}

fn scaled(sum: mat4x4<f32>, by: vec4<f32>) -> mat4x4<f32> {
  return mat4x4(by.x * sum[0], by.y * sum[1], by.z * sum[2], by.w * sum[3]);
}

fn softmax() {
  workgroupBarrier();
  share_one(0, largest());
  workgroupBarrier();
  var m = maxima;
  for (var t = 0u; t < 8; t++) { m = max(m, shared_by(0, t)); }
  let keep = exp(maxima - m);
  maxima = m;
  total *= keep;
  mean *= keep;
  rescale(keep);
}

fn weigh(j: u32, logits: vec4<f32>) -> vec4<f32> {
  if (!BY_KEYS) { return exp(logits - maxima); }
  return exp(logits - stats[other_row(j) * params.heads + head].x);
}

fn centred(j: u32, gradients: vec4<f32>) -> vec4<f32> {
  if (!BY_KEYS) { return gradients; }
  return gradients - stats[other_row(j) * params.heads + head].y;
}

fn store(part: u32, i: u32, piece: u32, x: vec4<f32>, y: vec4<f32>) {
  let row = first + 16 * i + ti;
  let d = 8 * piece + tj;
  if (row >= span.y || d >= VECTORS) { return; }
  let at = (part * params.rows + span.x + row) * width() + head * VECTORS + d;
  sums[at] = x;
  if (BY_KEYS) { sums[at + params.heads * VECTORS] = y; }
}

fn store_stats(log_sum: vec4<f32>) {
  if (tj > 0) { return; }
  for (var i = 0u; i < 4; i++) {
    let row = first + 16 * i + ti;
    if (row < span.y) { stats[(span.x + row) * params.heads + head] = vec2(log_sum[i], mean[i]); }
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index;
  ti = index % 8 + index / 32 % 2 * 8; // 8 × 4 invocations of a subgroup of 32 read the fewest numbers
  tj = index / 8 % 4 + index / 64 * 4;
  head = group.y;
  first = group.x * 64;
  let part = group.z / params.spans;
  if (index == 0) { shared_span = spans[group.z % params.spans]; }
  let bounds = workgroupUniformLoad(&shared_span); // barriers must depend on uniform values only
  span = bounds;
  if (group.x * 64 >= bounds.y) { return; }
  start = vec4(first_other(ti), first_other(ti + 16), first_other(ti + 32), first_other(ti + 48));
  if (index == 0) { shared_start = start.x; }
  let begin = workgroupUniformLoad(&shared_start) + part * params.part;
  maxima = vec4(LOWEST);
  let end = min(begin + params.part, bounds.w);
  last = end;
  for (var other = begin; other < end; other += OTHERS) {
    step = other;
    reset();
    for (var block = 0u; block < BLOCKS; block++) {
      workgroupBarrier();
      keep_operands(block);
      workgroupBarrier();
      for (var c = 0u; c < DEPTH; c++) { score(c); }
    }
    finish_logits();
    if (!BY_KEYS) { softmax(); }
    weigh_all();
    workgroupBarrier();
    share();
    add_all();
  }
  var by = vec4(1.0);
  if (!BY_KEYS) {
    workgroupBarrier();
    share_one(0, total);
    share_one(1, mean);
    workgroupBarrier();
    var all = vec4(0.0);
    mean = vec4(0.0);
    for (var t = 0u; t < 8; t++) {
      all += shared_by(0, t);
      mean += shared_by(1, t);
    }
    by = select(1 / all, vec4(0.0), all == vec4(0.0));
    mean *= by;
    store_stats(maxima + select(log(all), vec4(0.0), all == vec4(0.0)));
  }
  store_all(part, by);
}

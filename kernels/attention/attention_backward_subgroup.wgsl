// The sums of attention's backward pass where a workgroup is one subgroup, which is one vector register of a CPU
// (lavapipe): lanes exchange rows by shuffles, and there are no barriers.
//
// A lane is an own row (TILE of them, LANES apart), so logits, weights and sums need no other lane. The other side is
// taken LANES rows at a time: each lane loads one, and shuffles hand it to all lanes. It lies in textures of 1024 texels
// to a row (Device.stage): a load from a buffer inside a loop is a loop over lanes.
//
// Before it: attention_backward_bindings.wgsl. Prelude (attention_backward_subgroup.ts): LANES, TILE, PIECE (vec4s of a
// head that are unrolled together), PIECES, and the unrolled loops, because arrays stay in registers only under constant
// indices: keep_own, reset_rows, load_others, reset_logits, score_all, bias_all, hide_all, weigh_all, sum_all, store_all.

@group(0) @binding(5) var own_x: OWN_X;
@group(0) @binding(6) var own_y: OWN_Y;
@group(0) @binding(7) var other_x: OTHER_X;
@group(0) @binding(8) var other_y: OTHER_Y;

const WIDTH = PIECE * PIECES; // vec4s of a head, padded

var<private> lane: u32;
var<private> own_xs: array<vec4<f32>, TILE * WIDTH>; // this lane's rows, scaled
var<private> own_ys: array<vec4<f32>, TILE * WIDTH>;
var<private> other_xs: array<vec4<f32>, WIDTH>; // this lane's row of the other side
var<private> other_ys: array<vec4<f32>, WIDTH>;
var<private> s: array<f32, TILE * LANES>; // logits, then weights, of this step's rows
var<private> g: array<f32, TILE * LANES>; // gradients of weights, then what multiplies x of the other side
var<private> starts: array<u32, TILE>; // first other row that an own row sees, counted in the span
var<private> maxima: array<f32, TILE>; // largest logit so far
var<private> total: array<f32, TILE>; // sum of weights so far
var<private> mean: array<f32, TILE>; // of their gradients, weighted
var<private> sum_g: array<vec4<f32>, TILE * WIDTH>; // of x by g
var<private> sum_s: array<vec4<f32>, TILE * WIDTH>; // of x, or of y, by s

fn load_own_x(i: u32, d: u32) -> vec4<f32> {
  let at = own_row(i * LANES + lane) * params.own_x_stride + params.own_x_offset + channel(d);
  return select(vec4(0.0), params.scale * textureLoad(own_x, vec2(at & 1023, at >> 10)), d < VECTORS);
}

fn load_own_y(i: u32, d: u32) -> vec4<f32> {
  let at = own_row(i * LANES + lane) * params.own_y_stride + params.own_y_offset + channel(d);
  return select(vec4(0.0), textureLoad(own_y, vec2(at & 1023, at >> 10)), d < VECTORS);
}

// vec4 d of this lane's row of the other side; beyond the end the last one, which start() rules out
fn load_other_x(d: u32) -> vec4<f32> {
  let at = other_row(lane) * params.other_x_stride + params.other_x_offset + channel(d);
  return textureLoad(other_x, vec2(at & 1023, at >> 10));
}

fn load_other_y(d: u32) -> vec4<f32> {
  let at = other_row(lane) * params.other_y_stride + params.other_y_offset + channel(d);
  return textureLoad(other_y, vec2(at & 1023, at >> 10));
}

fn dot4(a: vec4<f32>, b: vec4<f32>, so_far: f32) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, so_far))));
}

// where the logit of other row j starts: rows beyond the part's end get no weight
fn start(j: u32) -> f32 { return select(LOWEST, 0.0, step + j < last); }

// rows that an own row does not see get no weight, either: only in steps where there are such, for this costs a fifth
fn seen(i: u32, j: u32, logit: f32) -> f32 { return select(LOWEST, logit, step + j >= starts[i]); }

fn inverse(x: f32) -> f32 { return select(1 / x, 0.0, x == 0.0); }

fn store(part: u32, i: u32, d: u32, x: vec4<f32>, y: vec4<f32>) {
  let row = first + i * LANES + lane;
  if (row >= span.y || d >= VECTORS) { return; }
  let at = (part * params.rows + span.x + row) * width() + head * VECTORS + d;
  sums[at] = x;
  if (BY_KEYS) { sums[at + params.heads * VECTORS] = y; }
}

// after this, mean is D, and total divides
fn store_stats(i: u32) {
  let row = first + i * LANES + lane;
  let by = inverse(total[i]);
  mean[i] *= by;
  let log_sum = maxima[i] + select(log(total[i]), 0.0, total[i] == 0.0);
  total[i] = by;
  if (row < span.y) { stats[(span.x + row) * params.heads + head] = vec2(log_sum, mean[i]); }
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index;
  head = group.y;
  span = spans[group.z % params.spans];
  first = group.x * TILE * LANES;
  if (first >= span.y) { return; }
  let part = group.z / params.spans;
  let begin = first_other(0) + part * params.part;
  last = min(begin + params.part, span.w);
  let all_seen = first_other(TILE * LANES - 1);
  keep_own();
  reset_rows();
  for (step = begin; step < last; step += LANES) {
    load_others();
    reset_logits();
    score_all();
    if (BIAS) { bias_all(); }
    if (step < all_seen) { hide_all(); }
    weigh_all();
    sum_all();
  }
  if (!BY_KEYS) { for (var i = 0u; i < TILE; i++) { store_stats(i); } }
  store_all(part);
}

// y[row] = softmax(scale · q[row] · kᵀ + bias) · v over the keys of the row's span: streaming softmax, one pass.
// A workgroup is one subgroup, which is one vector register of a CPU (lavapipe): lanes exchange keys and values by
// shuffles.
//
// A lane is a query (TILE of them, LANES apart), so logits, maxima, weights and sums need no other lane. Keys are taken
// LANES at a time: each lane loads one key, 4 channels at a time, and shuffles hand it to all lanes. So a vec4 that is
// loaded serves LANES · TILE queries, which decides where loads are expensive. Keys are taken in steps from the span's
// start, and each query has its own maximum and sum: its bits depend on its span alone. Statistics are f32.
//
// Before it: attention_buffers.wgsl or attention_textures.wgsl, and attention_bindings.wgsl. Prelude
// (attention_subgroup.ts): LANES, TILE, PIECE (vec4s of a head that are unrolled together), PIECES, and the unrolled
// loops, because arrays stay in registers only under constant indices: keep_queries, reset_maxima, reset_logits,
// score_all, bias_all, softmax_all, weigh_all, divide_all, store_all.

const WIDTH = PIECE * PIECES; // vec4s of a head, padded

var<private> lane: u32;
var<private> head: u32;
var<private> span: vec4<u32>; // first row of queries, their number, first row of keys, their number
var<private> first: u32; // the first query of this tile, counted in the span
var<private> step: u32; // the first key of this step, counted in the span

var<private> own: array<vec4<f32>, TILE * WIDTH>; // this lane's queries, scaled
var<private> acc: array<vec4<f32>, TILE * WIDTH>; // their weighted values
var<private> s: array<f32, TILE * LANES>; // their logits, then weights, of this step's keys
var<private> maxima: array<f32, TILE>; // largest logit so far
var<private> sum: array<f32, TILE>; // sum of weights so far

fn load_query(i: u32, d: u32) -> vec4<f32> {
  let row = span.x + min(first + i * LANES + lane, span.y - 1);
  let x = vec4<f32>(q[row * params.q_stride + params.q_offset + head * VECTORS + min(d, VECTORS - 1)]);
  return select(vec4(0.0), params.scale * x, d < VECTORS);
}

// vec4 d of this lane's key, and of its value; beyond the span's end the last ones, which start() rules out
fn load_k(d: u32) -> vec4<f32> {
  let row = span.z + min(step + lane, span.w - 1);
  return k_at(row * params.k_stride + params.k_offset + head * VECTORS + min(d, VECTORS - 1));
}

fn load_v(d: u32) -> vec4<f32> {
  let row = span.z + min(step + lane, span.w - 1);
  return v_at(row * params.v_stride + params.v_offset + head * VECTORS + min(d, VECTORS - 1));
}

fn score(a: vec4<f32>, b: vec4<f32>, so_far: f32) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, so_far))));
}

// Where the logit of key j starts: keys beyond the span's end get no weight. Choosing here costs nothing; a select on
// the finished logit does.
fn start(j: u32) -> f32 { return select(LOWEST, 0.0, step + j < span.w); }

fn bias(i: u32, j: u32) -> f32 {
  let distance = i32(step + j) - i32(first + i * LANES + lane);
  let at = clamp(params.bias_centre + distance, 0, params.bias_last);
  return bias_table[bias_bucket[at] * params.heads + head];
}

fn store(i: u32, d: u32, x: vec4<f32>) {
  let at = first + i * LANES + lane;
  if (at >= span.y || d >= VECTORS) { return; }
  y[((span.x + at) * params.heads + head) * VECTORS + d] = narrow(x);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index;
  head = group.y;
  span = spans[group.z];
  first = group.x * TILE * LANES;
  if (first >= span.y) { return; }
  for (var d = 0u; d < WIDTH; d++) { keep_queries(d); }
  reset_maxima();
  for (step = 0; step < span.w; step += LANES) {
    reset_logits();
    score_all();
    if (BIAS) { bias_all(); }
    softmax_all();
    weigh_all();
  }
  divide_all();
  for (var d = 0u; d < WIDTH; d++) { store_all(d); }
}

// y[row] = softmax(scale · q[row] · kᵀ + bias) · v over the keys of the row's span: streaming softmax, one pass.
// A workgroup is one subgroup, which is one CPU vector register (lavapipe): keys and values are handed round by shuffles.
//
// A lane is a query (TILE of them, LANES apart), so that logits, maxima, weights and sums need no other lane. Keys go
// LANES at a time: each lane loads one, 4 channels after the other, and all lanes take it from there. So a loaded vec4 serves
// LANES · TILE queries, which is what counts where loads are dear. Keys go in steps from the span's start, and each
// query has its own maximum and sum: its bits depend on nothing but its span. Statistics are f32.
//
// Prelude (attention.ts): Q, KV, Y, LANES, TILE, VECTORS (vec4s of a head), PIECE (of them, unrolled), PIECES, BIAS; fns k_at, v_at;
// and loops that are unrolled, because arrays stay in registers only under constant indices: keep_queries, begin_all,
// clear_all, score_all, bias_all, soften_all, weigh_all, divide_all, store_all.

struct Params {
  q_stride: u32, // strides and offsets in vec4s
  q_offset: u32,
  k_stride: u32,
  k_offset: u32,
  v_stride: u32,
  v_offset: u32,
  heads: u32,
  bias_centre: i32,
  bias_last: i32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Q>;
@group(0) @binding(2) var<storage, read> k: array<KV>;
@group(0) @binding(3) var<storage, read> v: array<KV>;
@group(0) @binding(4) var<storage, read> spans: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read> bias_table: array<f32>;
@group(0) @binding(6) var<storage, read> bias_bucket: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<Y>;

const WIDTH = PIECE * PIECES; // vec4s of a head, padded
const LOWEST = -3.0e38;

var<private> lane: u32;
var<private> head: u32;
var<private> span: vec4<u32>; // first query row, queries, first key row, keys
var<private> first: u32; // the first query of this tile, counted in the span
var<private> step: u32; // the first key of this step, counted in the span

var<private> own: array<vec4<f32>, TILE * WIDTH>; // this lane's queries, scaled
var<private> acc: array<vec4<f32>, TILE * WIDTH>; // their weighted values
var<private> s: array<f32, TILE * LANES>; // their logits, then weights, of this step's keys
var<private> most: array<f32, TILE>; // largest logit so far
var<private> sum: array<f32, TILE>; // sum of weights so far

fn load_query(i: u32, d: u32) -> vec4<f32> {
  let row = span.x + min(first + i * LANES + lane, span.y - 1);
  let x = vec4<f32>(q[row * params.q_stride + params.q_offset + head * VECTORS + min(d, VECTORS - 1)]);
  return select(vec4(0.0), params.scale * x, d < VECTORS);
}

// vec4 d of this lane's key and value; beyond the span's keys the last one, see start()
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

// what the logit of key j begins with: keys beyond the span's weigh nothing (a choice at the end costs a sixth more time)
fn start(j: u32) -> f32 { return select(LOWEST, 0.0, step + j < span.w); }

fn bias(i: u32, j: u32) -> f32 {
  let distance = i32(step + j) - i32(first + i * LANES + lane);
  let at = clamp(params.bias_centre + distance, 0, params.bias_last);
  return bias_table[bias_bucket[at] * params.heads + head];
}

fn inverse(x: f32) -> f32 { return select(1 / x, 0.0, x == 0.0); }

fn store(i: u32, d: u32, x: vec4<f32>) {
  let at = first + i * LANES + lane;
  if (at >= span.y || d >= VECTORS) { return; }
  y[((span.x + at) * params.heads + head) * VECTORS + d] = Y(x);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index;
  head = group.y;
  span = spans[group.z];
  first = group.x * TILE * LANES;
  if (first >= span.y) { return; }
  for (var d = 0u; d < WIDTH; d++) { keep_queries(d); }
  begin_all();
  for (step = 0; step < span.w; step += LANES) {
    clear_all();
    score_all();
    if (BIAS) { bias_all(); }
    soften_all();
    weigh_all();
  }
  divide_all();
  for (var d = 0u; d < WIDTH; d++) { store_all(d); }
}

// y[row] = softmax(scale · q[row] · kᵀ + bias) · v over the keys of the row's span: streaming softmax, one pass.
// Works on any adapter: queries and weights are handed round by workgroup memory.
//
// A workgroup takes QUERIES queries of one head, and LANES keys at a time. For the logits a lane is a key; for the
// weighted sum a lane is 4 channels (CHUNKS times 4, LANES apart). So each loaded vec4 of k or v serves all queries,
// and rows of v are read side by side.
// Keys go in steps of LANES from the span's start, and each query has its own maximum and sum: its bits depend on
// nothing but its span. Statistics are f32; the sum of weights is kept per lane until the end.
//
// Prelude (attention.ts): Q, KV, Y, LANES, QUERIES, CHUNKS, VECTORS (vec4s of a head), BIAS; fn unpack. And loops over
// queries, unrolled because arrays stay in registers only under constant indices: largest, total, shrink, begin_all,
// clear_all, logit_all, soften_all, sum_all, divide_all, next, score_all, weigh_all, write_all.

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

var<private> lane: u32;
var<private> head: u32;
var<private> span: vec4<u32>; // first query row, queries, first key row, keys
var<private> first: u32; // the first query of this tile, counted in the span
var<private> step: u32; // the first key of this step, counted in the span

var<private> s: array<f32, QUERIES>; // logit, then weight, of this lane's key
var<private> most: array<f32, QUERIES>; // largest logit so far
var<private> sum: array<f32, QUERIES>; // sum of this lane's weights so far
var<private> acc: array<vec4<f32>, QUERIES * CHUNKS>; // weighted values: this lane's channels

var<workgroup> shared_span: vec4<u32>;
var<workgroup> shared_queries: array<vec4<f32>, QUERIES * VECTORS>;
var<workgroup> shared_s: array<f32, QUERIES * LANES>;

const LOWEST = -3.0e38;

// lanes beyond a head's width load its last channels, and add or store nothing
fn channel(chunk: u32) -> u32 { return head * VECTORS + min(lane + chunk * LANES, VECTORS - 1); }

fn load_query(i: u32, chunk: u32) -> vec4<f32> {
  let row = span.x + min(first + i, span.y - 1);
  return vec4<f32>(q[row * params.q_stride + params.q_offset + channel(chunk)]);
}

fn keep_query(i: u32, chunk: u32) {
  let d = lane + chunk * LANES;
  if (d < VECTORS) { shared_queries[i * VECTORS + d] = load_query(i, chunk); }
}

fn query(i: u32, d: u32) -> vec4<f32> { return shared_queries[i * VECTORS + d]; }

fn weight(i: u32, lane: u32) -> f32 { return shared_s[i * LANES + lane]; }

// s of all lanes, for weight()
fn share() {
  workgroupBarrier();
  write_all();
  workgroupBarrier();
}

fn load_k(row: u32, d: u32) -> vec4<f32> {
  return unpack(k[row * params.k_stride + params.k_offset + head * VECTORS + min(d, VECTORS - 1)]);
}

fn load_v(j: u32, chunk: u32) -> vec4<f32> {
  let row = span.z + min(step + j, span.w - 1);
  return unpack(v[row * params.v_stride + params.v_offset + channel(chunk)]);
}

fn score(i: u32, d: u32, x: vec4<f32>) {
  let a = query(i, d);
  s[i] = fma(a.w, x.w, fma(a.z, x.z, fma(a.y, x.y, fma(a.x, x.x, s[i]))));
}

fn bias(i: u32) -> f32 {
  if (!BIAS) { return 0.0; }
  let at = clamp(params.bias_centre + i32(step + lane) - i32(first + i), 0, params.bias_last);
  return bias_table[bias_bucket[at] * params.heads + head];
}

fn logit(i: u32) { s[i] = select(LOWEST, fma(s[i], params.scale, bias(i)), step + lane < span.w); }

fn soften(i: u32) {
  let m = max(most[i], largest(i));
  let keep = exp(most[i] - m);
  most[i] = m;
  s[i] = exp(s[i] - m); // 0 beyond the span's keys, see logit
  sum[i] = fma(sum[i], keep, s[i]);
  shrink(i, keep);
}

fn weigh(i: u32, chunk: u32, p: f32, value: vec4<f32>) {
  acc[i * CHUNKS + chunk] = fma(vec4(p), value, acc[i * CHUNKS + chunk]);
}

fn inverse(x: f32) -> f32 { return select(1 / x, 0.0, x == 0.0); }

fn store(i: u32, chunk: u32, x: vec4<f32>) {
  let d = lane + chunk * LANES;
  if (first + i >= span.y || d >= VECTORS) { return; }
  y[((span.x + first + i) * params.heads + head) * VECTORS + d] = Y(x);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index;
  head = group.y;
  first = group.x * QUERIES;
  if (lane == 0) { shared_span = spans[group.z]; }
  let bounds = workgroupUniformLoad(&shared_span); // what barriers depend on must be uniform
  span = bounds;
  if (group.x * QUERIES >= bounds.y) { return; }
  for (var n = 0u; n < QUERIES * CHUNKS; n++) { keep_query(n / CHUNKS, n % CHUNKS); }
  workgroupBarrier();
  begin_all();
  for (var key = 0u; key < bounds.w; key += LANES) {
    step = key;
    clear_all();
    score_all(span.z + min(step + lane, span.w - 1));
    logit_all();
    share();
    soften_all();
    share();
    weigh_all();
  }
  sum_all();
  share();
  divide_all();
  for (var n = 0u; n < QUERIES * CHUNKS; n++) { store(n / CHUNKS, n % CHUNKS, next()); }
}

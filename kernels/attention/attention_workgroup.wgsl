// y[row] = softmax(scale · q[row] · kᵀ + bias) · v over the keys of the row's span: streaming softmax, one pass.
// Runs on any adapter: lanes exchange queries and weights through workgroup memory.
//
// A workgroup takes QUERIES queries of one head, and LANES keys at a time. For the logits a lane is a key; for the
// weighted sum a lane is 4 channels (CHUNKS times 4, LANES apart). So each vec4 of k or v that is loaded serves all
// queries, and neighbouring lanes read neighbouring parts of a row of v. Keys are taken in steps of LANES from the
// span's start, and each query has its own maximum and sum: the bits of a query depend on its span alone. Statistics
// are f32; each lane keeps its own sum of weights until the end.
//
// Before it: attention_buffers.wgsl, attention_bindings.wgsl. Prelude (attention_workgroup.ts): LANES, QUERIES, CHUNKS,
// and the loops over queries, unrolled because arrays stay in registers only under constant indices: largest, total,
// rescale, reset_maxima, reset_logits, logit_all, softmax_all, sum_all, divide_all, next, score_all, weigh_all,
// share_all.

var<private> lane: u32;
var<private> head: u32;
var<private> span: vec4<u32>; // first row of queries, their number, first row of keys, their number
var<private> first: u32; // the first query of this tile, counted in the span
var<private> step: u32; // the first key of this step, counted in the span

var<private> s: array<f32, QUERIES>; // logit, then weight, of this lane's key
var<private> maxima: array<f32, QUERIES>; // largest logit so far
var<private> sum: array<f32, QUERIES>; // sum of this lane's weights so far
var<private> acc: array<vec4<f32>, QUERIES * CHUNKS>; // weighted values: this lane's channels

var<workgroup> shared_span: vec4<u32>;
var<workgroup> shared_queries: array<vec4<f32>, QUERIES * VECTORS>;
var<workgroup> shared_s: array<f32, QUERIES * LANES>;

// lanes beyond a head's width load its last channels; what they make is never stored
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

// hands s of all lanes to weight()
fn share_scores() {
  workgroupBarrier();
  share_all();
  workgroupBarrier();
}

fn load_k(row: u32, d: u32) -> vec4<f32> {
  return k_at(row * params.k_stride + params.k_offset + head * VECTORS + min(d, VECTORS - 1));
}

fn load_v(j: u32, chunk: u32) -> vec4<f32> {
  let row = span.z + min(step + j, span.w - 1);
  return v_at(row * params.v_stride + params.v_offset + channel(chunk));
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

fn softmax(i: u32) {
  let m = max(maxima[i], largest(i));
  let keep = exp(maxima[i] - m);
  maxima[i] = m;
  s[i] = exp(s[i] - m); // 0 beyond the span's keys, see logit
  sum[i] = fma(sum[i], keep, s[i]);
  rescale(i, keep);
}

fn weigh(i: u32, chunk: u32, p: f32, value: vec4<f32>) {
  acc[i * CHUNKS + chunk] = fma(vec4(p), value, acc[i * CHUNKS + chunk]);
}

fn store(i: u32, chunk: u32, x: vec4<f32>) {
  let d = lane + chunk * LANES;
  if (first + i >= span.y || d >= VECTORS) { return; }
  y[((span.x + first + i) * params.heads + head) * VECTORS + d] = narrow(x);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index;
  head = group.y;
  first = group.x * QUERIES;
  if (lane == 0) { shared_span = spans[group.z]; }
  let bounds = workgroupUniformLoad(&shared_span); // barriers must depend on uniform values only
  span = bounds;
  if (group.x * QUERIES >= bounds.y) { return; }
  for (var n = 0u; n < QUERIES * CHUNKS; n++) { keep_query(n / CHUNKS, n % CHUNKS); }
  workgroupBarrier();
  reset_maxima();
  for (var key = 0u; key < bounds.w; key += LANES) {
    step = key;
    reset_logits();
    score_all(span.z + min(step + lane, span.w - 1));
    logit_all();
    share_scores();
    softmax_all();
    share_scores();
    weigh_all();
  }
  sum_all();
  share_scores();
  divide_all();
  for (var n = 0u; n < QUERIES * CHUNKS; n++) { store(n / CHUNKS, n % CHUNKS, next()); }
}

// y[row] = softmax(scale · q[row] · kᵀ + bias) · v over the keys of the row's span, on tensor cores (subgroup
// matrices).
//
// A workgroup takes QUERIES queries of one head and KEYS keys at a time. Each of its subgroups handles ROWS of the
// queries, which stay in registers as f16, as do their weighted sums, as f32. Keys, values and weights pass through
// workgroup memory as f16, logits as f32. Elements of a subgroup matrix cannot be addressed, so a sum cannot be
// rescaled when a larger logit comes: a first pass over the keys finds the largest logits, a second one weighs the
// values. Computing logits twice moves less data than passing the sums through workgroup memory at every step would.
// Keys are taken in steps of KEYS from the span's start, in order: the bits of a query depend on its span alone.
//
// Before it: attention_buffers.wgsl, attention_bindings.wgsl. Prelude (attention_matrix.ts): Left, Right, Result, WG,
// QUERIES, ROWS, KEYS, SPLIT (lanes per query), WIDTH (vec4s of a head, padded), the pitches and sizes of arrays in
// workgroup memory; structs Queries and Output; fns to_f16, load_queries, score, weigh, finish_all.

var<private> lane: u32; // of the workgroup
var<private> row: u32; // the query of the tile that this lane shares with SPLIT - 1 others
var<private> head: u32;
var<private> span: vec4<u32>; // first row of queries, their number, first row of keys, their number
var<private> first: u32; // the first query of this tile, counted in the span
var<private> step: u32; // the first key of this step, counted in the span

var<workgroup> shared_span: vec4<u32>;
var<workgroup> tile: array<vec4<f16>, TILE>; // the queries; then KEYS rows of keys and KEYS rows of values
var<workgroup> logits: array<vec4<f32>, QUERIES * PITCH_S>; // at the end the sums
var<workgroup> weights: array<vec4<f16>, QUERIES * PITCH_P>;
var<workgroup> parts: array<f32, WG>; // of each lane: the largest logit, then the sum of weights

// zeros beyond a head's width; beyond the span its last row
fn keep_queries() {
  for (var i = lane; i < QUERIES * WIDTH; i += WG) {
    let c = i % WIDTH;
    let r = span.x + min(first + i / WIDTH, span.y - 1);
    let x = vec4<f32>(q[r * params.q_stride + params.q_offset + head * VECTORS + min(c, VECTORS - 1)]);
    tile[i / WIDTH * PITCH + c] = select(vec4<f16>(), to_f16(x), c < VECTORS);
  }
}

fn keep_keys() {
  for (var i = lane; i < KEYS * WIDTH; i += WG) {
    let c = i % WIDTH;
    let r = span.z + min(step + i / WIDTH, span.w - 1);
    let x = k_at(r * params.k_stride + params.k_offset + head * VECTORS + min(c, VECTORS - 1));
    tile[i / WIDTH * PITCH + c] = select(vec4<f16>(), x, c < VECTORS);
  }
}

fn keep_values() {
  for (var i = lane; i < KEYS * WIDTH; i += WG) {
    let c = i % WIDTH;
    let r = span.z + min(step + i / WIDTH, span.w - 1);
    let x = v_at(r * params.v_stride + params.v_offset + head * VECTORS + min(c, VECTORS - 1));
    tile[(KEYS + i / WIDTH) * PITCH + c] = select(vec4<f16>(), x, c < VECTORS);
  }
}

fn bias(key: u32) -> f32 {
  let at = clamp(params.bias_centre + i32(key) - i32(first + row), 0, params.bias_last);
  return bias_table[bias_bucket[at] * params.heads + head];
}

// the logits of this lane's query and 4 keys
fn logit(i: u32) -> vec4<f32> {
  let key = step + 4 * i + vec4(0, 1, 2, 3);
  var s = params.scale * logits[row * PITCH_S + i];
  if (BIAS) { s += vec4(bias(key.x), bias(key.y), bias(key.z), bias(key.w)); }
  return select(vec4(LOWEST), s, key < vec4(span.w));
}

fn largest(before: f32) -> f32 {
  var most = before;
  for (var i = 0u; i < KEYS / 4 / SPLIT; i++) {
    let s = logit(lane % SPLIT * (KEYS / 4 / SPLIT) + i);
    most = max(most, max(max(s.x, s.y), max(s.z, s.w)));
  }
  return most;
}

// weights of this lane's keys; the sum adds them as f16 rounds them
fn softmax(most: f32, before: f32) -> f32 {
  var sum = before;
  for (var i = 0u; i < KEYS / 4 / SPLIT; i++) {
    let at = lane % SPLIT * (KEYS / 4 / SPLIT) + i;
    let p = vec4<f16>(exp(logit(at) - most)); // 0 beyond the span's keys
    weights[row * PITCH_P + at] = p;
    sum += dot(vec4<f32>(p), vec4(1.0));
  }
  return sum;
}

// stores channels from vec4 c on, whose sums have taken the place of the logits
fn store(c: u32, by: f32) {
  for (var i = 0u; i < KEYS / 4 / SPLIT; i++) {
    let at = lane % SPLIT * (KEYS / 4 / SPLIT) + i;
    if (first + row < span.y && c + at < VECTORS) {
      y[((span.x + first + row) * params.heads + head) * VECTORS + c + at] = narrow(logits[row * PITCH_S + at] * by);
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
  if (index == 0) { shared_span = spans[group.z]; }
  let bounds = workgroupUniformLoad(&shared_span); // barriers must depend on uniform values only
  span = bounds;
  if (group.x * QUERIES >= bounds.y) { return; }
  let rows = subgroup * ROWS; // first row of the tile that is this subgroup's
  keep_queries();
  workgroupBarrier();
  let queries = load_queries(rows * PITCH);
  workgroupBarrier();
  var most = LOWEST;
  for (var key = 0u; key < bounds.w; key += KEYS) {
    step = key;
    keep_keys();
    workgroupBarrier();
    score(queries, 0, rows * PITCH_S);
    workgroupBarrier();
    most = largest(most);
  }
  parts[index] = most;
  workgroupBarrier();
  for (var i = 0u; i < SPLIT; i++) { most = max(most, parts[row * SPLIT + i]); }
  workgroupBarrier();
  var sum = 0.0;
  var output: Output;
  for (var key = 0u; key < bounds.w; key += KEYS) {
    step = key;
    keep_keys();
    workgroupBarrier();
    score(queries, 0, rows * PITCH_S);
    workgroupBarrier();
    sum = softmax(most, sum);
    keep_values();
    workgroupBarrier();
    output = weigh(output, rows * PITCH_P, KEYS * PITCH);
  }
  parts[index] = sum;
  workgroupBarrier();
  var total = 0.0;
  for (var i = 0u; i < SPLIT; i++) { total += parts[row * SPLIT + i]; }
  finish_all(output, rows * PITCH_S, inverse(total));
}

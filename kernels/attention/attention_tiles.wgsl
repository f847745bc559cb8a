// y[row] = softmax(scale · q[row] · kᵀ + bias) · v over the keys of the row's span: streaming softmax, one pass, by
// multiply-adds in registers. Runs on any adapter that has enough workgroup memory.
//
// A workgroup takes QUERIES queries of one head and KEYS keys at a time. An invocation makes the logits of 8 queries
// and KEYS / 16 keys, then the sums of these queries and of CHUNKS vec4s of channels, so each number that it loads from
// workgroup memory serves 8. Queries and keys go through workgroup memory 32 channels at a time, weights and values 32
// keys at a time, as f32; the next piece is on its way to registers meanwhile. Every dynamic index has a dimension of
// its own, because each is clamped, and all others are constants. Keys are taken in steps of KEYS from the span's
// start, and each query has its own maximum and sum: the bits of a query depend on its span alone, and on KEYS only if
// the span has more than 64 keys.
//
// Before it: attention_buffers.wgsl, attention_bindings.wgsl. Prelude (attention_tiles.ts): WG, ACROSS (invocations
// along queries; 16 lie along keys), KEYS, CHUNKS, PLACES (vec4s of 16 invocations in a row of kv), TURNS (of 8: how
// many turns of the inner loops are unrolled); the unrolled loops fetch_operands, keep_operands, fetch_values,
// keep_values, reset_maxima, reset_logits, score, finish_logits, share_maxima, softmax, weigh_all, share_sums,
// divide_all, store_all.

const QUERIES = 8 * ACROSS;
const BLOCKS = (VECTORS + 7) / 8; // of 32 channels
const PADDED = VECTORS % 8 != 0; // whether the last of them is not full
const LOG2_E = 1.4426950408889634;

var<private> lane: u32; // of the workgroup
var<private> tq: u32; // takes queries tq, tq + ACROSS, …
var<private> tk: u32; // takes keys tk, tk + 16, …, and channels of vec4s tk, tk + 16, …
var<private> head: u32;
var<private> span: vec4<u32>; // first row of queries, their number, first row of keys, their number
var<private> first: u32; // the first query of this tile, counted in the span
var<private> step: u32; // the first key of this step, counted in the span

var<private> next_q: array<Q, 4>; // the next piece, as it is stored
var<private> next_k: array<KV, KEYS / 2 / ACROSS>;
var<private> next_v: array<KV, 32 * CHUNKS / ACROSS>;
// of key j and query i at 8 · j + i: dot products, then logits in units of log2, then weights
var<private> s: array<f32, KEYS / 2>;
var<private> maxima: array<f32, 8>; // largest logits so far
var<private> sums: array<f32, 8>; // of this invocation's weights so far
var<private> acc: array<vec4<f32>, 8 * CHUNKS>; // weighted values

var<workgroup> shared_span: vec4<u32>;
// queries [channel / 4][i / 2][i % 2 · ACROSS + tq]; weights of 4 queries [key / 4][key % 4][i / 4 · ACROSS + tq];
// maxima and sums as if an invocation were a key
var<workgroup> qp: array<array<array<vec4<f32>, 2 * ACROSS + 1>, 4>, 8>;
// keys [channel / 4][j][tk]; values [key / 4][key % 4 · CHUNKS + chunk][tk]
var<workgroup> kv: array<array<array<vec4<f32>, 16>, PLACES>, 8>;

// 8 neighbours take 8 rows, so that their stores fall into different banks
fn row_of(m: u32) -> u32 { return (lane + m * WG) / 64 * 8 + lane % 8; }
fn channel_of(block: u32) -> u32 { return block * 8 + lane / 8 % 8; }
fn channel_within(block: u32) -> u32 { return select(channel_of(block), min(channel_of(block), VECTORS - 1), PADDED); }

// piece m of this invocation in a block of channels; beyond the span's end and the head's width the last one
fn load_query(m: u32, block: u32) -> Q {
  let row = span.x + min(first + row_of(m), span.y - 1);
  return q[row * params.q_stride + params.q_offset + head * VECTORS + channel_within(block)];
}

fn load_key(m: u32, block: u32) -> KV {
  let row = span.z + min(step + row_of(m), span.w - 1);
  return k[row * params.k_stride + params.k_offset + head * VECTORS + channel_within(block)];
}

// piece m of the values of 32 keys from the step's key `start` on
fn load_value(m: u32, start: u32) -> KV {
  let i = lane + m * WG;
  let row = span.z + min(step + start + i / (16 * CHUNKS), span.w - 1);
  return v[row * params.v_stride + params.v_offset + head * VECTORS + min(i % (16 * CHUNKS), VECTORS - 1)];
}

// zeros beyond a head's width
fn within(x: vec4<f32>, block: u32) -> vec4<f32> {
  return select(vec4<f32>(), x, !PADDED || channel_of(block) < VECTORS);
}

fn keep_query(m: u32, block: u32, x: vec4<f32>) {
  let r = row_of(m);
  qp[lane / 8 % 8][r / (2 * ACROSS)][r % (2 * ACROSS)] = within(x, block);
}

fn keep_key(m: u32, block: u32, x: vec4<f32>) {
  let r = row_of(m);
  kv[lane / 8 % 8][r / 16][r % 16] = within(x, block);
}

fn keep_value(m: u32, x: vec4<f32>) {
  let i = lane + m * WG;
  let key = i / (16 * CHUNKS);
  kv[key / 4][key % 4 * CHUNKS + i % (16 * CHUNKS) / 16][i % 16] = x;
}

fn dot4(a: vec4<f32>, b: vec4<f32>, so_far: f32) -> f32 {
  return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, so_far))));
}

fn logit(i: u32, j: u32, product: f32) -> f32 {
  let key = step + j * 16 + tk;
  var x = params.scale * LOG2_E * product;
  if (BIAS) {
    let at = clamp(params.bias_centre + i32(key) - i32(first + i * ACROSS + tq), 0, params.bias_last);
    x += LOG2_E * bias_table[bias_bucket[at] * params.heads + head];
  }
  return select(LOWEST, x, key < span.w);
}

fn store(i: u32, chunk: u32, x: vec4<f32>) {
  let row = first + i * ACROSS + tq;
  let c = chunk * 16 + tk;
  if (row < span.y && c < VECTORS) { y[((span.x + row) * params.heads + head) * VECTORS + c] = narrow(x); }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) index: u32) {
  lane = index;
  tk = index % 8 + index / 32 % 2 * 8; // 4 × 8 invocations of a subgroup of 32 read the fewest numbers
  tq = index / 8 % 4 + index / 64 * 4;
  head = group.y;
  first = group.x * QUERIES;
  if (index == 0) { shared_span = spans[group.z]; }
  let bounds = workgroupUniformLoad(&shared_span); // barriers must depend on uniform values only
  span = bounds;
  if (group.x * QUERIES >= bounds.y) { return; }
  reset_maxima();
  for (var key = 0u; key < bounds.w; key += KEYS) {
    step = key;
    fetch_operands(0);
    reset_logits();
    for (var block = 0u; block < BLOCKS; block++) {
      workgroupBarrier();
      keep_operands(block);
      workgroupBarrier();
      if (block + 1 < BLOCKS) { fetch_operands(block + 1); }
      let vectors = select(8, min(VECTORS - 8 * block, 8), PADDED);
      for (var c = 0u; c < vectors; c += TURNS) { score(c); }
    }
    fetch_values(0);
    finish_logits();
    workgroupBarrier();
    share_maxima();
    workgroupBarrier();
    softmax();
    weigh_all(bounds.w - key);
  }
  workgroupBarrier();
  share_sums();
  workgroupBarrier();
  divide_all();
  store_all();
}

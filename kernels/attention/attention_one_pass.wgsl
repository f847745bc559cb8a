// y[row] = softmax(scale · q[row] · kᵀ + bias) · v over the keys of the row's span, on tensor cores (subgroup
// matrices), in one pass over the keys.
//
// A workgroup takes QUERIES queries of one head and KEYS keys at a time. A team of TEAM subgroups handles TEAM · ROWS
// of the queries, which stay in registers as f16, as do their weighted sums, as f32: each makes the logits of its part
// of the keys and the sums of its part of the channels, so a matrix of keys or values that it loads serves all rows of
// the team. Its lanes soften ROWS of the rows. Elements of a subgroup matrix cannot be addressed, so rescaling the sums
// when a larger logit comes means a trip through workgroup memory. It is rare: a weight is 2 to the power of logit −
// reference, the reference of a row is an integer, and it moves only when a logit exceeds it by more than HEADROOM, so
// weights stay below the largest f16. It moves by an integer, so that rescaling is exact. The whole workgroup decides,
// and rows that need no rescaling are multiplied by 1.
//
// Two barriers per step: logits that SPLIT lanes of a row read were stored by a subgroup, and weights the other way
// round. The next keys and these values are on their way to registers meanwhile. Keys are taken in steps of KEYS from
// the span's start, in order: the bits of a query depend on its span alone.
//
// Before it: attention_buffers.wgsl, attention_bindings.wgsl. Prelude (attention_one_pass.ts): Left, Right, Result, WG,
// QUERIES, ROWS, TEAM, KEYS, SPLIT (lanes per query), WIDTH (vec4s of a head, padded), PIECES (vec4s of KEYS keys that
// an invocation copies), the pitches of arrays in workgroup memory; fns to_f16, fetch_keys, fetch_values,
// keep_keys, keep_values, soften, multiply_all, store_all, and attend, which holds the matrices.

const LOG2_E = 1.4426950408889634;
const SHARE = KEYS / 4 / TEAM; // vec4s of a row of logits that one of the team stores
const HEADROOM = 14.0; // weights reach 2^14, and f16 ends below 2^16

var<private> lane: u32; // of the workgroup
var<private> row: u32; // the query of the tile that this lane shares with SPLIT - 1 others
var<private> part: u32; // which of the SPLIT
var<private> head: u32;
var<private> span: vec4<u32>; // first row of queries, their number, first row of keys, their number
var<private> first: u32; // the first query of this tile, counted in the span
var<private> step: u32; // the first key of this step, counted in the span

var<private> next_k: array<Loaded, PIECES>;
var<private> next_v: array<Loaded, PIECES>;
var<private> reference: f32 = LOWEST; // of this row, in units of log2
var<private> factor: f32; // of this row's sums, where the reference moved
var<private> sum: vec4<f32>; // of this lane's weights

var<workgroup> shared_span: vec4<u32>;
var<workgroup> moved: array<atomic<u32>, 4>; // 0: the last step that moved a reference; 16 bytes align what follows
var<workgroup> tile: array<vec4<f16>, 2 * KEYS * PITCH>; // keys, then values
var<workgroup> logits: array<vec4<f32>, QUERIES * PITCH_S>; // and sums, to rescale and to store them
var<workgroup> weights: array<vec4<f16>, QUERIES * PITCH_P>; // at first KEYS channels of the queries

// zeros beyond a head's width; beyond the span its last row
fn keep_queries(c: u32) {
  for (var i = lane; i < QUERIES * (KEYS / 4); i += WG) {
    let d = c + i % (KEYS / 4);
    let r = span.x + min(first + i / (KEYS / 4), span.y - 1);
    let x = vec4<f32>(q[r * params.q_stride + params.q_offset + head * VECTORS + min(d, VECTORS - 1)]);
    weights[i / (KEYS / 4) * PITCH_P + i % (KEYS / 4)] = select(vec4<f16>(), to_f16(x), d < VECTORS);
  }
}

// piece m of this invocation of the keys from `start` on; beyond the span its last key, which mask() rules out
fn load_key(m: u32, start: u32) -> Loaded {
  let i = lane + m * WG;
  let r = span.z + min(start + i / WIDTH, span.w - 1);
  return k_at(r * params.k_stride + params.k_offset + head * VECTORS + min(i % WIDTH, VECTORS - 1));
}

fn load_value(m: u32, start: u32) -> Loaded {
  let i = lane + m * WG;
  let r = span.z + min(start + i / WIDTH, span.w - 1);
  return v_at(r * params.v_stride + params.v_offset + head * VECTORS + min(i % WIDTH, VECTORS - 1));
}

fn keep(m: u32, at: u32, x: Loaded) {
  let i = lane + m * WG;
  if (i >= KEYS * WIDTH) { return; }
  tile[at + i / WIDTH * PITCH + i % WIDTH] = select(vec4<f16>(), x, i % WIDTH < VECTORS);
}

// vec4 c of this lane's in its row: neighbours lie side by side
fn place(c: u32) -> u32 { return SPLIT * c + part; }

fn bias(key: u32) -> f32 {
  let at = clamp(params.bias_centre + i32(key) - i32(first + row), 0, params.bias_last);
  return LOG2_E * bias_table[bias_bucket[at] * params.heads + head];
}

// logits of this lane's query and 4 keys
fn logit(c: u32) -> vec4<f32> {
  let s = params.scale * LOG2_E * logits[row * PITCH_S + place(c)];
  if (!BIAS) { return s; }
  let key = step + 4 * place(c);
  return s + vec4(bias(key), bias(key + 1), bias(key + 2), bias(key + 3));
}

fn mask(c: u32, s: vec4<f32>) -> vec4<f32> {
  return select(vec4(LOWEST), s, step + 4 * place(c) + vec4(0, 1, 2, 3) < vec4(span.w));
}

// moves the reference of a row whose largest logit is `most`, if it must
fn refer(most: f32) {
  factor = 1.0;
  if (most > reference + HEADROOM) {
    let next = ceil(most);
    factor = bitcast<f32>(u32(max(reference - next, -127.0) + 127) << 23); // exactly 2 to that power, or 0
    reference = next;
    sum *= factor;
    atomicStore(&moved[0], step);
  }
}

// Cuts weights to the 11 bits of f16 first, so that the sum adds what the matrices multiply: a compiler may leave out a
// conversion to f16 and back.
fn weigh(c: u32, s: vec4<f32>) {
  let p = bitcast<vec4<f32>>(bitcast<vec4<u32>>(exp2(s - reference)) & vec4(0xffffe000u)); // 0 beyond the span's keys
  weights[row * PITCH_P + place(c)] = vec4<f16>(p);
  sum += p;
}

fn multiply(c: u32) { logits[row * PITCH_S + place(c)] *= factor; }

// stores a block of channels, KEYS / TEAM of each subgroup, whose sums have taken the place of the logits
fn store(block: u32, c: u32, by: f32) {
  let d = place(c) / SHARE * (WIDTH / TEAM) + block * SHARE + place(c) % SHARE;
  if (first + row < span.y && d < VECTORS) {
    y[((span.x + first + row) * params.heads + head) * VECTORS + d] = narrow(by * logits[row * PITCH_S + place(c)]);
  }
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) id: u32,
) {
  lane = index;
  row = subgroup * ROWS + id / SPLIT;
  part = id % SPLIT;
  head = group.y;
  first = group.x * QUERIES;
  if (index == 0) { shared_span = spans[group.z]; }
  let bounds = workgroupUniformLoad(&shared_span); // barriers must depend on uniform values only
  span = bounds;
  if (group.x * QUERIES >= bounds.y) { return; }
  attend(subgroup / TEAM * TEAM * ROWS, subgroup % TEAM, bounds.w);
}

// Splits the rows of a self-attention's joint projection into q, and k and v in their caches, and rotates q and k by
// RoPE: q = rope(normalize(q) · exp(min(scale_mul, ln 100))), k = rope(normalize(k)) with cosine attention, otherwise
// without norms. Interleaved pairs (2i, 2i + 1) rotate by the angle whose cos and sin are in row rope_start + l of the
// tables.
//
// LANES invocations share a head of a row, so that neighbours read neighbouring vec4s. On a CPU it is one: norms then
// need no exchange. Norms are f32.
//
// Prelude (qkv_rope.ts): QKV, Q, CACHE (vec4 element types), COSINE, KEEP_V (whether v goes to its cache), WG,
// LANES; fn total, which adds sums over LANES; fns narrow_q and narrow_cache.

struct Params {
  count: u32, // batch · rows · heads
  rows: u32,
  heads: u32,
  vectors: u32, // vec4s of a head
  rope_start: u32,
  cache_start: u32,
  cache_rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<QKV>;
@group(0) @binding(2) var<storage, read> cos_table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> sin_table: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> scale_mul: array<f32>;
@group(0) @binding(5) var<storage, read_write> q: array<Q>;
@group(0) @binding(6) var<storage, read_write> k_cache: array<CACHE>;
@group(0) @binding(7) var<storage, read_write> v_cache: array<CACHE>;

const LN_100 = 4.605170185988092;
const EPS = 1e-12; // of torch.nn.functional.normalize

fn squares(sum: f32, x: vec4<f32>) -> f32 {
  return fma(x.w, x.w, fma(x.z, x.z, fma(x.y, x.y, fma(x.x, x.x, sum))));
}

fn rotate(x: vec4<f32>, c: vec2<f32>, s: vec2<f32>) -> vec4<f32> {
  return vec4(c.x * x.x - s.x * x.y, s.x * x.x + c.x * x.y, c.y * x.z - s.y * x.w, s.y * x.z + c.y * x.w);
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let own = (group.y * groups.x + group.x) * (WG / LANES) + lane / LANES;
  let i = min(own, params.count - 1); // spare invocations take part in total(), and store nothing
  let row = i / params.heads;
  let head = i % params.heads;
  let l = row % params.rows;
  let width = params.heads * params.vectors;
  let from_q = (3 * row * params.heads + head) * params.vectors;
  let from_k = from_q + width;
  let from_v = from_k + width;
  var scale_q = 1.0;
  var scale_k = 1.0;
  if (COSINE) {
    var sums = vec2(0.0);
    for (var d = lane % LANES; d < params.vectors; d += LANES) {
      sums.x = squares(sums.x, vec4<f32>(qkv[from_q + d]));
      sums.y = squares(sums.y, vec4<f32>(qkv[from_k + d]));
    }
    sums = total(sums, lane);
    scale_q = exp(min(scale_mul[head], LN_100)) / max(sqrt(sums.x), EPS);
    scale_k = 1 / max(sqrt(sums.y), EPS);
  }
  if (own > i) { return; }
  let to_q = i * params.vectors;
  let cache_row = row / params.rows * params.cache_rows + params.cache_start + l;
  let to_cache = (cache_row * params.heads + head) * params.vectors;
  let angles = (params.rope_start + l) * params.vectors;
  for (var d = lane % LANES; d < params.vectors; d += LANES) {
    let c = cos_table[angles + d];
    let s = sin_table[angles + d];
    q[to_q + d] = narrow_q(rotate(scale_q * vec4<f32>(qkv[from_q + d]), c, s));
    k_cache[to_cache + d] = narrow_cache(rotate(scale_k * vec4<f32>(qkv[from_k + d]), c, s));
    if (KEEP_V) { v_cache[to_cache + d] = narrow_cache(vec4<f32>(qkv[from_v + d])); }
  }
}

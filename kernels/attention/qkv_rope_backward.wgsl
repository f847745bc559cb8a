// Gradients of qkv_rope.wgsl by the rows of qkv, and for each head of a row what it adds to the gradient of scale_mul. With w = dq rotated back, u = q / |q| and a = exp(min(scale_mul, ln 100)):
//
//     dq' = a / |q| · (w − u · (w · u)), d scale_mul = a · (w · u), which is 0 where scale_mul is clamped
//
// k is the same with a = 1; without cosine attention dq' = w; v is copied. A norm that was clamped is a constant.
//
// LANES invocations share a head of a row, as in qkv_rope.wgsl. Sums are f32.
//
// Prelude (qkv_rope_backward.ts): QKV, DQ, DKV, DQKV (vec4 element types), COSINE, ADD, WG, LANES; fn total, which adds
// sums over LANES; fn narrow.

struct Params {
  count: u32, // batch · rows · heads
  rows: u32,
  heads: u32,
  vectors: u32, // vec4s of a head
  rope_start: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<QKV>;
@group(0) @binding(2) var<storage, read> cos_table: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read> sin_table: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read> scale_mul: array<f32>;
@group(0) @binding(5) var<storage, read> dq: array<DQ>;
@group(0) @binding(6) var<storage, read> dkv: array<DKV>; // k, then v, in a row
@group(0) @binding(7) var<storage, read_write> dqkv: array<DQKV>;
@group(0) @binding(8) var<storage, read_write> slopes: array<f32>; // [batch · rows, heads]

const LN_100 = 4.605170185988092;
const EPS = 1e-12; // of torch.nn.functional.normalize

fn rotate_back(x: vec4<f32>, c: vec2<f32>, s: vec2<f32>) -> vec4<f32> {
  return vec4(c.x * x.x + s.x * x.y, c.x * x.y - s.x * x.x, c.y * x.z + s.y * x.w, c.y * x.w - s.y * x.z);
}

// the factors of w and of x in its gradient, given |x|² and w · x
fn factors(squares: f32, product: f32, scale: f32) -> vec2<f32> {
  let norm = sqrt(squares);
  let by = 1 / max(norm, EPS);
  return scale * by * vec2(1.0, select(0.0, -by * by * product, norm > EPS));
}

fn store(i: u32, x: vec4<f32>) {
  var sum = x;
  if (ADD) { sum += vec4<f32>(dqkv[i]); }
  dqkv[i] = narrow(sum);
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
  let at_q = (3 * row * params.heads + head) * params.vectors;
  let width = params.heads * params.vectors;
  let at_k = at_q + width;
  let at_v = at_k + width;
  let at = i * params.vectors;
  let at_dk = (2 * row * params.heads + head) * params.vectors;
  let angles = (params.rope_start + row % params.rows) * params.vectors;
  var by_q = vec2(1.0, 0.0);
  var by_k = vec2(1.0, 0.0);
  if (COSINE) {
    var sums = vec4(0.0); // |q|², |k|², and the products with their gradients
    for (var d = lane % LANES; d < params.vectors; d += LANES) {
      let x = vec4<f32>(qkv[at_q + d]);
      let y = vec4<f32>(qkv[at_k + d]);
      let c = cos_table[angles + d];
      let s = sin_table[angles + d];
      let dx = rotate_back(vec4<f32>(dq[at + d]), c, s);
      let dy = rotate_back(vec4<f32>(dkv[at_dk + d]), c, s);
      sums += vec4(dot(x, x), dot(y, y), dot(x, dx), dot(y, dy));
    }
    sums = total(sums, lane);
    let scale = exp(min(scale_mul[head], LN_100));
    by_q = factors(sums.x, sums.z, scale);
    by_k = factors(sums.y, sums.w, 1.0);
    if (own == i && lane % LANES == 0) { slopes[i] = select(0.0, by_q.x * sums.z, scale_mul[head] <= LN_100); }
  }
  if (own > i) { return; }
  for (var d = lane % LANES; d < params.vectors; d += LANES) {
    let c = cos_table[angles + d];
    let s = sin_table[angles + d];
    let dx = rotate_back(vec4<f32>(dq[at + d]), c, s);
    let dy = rotate_back(vec4<f32>(dkv[at_dk + d]), c, s);
    store(at_q + d, by_q.x * dx + by_q.y * vec4<f32>(qkv[at_q + d]));
    store(at_k + d, by_k.x * dy + by_k.y * vec4<f32>(qkv[at_k + d]));
    store(at_v + d, vec4<f32>(dkv[at_dk + width + d]));
  }
}

// The gradient of T5's relative bias, first step: sums[part, distance, head] = Σ p · (dy · v − D) over the queries and
// keys of that distance, which is a diagonal of each span, and over the spans of a part.
//
// An invocation takes one distance of a head and the spans of a part, one after the other, and computes weights and
// their gradients again from q, k, v and dy. Nothing is exchanged, and every sum has one owner.
//
// Prelude (attention_backward_bias.ts): WG, Q, K, V, DY (vec4s as stored), VECTORS (vec4s of a head).

struct Params {
  q_stride: u32, // strides and offsets count vec4s
  q_offset: u32,
  k_stride: u32,
  k_offset: u32,
  v_stride: u32,
  v_offset: u32,
  heads: u32,
  spans: u32, // their number
  part: u32, // spans of a part
  first: i32, // distance of the first diagonal
  distances: u32,
  count: u32, // invocations: parts · distances · heads
  bias_centre: i32,
  bias_last: i32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> q: array<Q>;
@group(0) @binding(2) var<storage, read> k: array<K>;
@group(0) @binding(3) var<storage, read> v: array<V>;
@group(0) @binding(4) var<storage, read> dy: array<DY>;
@group(0) @binding(5) var<storage, read> spans: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> biases: array<f32>; // [distances of the bias, heads]
@group(0) @binding(7) var<storage, read> stats: array<vec2<f32>>; // [queries, heads]: log of the sum, D
@group(0) @binding(8) var<storage, read_write> sums: array<f32>;

fn gradient(query: u32, key: u32, head: u32, bias: f32) -> f32 {
  let start = head * VECTORS;
  let q_at = query * params.q_stride + params.q_offset + start;
  let k_at = key * params.k_stride + params.k_offset + start;
  let v_at = key * params.v_stride + params.v_offset + start;
  let dy_at = (query * params.heads + head) * VECTORS;
  var product = vec4(0.0);
  var slope = vec4(0.0);
  for (var d = 0u; d < VECTORS; d++) {
    product = fma(vec4<f32>(q[q_at + d]), vec4<f32>(k[k_at + d]), product);
    slope = fma(vec4<f32>(dy[dy_at + d]), vec4<f32>(v[v_at + d]), slope);
  }
  let stat = stats[query * params.heads + head];
  let logit = params.scale * dot(product, vec4(1.0)) + bias;
  return exp(logit - stat.x) * (dot(slope, vec4(1.0)) - stat.y);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let head = i % params.heads;
  let distance = params.first + i32(i / params.heads % params.distances);
  let part = i / (params.heads * params.distances);
  let bias = biases[u32(clamp(params.bias_centre + distance, 0, params.bias_last)) * params.heads + head];
  var sum = 0.0;
  for (var n = part * params.part; n < min((part + 1) * params.part, params.spans); n++) {
    let span = spans[n];
    let end = min(i32(span.y), i32(span.w) - distance);
    for (var query = max(0, -distance); query < end; query++) {
      sum += gradient(span.x + u32(query), span.z + u32(query + distance), head, bias);
    }
  }
  sums[i] = sum;
}

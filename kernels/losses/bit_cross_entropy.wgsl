// terms[b, l] = (share of the loss, loss, right bits, whether all are right) of a token, and the gradient of the loss by
// its logit differences: both from one exponential per bit, so that probabilities are never stored.
//
// With u = z where the target is 0 and −z where it is 1, the cross-entropy of a bit is log(1 + e^u) − smoothing · u, and its
// derivative by u is sigmoid(u) − smoothing. One invocation makes a token: its sums need no exchange.
//
// Prelude (bit_cross_entropy.ts): WG, X (differences as stored: scalar or vec4), V, U (the same in f32 and u32), GRADIENT,
// ADD; fn narrow(V) -> X, fn total(V) -> f32.

struct Params {
  count: u32, // tokens
  rows: u32, // tokens of an image
  bit_rows: u32, // the same of the target bits, which may go on
  width: u32, // Vs of a token
  smoothing: f32, // half of the label smoothing
  mean: f32, // 1 / d, or 1 where a token's loss is a sum
  share: f32, // 1 / images
  scale: f32, // of the gradient: share · mean · what the loss is multiplied by
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> delta: array<X>; // logit of 1 − logit of 0
@group(0) @binding(2) var<storage, read> bits: array<U>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<X>;
@group(0) @binding(5) var<storage, read_write> terms: array<vec4<f32>>;

// log(1 + e) for e in [0, 1], as 2 · atanh(e / (2 + e)): right in proportion, also where e is tiny
fn log_one_plus(e: V) -> V {
  let s = e / (2 + e);
  let q = s * s;
  var sum = fma(q, V(1.0 / 13.0), V(1.0 / 11.0));
  sum = fma(q, sum, V(1.0 / 9.0));
  sum = fma(q, sum, V(1.0 / 7.0));
  sum = fma(q, sum, V(0.2));
  sum = fma(q, sum, V(1.0 / 3.0));
  return 2 * fma(s * q, sum, s);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let image = i / params.rows;
  let token = i - image * params.rows;
  let first = i * params.width;
  let first_bit = (image * params.bit_rows + token) * params.width;
  let weight = weights[token];
  let scale = V(params.scale * weight);
  var loss = V();
  var right = V();
  for (var k = 0u; k < params.width; k++) {
    let z = V(delta[first + k]);
    let one = bits[first_bit + k] == U(1u);
    let u = select(z, -z, one);
    let e = exp(-abs(z)); // at most 1: no overflow, whatever z
    loss += max(u, V()) + log_one_plus(e) - params.smoothing * u;
    right += select(V(), V(1.0), (z > V()) == one); // 0 on a tie, as the argmax of two equal logits
    if (GRADIENT) {
      let slope = scale * (select(e, V(1.0), u >= V()) / (1 + e) - params.smoothing);
      var g = select(slope, -slope, one);
      if (ADD) { g += V(gradient[first + k]); }
      gradient[first + k] = narrow(g);
    }
  }
  let mean = params.mean * total(loss);
  let hits = total(right);
  let all = select(0.0, 1.0, hits == f32(params.width) * total(V(1.0)));
  terms[i] = vec4(weight * params.share * mean, mean, hits, all);
}

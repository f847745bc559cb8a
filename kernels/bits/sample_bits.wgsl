// bits[b, l, k] = 1 where logit 1 wins over logit 0: temperature, guidance, top-k, top-p, sigmoid and sampling in one
// pass over the logit differences, so neither guided logits nor probabilities are ever stored.
//
// non_finite[0] becomes 1 if a difference, of either half, is NaN or infinite: damaged weights would otherwise give an
// image like any other.
//
// With two choices, top-k and top-p can only drop the less likely one, and both do so if |z| is large enough: one
// threshold, `cut`, covers both (sample_bits.ts). Without guidance the weights are 1 and 0 and `uncond` is 0.
//
// Prelude (sample_bits.ts): WG, X (element type of delta), GREEDY, TRACE; fn uniform_at(i) -> f32 in [0, 1);
// finite.wgsl.

struct Params {
  count: u32, // bits
  rows: u32, // tokens per image
  width: u32, // bits per token
  uncond: u32, // start of the unconditional half of delta
  cond_weight: f32,
  uncond_weight: f32,
  inverse_tau: f32,
  cut: f32,
  scale: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> delta: array<X>;
@group(0) @binding(2) var<storage, read> noise: array<u32>; // seeds, two words per image; or uniforms, as bits of f32
@group(0) @binding(3) var<storage, read_write> bits: array<u32>;
@group(0) @binding(4) var<storage, read_write> delta_out: array<f32>;
@group(0) @binding(5) var<storage, read_write> non_finite: array<atomic<u32>>;

fn is_one(z: f32, i: u32) -> bool {
  if (GREEDY) { return z > 0; }
  if (abs(z) >= params.cut) { return z >= 0; }
  let e = exp(-abs(z)); // at most 1: no overflow, whatever z
  return uniform_at(i) < select(e, 1.0, z >= 0) / (1 + e);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let cond = f32(delta[i]);
  let uncond = f32(delta[params.uncond + i]);
  if (!is_finite(bitcast<u32>(cond)) || !is_finite(bitcast<u32>(uncond))) { atomicStore(&non_finite[0], 1u); }
  let z = fma(
    params.cond_weight,
    cond * params.inverse_tau,
    params.uncond_weight * (uncond * params.inverse_tau),
  );
  bits[i] = select(0u, 1u, is_one(z, i));
  if (TRACE) { delta_out[i] = z; }
}

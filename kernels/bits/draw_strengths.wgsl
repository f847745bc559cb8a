// y[b, s] = a random probability for each image and scale, or each image: how many of its bits flip_bits.wgsl flips.
//
// Counters have a token that no image reaches, so these numbers are independent of those that decide about bits.
//
// Prelude (draw_strengths.ts): WG, SHARED (all scales of an image have one), philox.wgsl.

struct Params {
  count: u32, // elements of y
  scales: u32,
  seed: u32,
  step: u32,
  image: u32, // number of the first image
  levels: u32, // whole hundredths, one more than the largest; 0 for any number
  most: f32,
  odds: f32, // share of the images whose are not 0
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let image = i / params.scales;
  let scale = select(i - image * params.scales, 0, SHARED);
  let number = params.image + image;
  let key = vec2(params.seed, params.step);
  let word = philox(vec4(number, scale, 0xffffffffu, 0), key).x;
  // the high word of a product: no rounding reaches one level too many
  let hundredths = f32(multiply_wide(word, params.levels).x) * 0.01;
  let strength = select(unit(word) * params.most, hundredths, params.levels > 0);
  let chosen = unit(philox(vec4(number, 0, 0xffffffffu, 1), key).x) < params.odds;
  y[i] = select(0.0, strength, chosen);
}

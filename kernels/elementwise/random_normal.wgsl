// y[i] = mean + deviation · N(0, 1), from Philox by the Box–Muller transform: weights of a synthetic model.
// Four random words make four numbers. The counter is the index of their vec4, so values do not depend on the dispatch.
//
// Prelude (random_normal.ts): WG, philox.wgsl, Y (elements as bound), fn store_y.

struct Params {
  count: u32, // vec4s
  N: u32, // elements of y
  key: u32,
  mean: f32,
  deviation: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let words = philox(vec4(i, 0, 0, 0), vec2(params.key, 0));
  // 1 - u is in (0, 1], where the logarithm is finite
  let radius = sqrt(-2 * log(1 - vec2(unit(words.x), unit(words.y))));
  let angle = 6.283185307179586 * vec2(unit(words.z), unit(words.w));
  let z = vec4(radius * cos(angle), radius * sin(angle));
  store_y(0, i, params.mean + params.deviation * z);
}

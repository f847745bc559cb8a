// y[i] = f32(x[i]) where x holds 16-bit floats, two per word: how an F16 or BF16 tensor of a checkpoint is loaded.
//
// One invocation widens eight. Surplus ones repeat the last eight: without a branch a CPU adapter stays vectorised.
// Prelude (widen.ts): WG, Y (elements as bound); fns unpack(word) -> vec2<f32>, store_y.

struct Params {
  eights: u32, // groups of eight elements
  fours: u32, // vec4s of y
  N: u32, // elements of y
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = min(id.y * groups.x * WG + id.x, params.eights - 1);
  let words = x[i];
  let low = vec4(unpack(words.x), unpack(words.y));
  let high = vec4(unpack(words.z), unpack(words.w));
  store_y(0, 2 * i, low);
  // the last group may hold only four
  let last = 2 * i + 1 >= params.fours;
  store_y(0, select(2 * i + 1, 2 * i, last), select(high, low, last));
}

// y[i] = f32(x[i]) where x holds 16-bit floats, two to a word: a checkpoint's F16 or BF16 tensor on its way in.
//
// Prelude (widen.ts): fn unpack(word) -> vec2<f32>.

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let word = id.y * groups.x * 64 + id.x;
  let i = 2 * word;
  if (i >= params.count) { return; }
  let pair = unpack(x[word]);
  y[i] = pair.x;
  if (i + 1 < params.count) { y[i + 1] = pair.y; }
}

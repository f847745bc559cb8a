// Each invocation adds (unscale · x)², or x itself, over EACH elements that lie WG apart: the first steps of the norm of
// all gradients. Without barriers, for which software adapters are slow. The order depends on the number of elements
// alone.
//
// Prelude (global_norm.ts): WG, EACH, SQUARE, V (elements as bound: scalar or vec4), fn sum_each(at) -> V: the sum of
// term(at + k · WG), fn total(V) -> f32.

struct Params {
  count: u32, // elements of V
  first: u32, // place of the first part
  unscale: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<V>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;

fn term(i: u32) -> V {
  let v = select(V(), params.unscale * x[min(i, params.count - 1)], i < params.count);
  if (SQUARE) { return v * v; }
  return v;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) place: u32,
) {
  let group = id.y * groups.x + id.x;
  let begin = group * WG * EACH;
  if (begin >= params.count) { return; } // it has no part
  parts[params.first + group * WG + place] = total(sum_each(begin + place));
}

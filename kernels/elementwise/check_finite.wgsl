// non_finite[0] = 1 if an element of x is NaN or infinite; otherwise it keeps its value, so one word serves many
// checks.
//
// Prelude (check_finite.ts): WG, finite.wgsl.

struct Params {
  count: u32, // elements of x
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>; // bits of f32
@group(0) @binding(2) var<storage, read_write> non_finite: array<atomic<u32>>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  if (!is_finite(x[i])) { atomicStore(&non_finite[0], 1u); }
}

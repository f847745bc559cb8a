// bits[i] = forced[i] if that is 0 or 1; other bits stay as they were sampled.
//
// Prelude (force_bits.ts): WG.

struct Params {
  count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> forced: array<u32>;
@group(0) @binding(2) var<storage, read_write> bits: array<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  bits[i] = select(bits[i], forced[i], forced[i] < 2);
}

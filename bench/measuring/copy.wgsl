// y = x: the memory bandwidth that a kernel on this adapter can reach. Coalesced; an invocation moves COUNT elements.
//
// Prelude (ceilings.ts): T (vec4<f32> or vec4<f16>), WG, COUNT (1 or 4).

struct Params {
  count: u32, // a multiple of WG · COUNT
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<T>;
@group(0) @binding(2) var<storage, read_write> y: array<T>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * WG * COUNT + lane;
  if (i >= params.count) { return; }
  if (COUNT == 1) {
    y[i] = x[i];
  } else {
    // all loads before the stores
    let a = x[i];
    let b = x[i + WG];
    let c = x[i + 2 * WG];
    let d = x[i + 3 * WG];
    y[i] = a;
    y[i + WG] = b;
    y[i + 2 * WG] = c;
    y[i + 3 * WG] = d;
  }
}

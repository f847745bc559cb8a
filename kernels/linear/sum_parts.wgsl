// y[m, n] = epilogue(parts[0, m, n] + parts[1, m, n] + … + bias[n]): the second pass of a product whose common axis is
// shared by several workgroups. Parts are added in order, so the bits depend only on where K was split.
//
// One invocation makes one vec4. Rows of parts are padded to vec4s.
// Prelude (sum_parts.ts): Y (element type of y as bound), WG; fns sum, load_y, store_y, epilogue.

struct Params {
  M: u32,
  N: u32,
  first: u32, // row of y that is made of row 0
  rows_per_gate: u32,
  gate_stride: u32,
  gate_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> parts: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  let columns = (params.N + 3) / 4;
  if (i >= params.M * columns) { return; }
  let m = params.first + i / columns;
  let n = i % columns;
  store_y(m, n, epilogue(m, n, sum(i, params.M * columns)));
}

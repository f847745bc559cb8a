// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]) on tensor cores, by the tiles of matrix.wgsl.
//
// With SPLIT > 1, that many workgroups share the common axis, and each stores its sums as rows of its own part of y,
// for sum_parts.wgsl.
//
// Prelude (matmul_matrix.ts): X, Y, W, Scales, WHOLE (K fills all tiles); store_y, epilogue, and how to take units of x
// and w. matrix.ts: constants, types and unrolled functions. matrix.wgsl.

struct Params {
  M: u32,
  K: u32,
  N: u32,
  rows_per_gate: u32,
  gate_stride: u32,
  gate_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> w: array<W>;
@group(0) @binding(3) var<storage, read> scales: array<Scales>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<Y>;

var<private> first: u32; // row of y where this part begins

// length of the common axis
fn depth() -> u32 { return params.K; }

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let m = (group.z / SPLIT * groups.y + group.y) * TILE_M;
  if (m >= params.M) { return; }
  let part = group.z % SPLIT;
  first = part * params.M;
  let steps = (depth() + TILE_K - 1) / TILE_K;
  make_tile(m, group.x * TILE_N, part * steps / SPLIT, (part + 1) * steps / SPLIT, index, subgroup, lane);
}

fn store(m: u32, n: u32, sum: vec4<f32>) {
  if (m < params.M && n < (params.N + 3) / 4) { store_y(first + m, n, epilogue(m, n, sum)); }
}

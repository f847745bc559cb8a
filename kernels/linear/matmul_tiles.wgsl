// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]) by tiles in workgroup memory, for GPUs without tensor cores.
//
// tiles.wgsl multiplies. Where tiles are too few to fill a GPU, K is shared by workgroups along z, whose sums are
// stored one below the other for sum_parts.wgsl. Otherwise the bits are those of matmul.wgsl.
//
// Prelude (matmul_tiles.ts): EXACT (K fills all steps); tiles.ts. product.ts: X, Y, W; fns fetch_x, fetch_w, unpack_w,
// store_y, epilogue.

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
@group(0) @binding(3) var<storage, read> scales: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<Y>;

alias Row = u32;

var<private> part: u32;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let down = (params.M + 63) / 64;
  let across = (params.N + 127) / 128;
  let i = group.y * groups.x + group.x;
  if (i >= down * across) { return; }
  let tile = tile_of(i, down, across);
  let depth = (params.K + 3) / 4;
  let steps = (depth + 1) / 2;
  let first = group.z * steps / groups.z;
  let last = (group.z + 1) * steps / groups.z;
  part = group.z;
  let sums = multiply_tile(64 * tile.x, 32 * tile.y, first, last, depth, (params.N + 3) / 4, index);
  finish_all(sums, 64 * tile.x, 32 * tile.y, index);
}

fn row_at(m: u32) -> Row { return min(m, params.M - 1); }

fn fetch(row: Row, step: u32, q: u32) -> Fetched { return fetch_x(row, 2 * step + q); }

fn finish(m: u32, n: u32, sum: vec4<f32>) {
  if (m < params.M && n < (params.N + 3) / 4) { store_y(part * params.M + m, n, epilogue(m, n, sum)); }
}

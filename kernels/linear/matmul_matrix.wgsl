// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]) on tensor cores (subgroup matrices).
//
// A workgroup makes TILE_M × TILE_N of y. It loads TILE_K columns of x and rows of w at a time into workgroup memory
// as f16, whatever their storage type (by the functions of matmul.wgsl). Edges are padded there, so tensor cores never
// read beyond a tensor. A subgroup makes SUBGROUP_M × SUBGROUP_N of the tile in registers. Elements of a subgroup
// matrix cannot be addressed, so the epilogue goes through workgroup memory, one matrix after the other. Sums are f32
// and run over k in order: the bits of a row depend neither on the number of rows nor on the tile.
//
// Prelude (matmul.ts): X, Y, W; fns load_x, load_w, store_y, epilogue. matrix.ts: LANES, WG, TILE_M, TILE_N, TILE_K,
// SUBGROUP_M, SUBGROUP_N, PITCH_X; struct Sums; fns multiply and finish_all. matrix.wgsl.

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

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let m = (group.z * groups.y + group.y) * TILE_M;
  let n = group.x * TILE_N / 4;
  if (m >= params.M) { return; }
  let row = subgroup / (TILE_N / SUBGROUP_N) * SUBGROUP_M; // of the tile, where the part of this subgroup begins
  let column = subgroup % (TILE_N / SUBGROUP_N) * SUBGROUP_N / 4;
  let columns = (params.N + 3) / 4;
  let steps = (params.K + 3) / 4;
  var sums: Sums;
  for (var k = 0u; k < steps; k += TILE_K / 4) {
    for (var i = index; i < TILE_M * TILE_K / 4; i += WG) {
      let r = i / (TILE_K / 4);
      let c = i % (TILE_K / 4);
      let v = load_x(min(m + r, params.M - 1), min(k + c, steps - 1));
      keep_x(r, c, select(vec4(0.0), v, k + c < steps));
    }
    for (var i = index; i < TILE_K / 4 * TILE_N / 4; i += WG) {
      let r = i / (TILE_N / 4);
      let c = i % (TILE_N / 4);
      keep_w(r, c, load_w(min(k + r, steps - 1), min(n + c, columns - 1), columns)); // rows beyond K meet zeros of x
    }
    workgroupBarrier();
    sums = multiply(sums, row * PITCH_X, column);
    workgroupBarrier();
  }
  finish_all(sums, m + row, n + column, subgroup, lane);
}

fn store(m: u32, n: u32, sum: vec4<f32>) {
  if (m < params.M && n < (params.N + 3) / 4) { store_y(m, n, epilogue(m, n, sum)); }
}

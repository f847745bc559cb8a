// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]) on tensor cores (subgroup matrices).
//
// A workgroup makes TILE_M × TILE_N of y. It takes TILE_K columns of x and rows of w at a time into workgroup memory, as
// f16 whatever they are stored as (the loads below are matmul.wgsl's), so that edges are padded there and tensor cores
// never read beyond a tensor. A subgroup makes SUBGROUP_M × SUBGROUP_N of the tile in registers. Elements of a subgroup
// matrix cannot be addressed: the epilogue goes through workgroup memory, one matrix after the other.
// Sums are f32, over k in order: the bits of a row never depend on how many rows there are, or on the tile.
// Numbers of x beyond f16's largest, 65504, are taken for it.
//
// Prelude (matmul.ts): X, Y, W; fns load_x, load_w, store_y, epilogue. matrix.ts: LANES, WG, TILE_M, TILE_N, TILE_K,
// SUBGROUP_M, SUBGROUP_N, MATRIX_M, MATRIX_N, PITCH_X, PITCH_W (vec4s between rows of a tile: padded, against bank
// conflicts), X_TILE, W_TILE, STAGE (vec4s there); struct Sums; fns multiply and finish_all.

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

var<workgroup> x_tile: array<vec4<f16>, X_TILE>; // [TILE_M, PITCH_X]
var<workgroup> w_tile: array<vec4<f16>, W_TILE>; // [TILE_K, PITCH_W]
var<workgroup> stage: array<vec4<f32>, STAGE>; // a matrix of each subgroup

fn narrow(v: vec4<f32>) -> vec4<f16> {
  let finite = abs(v) < vec4(bitcast<f32>(0x7f7fffffu));
  return vec4<f16>(select(v, clamp(v, vec4(-65504.0), vec4(65504.0)), finite));
}

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
  let row = subgroup / (TILE_N / SUBGROUP_N) * SUBGROUP_M; // of the tile, where this subgroup's part begins
  let column = subgroup % (TILE_N / SUBGROUP_N) * SUBGROUP_N / 4;
  let columns = (params.N + 3) / 4;
  let steps = (params.K + 3) / 4;
  var sums: Sums;
  for (var k = 0u; k < steps; k += TILE_K / 4) {
    for (var i = index; i < TILE_M * TILE_K / 4; i += WG) {
      let r = i / (TILE_K / 4);
      let c = i % (TILE_K / 4);
      let v = load_x(min(m + r, params.M - 1), min(k + c, steps - 1));
      x_tile[r * PITCH_X + c] = narrow(select(vec4(0.0), v, k + c < steps));
    }
    for (var i = index; i < TILE_K / 4 * TILE_N / 4; i += WG) {
      let r = i / (TILE_N / 4);
      let c = i % (TILE_N / 4);
      let b = load_w(min(k + r, steps - 1), min(n + c, columns - 1), columns);
      let inside = k + r < steps;
      let to = 4 * r * PITCH_W + c;
      w_tile[to] = vec4<f16>(select(vec4(0.0), b[0], inside));
      w_tile[to + PITCH_W] = vec4<f16>(select(vec4(0.0), b[1], inside));
      w_tile[to + 2 * PITCH_W] = vec4<f16>(select(vec4(0.0), b[2], inside));
      w_tile[to + 3 * PITCH_W] = vec4<f16>(select(vec4(0.0), b[3], inside));
    }
    workgroupBarrier();
    sums = multiply(sums, row * PITCH_X, column);
    workgroupBarrier();
  }
  finish_all(sums, m + row, n + column, subgroup, lane);
}

// stores the matrix that the subgroup has in its part of the stage, whose first element is y[m, 4n]
fn finish(m: u32, n: u32, subgroup: u32, lane: u32) {
  let size: u32 = MATRIX_M * MATRIX_N / 4;
  for (var i = lane; i < size; i += LANES) {
    let r = m + i / (MATRIX_N / 4);
    let c = n + i % (MATRIX_N / 4);
    if (r < params.M && c < (params.N + 3) / 4) {
      store_y(r, c, epilogue(r, c, stage[subgroup * size + i]));
    }
  }
}

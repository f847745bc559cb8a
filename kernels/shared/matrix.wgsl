// Tiles in workgroup memory for tensor cores (subgroup matrices). Not a kernel: text for the preludes of
// matmul_matrix.wgsl and conv2d_matrix.wgsl, after the constants of matrix.ts and to_f16.wgsl.

var<workgroup> x_tile: array<vec4<f16>, X_TILE>; // [TILE_M, PITCH_X]
var<workgroup> w_tile: array<vec4<f16>, W_TILE>; // [TILE_K, PITCH_W]
var<workgroup> stage: array<vec4<f32>, STAGE>; // one matrix of each subgroup

// stores vec4 c of row r of x_tile
fn keep_x(r: u32, c: u32, v: vec4<f32>) { x_tile[r * PITCH_X + c] = to_f16(v); }

// stores vec4 c of rows 4r to 4r + 3 of w_tile
fn keep_w(r: u32, c: u32, v: mat4x4<f32>) {
  let to = 4 * r * PITCH_W + c;
  w_tile[to] = vec4<f16>(v[0]);
  w_tile[to + PITCH_W] = vec4<f16>(v[1]);
  w_tile[to + 2 * PITCH_W] = vec4<f16>(v[2]);
  w_tile[to + 3 * PITCH_W] = vec4<f16>(v[3]);
}

// passes the matrix in a subgroup's part of the stage to store(row, column, sum), from (m, 4n) on
fn finish(m: u32, n: u32, subgroup: u32, lane: u32) {
  let size: u32 = MATRIX_M * MATRIX_N / 4;
  for (var i = lane; i < size; i += LANES) {
    store(m + i / (MATRIX_N / 4), n + i % (MATRIX_N / 4), stage[subgroup * size + i]);
  }
}

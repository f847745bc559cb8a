// A tile of a product on tensor cores (subgroup matrices). Not a kernel: text for the preludes of matmul_matrix.wgsl
// and conv2d_matrix.wgsl, after the constants and the unrolled functions of matrix.ts.
//
// A workgroup makes TILE_M × TILE_N of y, TILE_K of the common axis at a time, in one buffer of workgroup memory. It
// loads the next tiles into registers, multiplies those in the buffer, and then replaces them. A subgroup makes
// SUBGROUP_M × SUBGROUP_N of y in registers.
//
// All is copied in units of 8 halves: 16 bytes, to which matrices want pointers and strides aligned. Rows are padded by
// a unit, so that those of a matrix lie in different banks. Elements of a matrix cannot be addressed, so sums go to
// `store` through the same memory. They are f32 and run over k in order: the bits of a row depend neither on the other
// rows nor on the tile.
//
// A kernel has types Place, XUnit and WUnit, and functions:
//   place(m)                    what is known of row m of x
//   take_x(place, k, c)         unit c of that row, counted from unit k of the common axis on; zeros beyond it
//   take_w(k, row, n)           unit n of row k + row of w; both are in one block of quantised weights
//   unit_x(taken), unit_w(...)  the same as f16: not at once, so that loads need not be waited for
//   depth()                     length of the common axis
//   store(m, n, sum)            stores vec4 n of row m of y
// They load and store nothing beyond a tensor.

// [TILE_M, X_PITCH] of x, then [TILE_K, W_PITCH] of w; at the end the sums of each subgroup
var<workgroup> tiles: array<vec4<u32>, MEMORY>;

// a unit of two vec4s
fn unit(a: vec4<f16>, b: vec4<f16>) -> vec4<u32> {
  return vec4(bitcast<vec2<u32>>(a), bitcast<vec2<u32>>(b));
}

// makes the tile of y from (m, n) on, from the tiles `begin` to `end` of the common axis
fn make_tile(m: u32, n: u32, begin: u32, end: u32, index: u32, subgroup: u32, lane: u32) {
  let x_row = index / X_UNITS;
  let x_unit = index % X_UNITS;
  let w_row = index / W_UNITS;
  let w_unit = index % W_UNITS;
  let x_to = x_row * X_PITCH + x_unit;
  let w_to = TILE_M * X_PITCH + w_row * W_PITCH + w_unit;
  let row = subgroup / (TILE_N / SUBGROUP_N) * SUBGROUP_M; // of the tile, where the part of this subgroup begins
  let column = subgroup % (TILE_N / SUBGROUP_N) * SUBGROUP_N;
  let a = row * X_PITCH;
  let b = TILE_M * X_PITCH + column / 8;
  let origin = places(m + x_row);
  let n_unit = n / 8 + w_unit;

  var sums: Sums;
  keep(take(origin, begin, x_unit, w_row, n_unit), x_to, w_to);
  workgroupBarrier();
  for (var step = begin; step < end; step++) {
    let next = take(origin, min(step + 1, end - 1), x_unit, w_row, n_unit);
    multiply(&sums, a, b);
    workgroupBarrier();
    keep(next, x_to, w_to);
    workgroupBarrier();
  }
  finish(&sums, m + row, (n + column) / 4, subgroup * MATRIX_M * SUM_PITCH, lane);
}

// passes what a subgroup stored from `at` on, MATRIX_M rows from m on and their vec4s from n on, to `store`
fn store_rows(m: u32, n: u32, at: u32, lane: u32) {
  for (var i = lane; i < MATRIX_M * SUBGROUP_N / 4; i += LANES) {
    let r = i / (SUBGROUP_N / 4);
    let c = i % (SUBGROUP_N / 4);
    store(m + r, n + c, bitcast<vec4<f32>>(tiles[at + r * SUM_PITCH + c]));
  }
}

// Products by tiles of 64 × 128 in workgroup memory, without tensor cores. Not a kernel: text for the preludes of
// matmul_tiles.wgsl and conv2d_tiles.wgsl, after the lines of tiles.ts.
//
// 128 invocations make 8 × 8 of the tile each, from 8 of k at a time. They fetch the next 8 into registers while they
// multiply, then store them into the other half of workgroup memory: one barrier for each step. Halves and k are
// constants, and each index that is not has a dimension of its own, which costs one clamp at most. Sums run over k in
// order with fma, so the bits are those of a plain loop.
//
// A kernel defines: EXACT, whether k fills all steps; Row, what it must know of a row of x; fn row_at(m);
// fn fetch(row, step, q), vec4 q of one step of a row, as stored; fn fetch_w and unpack_w; fn finish(m, n, sum).

const BAND = 8u; // tiles of a column that follow each other, to use columns of w while they are in the cache

// [half, k / 4, row / 32, row / 4 % 8, row % 4]
var<workgroup> x_tile: array<array<array<array<array<vec4<f32>, 4>, 8>, 2>, 2>, 2>;
// [half, k / 2, k % 2, n / 16, n / 8 % 2, n % 8], where n counts vec4s
var<workgroup> w_tile: array<array<array<array<array<array<vec4<f32>, 8>, 2>, 2>, 2>, 4>, 2>;

// which 8 × 8 of a tile an invocation makes, by the dimensions of x_tile and w_tile
struct Place {
  m: u32,
  row: u32,
  n: u32,
  column: u32,
}

// neighbouring lanes share their rows or columns, and read few addresses at once
fn place_of(index: u32) -> Place {
  let part = index / 32;
  let lane = index % 32;
  return Place(part / 2, ((lane >> 1) & 1) | ((lane >> 3) & 2), part % 2, (lane & 1) | ((lane >> 1) & 6));
}

// row and column, in tiles, of one of down × across
fn tile_of(i: u32, down: u32, across: u32) -> vec2<u32> {
  let band = i / (BAND * across);
  let rest = i % (BAND * across);
  let high = min(BAND, down - BAND * band);
  return vec2(BAND * band + rest % high, rest / high);
}

// vec4 q of x and rows 2j and 2j + 1 of w in one step of 8
struct Step {
  x: Fetched,
  w: Fetched_w,
}

// what an invocation fetches of a step: zeros of x beyond `last` and `depth`, which is k in vec4s
fn fetch_step(row: Row, n: u32, step: u32, last: u32, depth: u32, columns: u32, index: u32) -> Step {
  let q = index / 8 % 2;
  let j = 4 * step + index / 32;
  if (EXACT) { return Step(fetch(row, step, q), fetch_w(j, n, columns)); }
  let inside = step < last && 2 * step + q < depth;
  let a = fetch(row, select(0, step, inside), select(0, q, inside));
  return Step(select(Fetched(), a, inside), fetch_w(min(j, 2 * depth - 1), n, columns));
}

// sums of the tile from (m, 4n) on over steps `first` to `last`
fn multiply_tile(m: u32, n: u32, first: u32, last: u32, depth: u32, columns: u32, index: u32) -> Sums {
  let place = place_of(index);
  let row = row_at(m + index % 8 + index / 16 * 8);
  let column = min(n + index % 32, columns - 1);
  var sums = Sums();
  var next = fetch_step(row, column, first, last, depth, columns, index);
  keep_0(next, index);
  workgroupBarrier();
  for (var step = first; step < last; step += 2) {
    next = fetch_step(row, column, step + 1, last, depth, columns, index);
    sums = multiply_0(sums, place);
    keep_1(next, index);
    workgroupBarrier();
    next = fetch_step(row, column, min(step + 2, last - 1), last, depth, columns, index);
    sums = multiply_1(sums, place);
    keep_0(next, index);
    workgroupBarrier();
  }
  return sums;
}

// y[m, n] = epilogue(sum_k x[m, k] · w[k, n] + bias[n]) by tiles in workgroup memory, for GPUs without tensor cores.
//
// A workgroup makes TILE_M × TILE_N of y. It loads TILE_K columns of x and rows of w at a time into workgroup memory
// as f32 (by the functions of matmul.wgsl), with x transposed, so that the factors of one k lie side by side. An
// invocation loads one block of 4 × 4, of x or of w, and fetches the next one while it multiplies. Edges are padded
// with zeros along k and by repetition elsewhere. Sums run over k in order with fma, so the bits are those of
// matmul.wgsl for any tile.
//
// 32 invocations, 4 down and 8 across, make PART_M × PART_N: their reads fall into different banks, and their stores
// are whole lines. Blocks are loaded 8 × 4 at a time for the same reason.
//
// Prelude (matmul.ts): X, Y, W; fns load_x, load_w, store_y, epilogue. matmul_tiles.ts: WG, TILE_M, TILE_N, TILE_K,
// PART_M, PART_N; struct Sums; fns multiply and finish_all.

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

// for each k TILE_M of x, then TILE_N of w. With two dimensions a constant k needs no bounds check
var<workgroup> tile: array<array<vec4<f32>, (TILE_M + TILE_N) / 4>, TILE_K>;

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let m = (group.z * groups.y + group.y) * TILE_M;
  let n = group.x * TILE_N / 4;
  if (m >= params.M) { return; }
  let part = index / 32;
  let row = part / (TILE_N / PART_N) * (PART_M / 4) + index % 32 / 8; // in vec4s, of the tile
  let column = part % (TILE_N / PART_N) * (PART_N / 4) + index % 8;
  let across = index / (2 * TILE_K) * 8 + index % 8; // where the block of this invocation goes
  let down = index / 8 % (TILE_K / 4);
  let steps = (params.K + 3) / 4;
  var sums = Sums();
  var block = load(m, n, down, across);
  for (var k = 0u; k < steps; k += TILE_K / 4) {
    tile[4 * down][across] = block[0];
    tile[4 * down + 1][across] = block[1];
    tile[4 * down + 2][across] = block[2];
    tile[4 * down + 3][across] = block[3];
    workgroupBarrier();
    block = load(m, n, k + TILE_K / 4 + down, across);
    sums = multiply(sums, row, TILE_M / 4 + column);
    workgroupBarrier();
  }
  finish_all(sums, m + 4 * row, n + column);
}

// rows 4k to 4k + 3 of vec4 `across` of the tile of (m, 4n); zeros beyond K
fn load(m: u32, n: u32, k: u32, across: u32) -> mat4x4<f32> {
  var block = mat4x4<f32>();
  if (k < (params.K + 3) / 4) {
    if (across < TILE_M / 4) {
      let r = m + 4 * across;
      let last = params.M - 1;
      block = transpose(mat4x4(
        load_x(min(r, last), k),
        load_x(min(r + 1, last), k),
        load_x(min(r + 2, last), k),
        load_x(min(r + 3, last), k),
      ));
    } else {
      let columns = (params.N + 3) / 4;
      block = load_w(k, min(n + across - TILE_M / 4, columns - 1), columns);
    }
  }
  return block;
}

fn finish(m: u32, n: u32, sum: vec4<f32>) {
  if (m < params.M && n < (params.N + 3) / 4) { store_y(m, n, epilogue(m, n, sum)); }
}

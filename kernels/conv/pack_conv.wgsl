// packed[tap, c, n] = weight(n, c, tap): transposes the weight of a convolution, [N, C, size, size] in the checkpoint, for
// conv2d.wgsl, or into strips for matmul_texture.wgsl. C and N are padded with zeros, so that the convolution needs no
// guards. For gradients, the packed weight is the flipped and transposed one.
//
// Prelude (conv2d_weight.ts): W (storage type of the packed weight), WG; fns divide, packed_index and weight.

struct Params {
  C: u32,
  N: u32,
  taps: u32,
  source_taps: u32, // of the weight in the checkpoint
  columns: u32, // vec4s of a packed row; in strips, the rows of one
  across: u32, // vec4s of n, and rows, to pack
  down: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<vec4<W>>;

fn at(n: u32, c: u32, tap: u32) -> f32 {
  let value = weight(min(n, params.N - 1), min(c, params.C - 1), min(tap, params.taps - 1));
  return select(0.0, value, n < params.N && c < params.C && tap < params.taps);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  let row = divide(i, params.across);
  let column = i - row * params.across;
  let n = 4 * column;
  let rows = (params.C + 3) / 4 * 4;
  let tap = divide(row, rows);
  let c = row - tap * rows;
  if (row >= params.down) { return; }
  let four = vec4(at(n, c, tap), at(n + 1, c, tap), at(n + 2, c, tap), at(n + 3, c, tap));
  packed[packed_index(row, column)] = vec4<W>(four);
}

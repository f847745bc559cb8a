// sums[part, tap, c, n] = the sum over the output pixels of a part of x[pixel under the tap, c] · dy[pixel, n], where a
// subgroup is one CPU vector register (lavapipe): the gradient of a convolution by its weight.
//
// See matmul_texture.wgsl for what is fast on such an adapter. A workgroup is one subgroup. Each lane has one vec4 of
// columns n, and of the rows (tap, c) loads one vec4 of channels, which the lanes exchange: LANES · 4 rows × LANES · 4
// columns stay in registers or close to them. Four pixels at a time, so that a sum is loaded and stored once for four
// products. Both operands lie as they are, so nothing is transposed or copied but to the textures.
//
// Prelude (conv2d_backward_weight.ts): X, D (the textures' types), LANES; unrolled: struct Sums, fns multiply, store_all.

struct Params {
  lines: u32, // rows of dy: images · height
  depth: u32, // of them, those of a part
  height: u32, // of dy
  width: u32,
  in_height: u32, // of x
  in_width: u32,
  vectors: u32, // vec4s of a pixel of x
  columns: u32, // vec4s of a pixel of dy
  rows: u32, // vec4s of rows: taps · vectors
  size: u32,
  stride: u32,
  pad: u32,
  upsample: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: X;
@group(0) @binding(2) var dy: D;
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let across = (params.columns + LANES - 1) / LANES;
  let down = (params.rows + LANES - 1) / LANES;
  let i = group.y * groups.x + group.x;
  let part = i / across / down;
  let begin = part * params.depth;
  if (begin >= params.lines) { return; }
  let row = i / across % down * LANES;
  let n = i % across * LANES + lane;
  // lanes beyond the last row or column repeat it and store nothing
  let r = min(row + lane, params.rows - 1);
  let tap = r / params.vectors;
  let kernel = vec2<i32>(vec2(tap / params.size, tap % params.size)) - i32(params.pad);
  let channel = r % params.vectors;
  let column = min(n, params.columns - 1);
  let size = vec2(params.in_height, params.in_width) << vec2(params.upsample);
  var sum = Sums();
  for (var line = begin; line < min(begin + params.depth, params.lines); line++) {
    let y = i32(line % params.height * params.stride) + kernel.x;
    let image = line / params.height * params.in_height;
    let inside = u32(y) < size.x; // a negative number is large as u32
    let x_row = (image + (u32(max(y, 0)) >> params.upsample)) * params.in_width;
    let dy_row = line * params.width;
    for (var col = 0u; col < params.width; col += 4) {
      let at = i32(col * params.stride) + kernel.y;
      let step = i32(params.stride);
      let a0 = load_x(x_row, at, inside, size.y, channel);
      let a1 = load_x(x_row, at + step, inside, size.y, channel);
      let a2 = load_x(x_row, at + 2 * step, inside, size.y, channel);
      let a3 = load_x(x_row, at + 3 * step, inside, size.y, channel);
      let d0 = load_dy(dy_row, col, column);
      let d1 = load_dy(dy_row, col + 1, column);
      let d2 = load_dy(dy_row, col + 2, column);
      let d3 = load_dy(dy_row, col + 3, column);
      sum = multiply(sum, a0, a1, a2, a3, d0, d1, d2, d3);
    }
  }
  if (n >= params.columns) { return; }
  store_all((part * params.rows + row) * 4 * params.columns + n, params.rows - row, sum);
}

// a pixel of a row of x that begins at `x_row`; zeros in the padding
fn load_x(x_row: u32, at: i32, inside: bool, width: u32, channel: u32) -> vec4<f32> {
  // outside of the row this is some other texel, which is safe to read
  let i = (i32(x_row) + (at >> params.upsample)) * i32(params.vectors) + i32(channel);
  let v = textureLoad(x, vec2(i & 1023, i >> 10));
  return select(vec4(0.0), v, inside && u32(at) < width);
}

// a pixel of a row of dy; zeros beyond it
fn load_dy(dy_row: u32, col: u32, column: u32) -> vec4<f32> {
  let i = (dy_row + col) * params.columns + column;
  return select(vec4(0.0), textureLoad(dy, vec2(i & 1023, i >> 10)), col < params.width);
}

// sum[b, row, col, c] (+)= code(bits), resized linearly from the scale's grid to sum's: one step of the residual sum
// that the image is decoded from. Codes are ±value and exist in registers only.
//
// One invocation per element of sum; equal sizes add the codes exactly. With patches a token holds the bits of a
// 2 × 2 square of codes, as bit 4·c + 2·dy + dx: reading them in this order is pixel_shuffle.
//
// Prelude (accumulate_codes.ts): WG, T (f32), fn divide, resize_linear.wgsl.

struct Params {
  count: u32, // elements of sum
  height: u32, // of sum
  width: u32,
  rows: u32, // of the scale's codes, two per token with patches
  columns: u32,
  C: u32, // channels of sum
  side: u32, // 2 where a token is a square of codes, else 1
  first: u32, // 1 to overwrite sum
  value: f32, // negative to subtract codes
  row_unit: f32, // 1 / (2 · height)
  column_unit: f32, // 1 / (2 · width)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> bits: array<u32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

// the code at a row and a column; `at` is the channel and the image
fn load(at: vec2<u32>, row: u32, col: u32) -> f32 {
  let P = params.side;
  let token = (at.y * (params.rows / P) + row / P) * (params.columns / P) + col / P;
  let bit = ((token * params.C + at.x) * P + row % P) * P + col % P;
  return select(-params.value, params.value, bits[bit] == 1);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let cell = divide(i, params.C);
  let line = divide(cell, params.width);
  let image = divide(line, params.height);
  let at = vec2(i - cell * params.C, image);
  let position = vec2(line - image * params.height, cell - line * params.width);
  let cells = vec2(params.rows, params.columns);
  let units = vec2(params.row_unit, params.column_unit);
  let code = resize_linear(at, position, cells, vec2(params.height, params.width), units);
  sum[i] = select(sum[i], 0.0, params.first == 1) + code;
}

// y[b, row, col, c] = x[b] resized to (height, width), channels last; optionally with each 2 × 2 square of the result
// stacked along the channels (pixel_unshuffle), so that patches need no second pass.
//
// Neighbouring invocations make neighbouring elements of y, so writes are contiguous, and so are reads along the
// channels. Without stacking, an element is a vec4 of channels if their number is divisible by 4. On a CPU an
// invocation makes up to 4 elements of a cell, which have the same place and weights.
//
// Before it: resample_buffer.wgsl or resample_texture.wgsl. Prelude (resample.ts): WG, T (f32 or vec4<f32>), Y (the
// same as y stores it), ELEMENTS (1, 2 or 4, of one invocation), fn divide, fn resize(at, cell, cells, size) -> T,
// fn result(value) -> Y.

struct Params {
  count: u32, // invocations
  height: u32, // of the result, before it is stacked
  width: u32,
  in_height: u32,
  in_width: u32,
  C: u32, // Ts of a cell of x
  side: u32, // 2 if squares are stacked, otherwise 1
  row_unit: f32, // 1 / (2 · height)
  column_unit: f32, // 1 / (2 · width)
  start: u32, // elements of y before the first image
  gap: u32, // and between images
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> y: array<Y>;

// x at a row and a column; `at` is the channel and the image
fn load(at: vec2<u32>, row: u32, col: u32) -> T {
  return element(((at.y * params.in_height + row) * params.in_width + col) * params.C + at.x);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  // surplus invocations repeat the last: without a branch a CPU adapter stays vectorised
  let i = min(id.y * groups.x * WG + id.x, params.count - 1);
  let P = params.side;
  let channels = params.C * P * P;
  let step = channels / ELEMENTS; // from one element of this invocation to the next
  let columns = params.width / P;
  let rows = params.height / P;
  let cell = divide(i, step);
  let k = i - cell * step;
  let line = divide(cell, columns);
  let image = divide(line, rows);
  let at = vec2(k / P / P, image);
  let position = vec2(line - image * rows, cell - line * columns) * P + vec2(k / P % P, k % P);
  let first = cell * channels + k + params.start + image * params.gap;
  store(first, at, position);
  if (ELEMENTS > 1) { store(first + step, at + vec2(step, 0), position); }
  if (ELEMENTS > 2) {
    store(first + 2 * step, at + vec2(2 * step, 0), position);
    store(first + 3 * step, at + vec2(3 * step, 0), position);
  }
}

fn store(i: u32, at: vec2<u32>, position: vec2<u32>) {
  let cells = vec2(params.in_height, params.in_width);
  y[i] = result(resize(at, position, cells, vec2(params.height, params.width)));
}

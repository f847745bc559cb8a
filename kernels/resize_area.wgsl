// The mean of the cells that a cell of the result touches (adaptive average pooling), also where it enlarges.
// Not a kernel: text for preludes of kernels that have `fn load(at, row, col) -> f32`, a cell of the channel and image
// `at`.

// the value at (row, column) `cell` of a grid of `size` made of a grid of `cells`
fn resize_area(at: vec2<u32>, cell: vec2<u32>, cells: vec2<u32>, size: vec2<u32>) -> f32 {
  let begin = cell * cells / size;
  let end = ((cell + 1) * cells + size - 1) / size;
  var sum = 0.0;
  for (var row = begin.x; row < end.x; row++) {
    for (var col = begin.y; col < end.y; col++) { sum += load(at, row, col); }
  }
  return sum / f32(end.x - begin.x) / f32(end.y - begin.y);
}

// Resizing by the mean of the cells that a cell of the result touches (adaptive average pooling), also when enlarging.
// Not a kernel: text for preludes of kernels that have `alias T` (f32 or vec4<f32>), `fn load(at, row, col) -> T` (a
// cell; `at` is the channel and the image), and `fn divide`.

// the value at (row, column) `cell`, when a grid of `cells` is resized to one of `size`
fn resize_area(at: vec2<u32>, cell: vec2<u32>, cells: vec2<u32>, size: vec2<u32>) -> T {
  let begin = vec2(divide(cell.x * cells.x, size.x), divide(cell.y * cells.y, size.y));
  let past = (cell + 1) * cells + size - 1;
  let end = vec2(divide(past.x, size.x), divide(past.y, size.y));
  var sum = T();
  for (var row = begin.x; row < end.x; row++) {
    for (var col = begin.y; col < end.y; col++) { sum += load(at, row, col); }
  }
  return sum / f32(end.x - begin.x) / f32(end.y - begin.y);
}

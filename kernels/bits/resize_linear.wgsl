// Linear resizing without align_corners and antialiasing: between the two nearest cells along each axis. Positions are
// fractions of integers, so rounding never picks another cell, and equal sizes copy exactly. Weights are products with
// reciprocals from the host, since adapters may round quotients differently, and the bits of later scales depend on
// them.
//
// Not a kernel: text for preludes of kernels that have `alias T` (f32 or vec4<f32>), `fn load(at, row, col) -> T` (a
// cell; `at` is the channel and the image), and `fn divide`.

struct Taps {
  low: u32,
  high: u32,
  weight: f32, // of high
}

// `unit`: 1 / (2 · size)
fn taps(i: u32, cells: u32, size: u32, unit: f32) -> Taps {
  // (i + 0.5) · cells / size − 0.5, at least 0, in units
  let position = max((2 * i + 1) * cells, size) - size;
  let below = divide(position, 2 * size);
  let low = min(below, cells - 1);
  return Taps(low, min(low + 1, cells - 1), f32(position - below * 2 * size) * unit);
}

fn blend(low: T, high: T, weight: f32) -> T { return fma(T(weight), high, (1 - weight) * low); }

// the value at (row, column) `cell`, when a grid of `cells` is resized to one of `size`; `units`: 1 / (2 · size)
fn resize_linear(at: vec2<u32>, cell: vec2<u32>, cells: vec2<u32>, size: vec2<u32>, units: vec2<f32>) -> T {
  let v = taps(cell.x, cells.x, size.x, units.x);
  let h = taps(cell.y, cells.y, size.y, units.y);
  let low = blend(load(at, v.low, h.low), load(at, v.low, h.high), h.weight);
  let high = blend(load(at, v.high, h.low), load(at, v.high, h.high), h.weight);
  return blend(low, high, v.weight);
}

// Which cells of a mean by area read a cell, and how much of it (resize_area.wgsl). Not a kernel: text for the prelude
// of resample_backward.wgsl, after `fn divide`.

fn reach(cell: u32, cells: u32, size: u32) -> vec2<u32> {
  return vec2(divide(cell * size, cells), divide((cell + 1) * size + cells - 1, cells));
}

fn weight(i: u32, cell: u32, cells: u32, size: u32, unit: f32) -> f32 {
  return 1 / f32(divide((i + 1) * cells + size - 1, size) - divide(i * cells, size));
}

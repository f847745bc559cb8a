// Which cells of a linear resizing read a cell, and how much of it (resize_linear.wgsl, whose text comes first). Not a
// kernel: text for the prelude of resample_backward.wgsl.

// Cell i of the result is at (2i + 1) · cells − size in units of 1 / (2 · size) of a cell. It reads those less than one
// cell away, and the first and the last cell also from beyond.
fn reach(cell: u32, cells: u32, size: u32) -> vec2<u32> {
  let below = max((2 * cell + 1) * size, 2 * size + cells) - 2 * size - cells;
  let above = max((2 * cell + 3) * size, cells) + cells - 1;
  let first = select(divide(below, 2 * cells), 0, cell == 0);
  let end = select(min(divide(above, 2 * cells), size), size, cell + 1 == cells);
  return vec2(first, end);
}

fn weight(i: u32, cell: u32, cells: u32, size: u32, unit: f32) -> f32 {
  let t = taps(i, cells, size, unit);
  return select(0.0, 1 - t.weight, t.low == cell) + select(0.0, t.weight, t.high == cell);
}

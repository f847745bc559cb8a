// y[b, row, col] = 1 + amount · min(1, gain · the strongest edge within two pixels): what errors near edges count, which
// the eye sees first. Written out without loops, which CPUs would run lane by lane.
//
// Prelude (edge_weights.ts): WG, fn divide.

struct Params {
  count: u32, // pixels
  height: u32,
  width: u32,
  amount: f32,
  gain: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> edges: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// the largest of five pixels of a row; columns past the image repeat its border
fn largest(image: u32, row: u32, col: u32) -> f32 {
  let last = params.width - 1;
  let first = (image * params.height + row) * params.width;
  let left = max(edges[first + max(col, 2) - 2], edges[first + max(col, 1) - 1]);
  let right = max(edges[first + min(col + 1, last)], edges[first + min(col + 2, last)]);
  return max(max(left, right), edges[first + col]);
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let line = divide(i, params.width);
  let col = i - line * params.width;
  let image = divide(line, params.height);
  let row = line - image * params.height;
  let last = params.height - 1;
  let above = max(largest(image, max(row, 2) - 2, col), largest(image, max(row, 1) - 1, col));
  let below = max(largest(image, min(row + 1, last), col), largest(image, min(row + 2, last), col));
  let strongest = max(max(above, below), largest(image, row, col));
  y[i] = fma(params.amount, min(1.0, params.gain * strongest), 1.0);
}

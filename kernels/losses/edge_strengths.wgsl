// edges[b, row, col] = the largest difference, over channels, to the pixel on the right, plus that to the pixel below: the
// first step of edge_weights.ts. Differences past the last column or row are 0.
//
// Prelude (edge_weights.ts): WG, fn divide.

struct Params {
  count: u32, // pixels
  height: u32,
  width: u32,
  C: u32, // channels
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> edges: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let line = divide(i, params.width);
  let row = line - divide(line, params.height) * params.height;
  let right = select(i, i + 1, i - line * params.width + 1 < params.width);
  let below = select(i, i + params.width, row + 1 < params.height);
  var across = 0.0;
  var down = 0.0;
  for (var c = 0u; c < params.C; c++) {
    let v = x[i * params.C + c];
    across = max(across, abs(x[right * params.C + c] - v));
    down = max(down, abs(x[below * params.C + c] - v));
  }
  edges[i] = across + down;
}

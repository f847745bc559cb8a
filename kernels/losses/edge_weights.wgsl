// y[b, row, col] = 1 + amount · min(1, gain · the strongest edge within two pixels): what errors near edges count, which
// the eye sees first.
//
// Prelude (edge_weights.ts): WG.

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

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let line = i / params.width;
  let col = i - line * params.width;
  let image = line / params.height;
  let row = line - image * params.height;
  let first = vec2(max(row, 2) - 2, max(col, 2) - 2);
  let last = vec2(min(row + 2, params.height - 1), min(col + 2, params.width - 1));
  var strongest = 0.0;
  for (var r = first.x; r <= last.x; r++) {
    for (var c = first.y; c <= last.y; c++) {
      strongest = max(strongest, edges[(image * params.height + r) * params.width + c]);
    }
  }
  y[i] = fma(params.amount, min(1.0, params.gain * strongest), 1.0);
}

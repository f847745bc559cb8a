// y[m] = (norm(x[m]) · weight + bias) · (1 + scale[image]) + shift[image]: LayerNorm or RMSNorm over a row.
//
// A workgroup takes a row, see row_statistics.wgsl.
//
// Prelude (layer_norm.ts): X, Y (elements as stored), V (the same in f32: scalar or vec4), WEIGHT, BIAS, MODULATION;
// row_statistics.ts; fn narrow; and, unrolled, fn store_held.

struct Params {
  M: u32,
  C: u32, // Vs in a row
  width: f32, // elements in a row
  eps: f32,
  rows: u32, // rows of an image: they share one row of the modulation
  stride: u32, // Vs between rows of the modulation
  scale_offset: u32, // Vs before the first scale
  shift_offset: u32, // Vs before the first shift
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> weight: array<V>;
@group(0) @binding(3) var<storage, read> bias: array<V>;
@group(0) @binding(4) var<storage, read> modulation: array<V>;
@group(0) @binding(5) var<storage, read_write> y: array<Y>;

fn store(row: Row, c: u32, held: V) {
  if (!FULL && c >= params.C) { return; }
  var v = (held - row.mean) * row.inverse;
  if (WEIGHT) { v *= weight[c]; }
  if (BIAS) { v += bias[c]; }
  if (MODULATION) {
    let at = row.modulation + c;
    v = fma(v, 1 + modulation[at + params.scale_offset], modulation[at + params.shift_offset]);
  }
  y[row.first + c] = narrow(v);
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  invocation: Invocation,
) {
  let m = group.y * groups.x + group.x;
  if (m >= params.M) { return; }
  let lane = place(invocation);
  var held: Held;
  let row = read_row(m, lane, &held);
  for (var c = 0u; c < pieces_end(); c += HELD * WG) {
    if (!ONCE) { held = load_x(row, c + lane); }
    store_held(row, c + lane, held);
  }
}

// y = f32(x): widens a quantised weight, as a file stores it: blocks of 32 weights that share one f16 scale. Rows are
// whole blocks, so the shape does not matter. Exact: the product of 8 and 11 bits fits an f32.
//
// One invocation widens one word: 32 / BITS integers, the first one lowest.
// Prelude (dequantise.ts, after the table in weight_types.ts): BITS; ZERO (what was added to an integer; 0: they are
// two's complement).

struct Params {
  words: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>; // two to a word
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

const VECTORS = 8u / BITS; // of a word

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64 + id.x;
  if (i >= params.words) { return; }
  let word = vec4(x[i]);
  let block = i / BITS;
  let pair = unpack2x16float(scales[block / 2]);
  let scale = select(pair.x, pair.y, block % 2 == 1);
  for (var v = 0u; v < VECTORS; v++) {
    // to the top, which drops what is above, and back, which extends the sign or fills in zeros
    let top = word << (32u - BITS - BITS * (4 * v + vec4(0u, 1u, 2u, 3u)));
    let down = vec4(32u - BITS);
    let q = select(vec4<i32>(top >> down) - ZERO, bitcast<vec4<i32>>(top) >> down, ZERO == 0);
    y[VECTORS * i + v] = scale * vec4<f32>(q);
  }
}

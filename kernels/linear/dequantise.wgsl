// y = f32(x) where x holds blocks of 32 weights that share one f16 scale, as a file stores them: a quantised weight on
// its way in. Rows are whole blocks, so that the shape does not matter. Exact: 8 bits times 11 fit into an f32.
//
// One invocation turns one word: 4 signed bytes (q8_0), or 8 nibbles around 8, low ones first (q4_0).
// Prelude (dequantise.ts): BITS (8: q8_0, 4: q4_0).

struct Params {
  words: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> scales: array<u32>; // two to a word
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64 + id.x;
  if (i >= params.words) { return; }
  let word = x[i];
  let block = i / BITS;
  let pair = unpack2x16float(scales[block / 2]);
  let scale = select(pair.x, pair.y, block % 2 == 1);
  if (BITS == 8) {
    // to the top and back, which extends the sign
    y[i] = scale * vec4<f32>((vec4(bitcast<i32>(word)) << vec4(24u, 16u, 8u, 0u)) >> vec4(24u));
  } else {
    let q = vec4<i32>((vec4(word) >> vec4(0u, 4u, 8u, 12u)) & vec4(15u)) - 8;
    let r = vec4<i32>((vec4(word) >> vec4(16u, 20u, 24u, 28u)) & vec4(15u)) - 8;
    y[2 * i] = scale * vec4<f32>(q);
    y[2 * i + 1] = scale * vec4<f32>(r);
  }
}

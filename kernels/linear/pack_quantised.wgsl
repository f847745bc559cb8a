// Quantises w [N, K]: each block of 32 weights of a row becomes integers and one f16 scale, laid out for matmul.wgsl,
// or in strips for matmul_texture.wgsl.
//
// One invocation packs one block of 4 rows. It divides by the rounded scale, so that the error is at most half a step.
// An integer plus ZERO takes BITS bits; a word holds 4 of n, and 8 / BITS rows of k in each byte, the first one lowest.
//
// Prelude (linear.ts, after the table in weight_types.ts): BITS, LEAST, MOST, EXTREME, ZERO; fn packed_index.

struct Params {
  K: u32,
  N: u32,
  columns: u32, // words of a packed row; in strips, the rows of one
  first: u32, // column of the packed weight where this one begins
  across: u32, // words of n, and blocks of k, to pack
  down: u32,
  scale_columns: u32, // vec2s of a row of scales
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<vec2<u32>>;

const ROWS = 8u / BITS;
const MASK = (1u << BITS) - 1u;

fn at(n: vec4<u32>, k: u32) -> vec4<f32> {
  let i = min(n, vec4(params.N - 1)) * params.K + min(k, params.K - 1);
  let inside = vec4<bool>(n < vec4(params.N)) & vec4(k < params.K);
  return select(vec4(0.0), vec4(w[i.x], w[i.y], w[i.z], w[i.w]), inside);
}

fn bytes(q: vec4<u32>) -> u32 {
  return q.x | (q.y << 8) | (q.z << 16) | (q.w << 24);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * 64 + id.x;
  let block = i / params.across;
  let column = i % params.across;
  if (block >= params.down) { return; }
  let n = 4 * column + vec4(0u, 1u, 2u, 3u);
  let k = 32 * block;
  var largest = vec4(0.0); // in magnitude, with its sign
  for (var j = 0u; j < 32; j++) {
    let v = at(n, k + j);
    largest = select(largest, v, abs(v) > abs(largest));
  }
  let wanted = select(abs(largest), largest, EXTREME < 0) / EXTREME;
  let halves = vec2(pack2x16float(wanted.xy), pack2x16float(wanted.zw));
  let scale = vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
  let inverse = select(1 / scale, vec4(0.0), scale == vec4(0.0));
  let to = params.first / 4 + column;
  if (to < params.scale_columns && block < (params.K + 31) / 32) { scales[block * params.scale_columns + to] = halves; }
  for (var j = 0u; j < 32; j += ROWS) {
    var word = 0u;
    for (var r = 0u; r < ROWS; r++) {
      let q = clamp(round(at(n, k + j + r) * inverse), vec4<f32>(LEAST), vec4<f32>(MOST));
      word |= bytes(vec4<u32>(vec4<i32>(q) + ZERO) & vec4(MASK)) << (BITS * r);
    }
    packed[packed_index((k + j) / ROWS, to)] = word;
  }
}

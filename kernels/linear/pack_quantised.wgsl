// Quantises w [N, K]: each block of 32 weights of a row becomes integers and one f16 scale, laid out for matmul.wgsl,
// or in strips for matmul_texture.wgsl.
//
// One invocation packs one block of 4 rows. It divides by the rounded scale, so that the error is at most half a step.
// Adapters divide inexactly and may lose f16's subnormals, so quotients are corrected by exact products, and scales are
// rounded by integers: every adapter, and the host (model/checkpoint/quantised_blocks.ts), makes the same blocks.
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

// f16 numbers nearest to v, ties to even
fn halves(v: vec4<f32>) -> vec4<u32> {
  let magnitude = bitcast<vec4<u32>>(v) & vec4(0x7fffffffu);
  let normal = min((magnitude - 0x38000000 + 0xfff + ((magnitude >> vec4(13)) & vec4(1u))) >> vec4(13), vec4(0x7c00u));
  let subnormal = vec4<u32>(round(min(abs(v), vec4(1.0)) * 0x1p24));
  let sign = (bitcast<vec4<u32>>(v) >> vec4(16)) & vec4(0x8000u);
  return sign | select(normal, subnormal, magnitude < vec4(0x38800000u));
}

// v / step with the sign of inverse, rounded; ties up. Multiples of half a step are exact in f32
fn quotient(v: vec4<f32>, step: vec4<f32>, inverse: vec4<f32>) -> vec4<f32> {
  let near = round(v * inverse); // off by one at most
  let x = select(v, -v, inverse < vec4(0.0));
  let up = vec4<f32>(x >= (near + 0.5) * step);
  return near + up - vec4<f32>(x < (near - 0.5) * step);
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
    // by bits, in which NaN is the largest: its block becomes NaN, and shows
    largest = select(largest, v, bitcast<vec4<u32>>(abs(v)) > bitcast<vec4<u32>>(abs(largest)));
  }
  let half = halves(select(abs(largest), largest, EXTREME < 0) * (1.0 / EXTREME));
  let pairs = half.xz | (half.yw << vec2(16u));
  let scale = vec4(unpack2x16float(pairs.x), unpack2x16float(pairs.y));
  let step = select(abs(scale), vec4(1.0), scale == vec4(0.0)); // under a scale of 0 all weights round to 0
  let inverse = 1 / select(step, -step, scale < vec4(0.0));
  let to = params.first / 4 + column;
  if (to < params.scale_columns && block < (params.K + 31) / 32) { scales[block * params.scale_columns + to] = pairs; }
  for (var j = 0u; j < 32; j += ROWS) {
    var word = 0u;
    for (var r = 0u; r < ROWS; r++) {
      let q = clamp(quotient(at(n, k + j + r), step, inverse), vec4<f32>(LEAST), vec4<f32>(MOST));
      word |= bytes(vec4<u32>(vec4<i32>(q) + ZERO) & vec4(MASK)) << (BITS * r);
    }
    packed[packed_index((k + j) / ROWS, to)] = word;
  }
}

// packed = blocks of w: 32 weights of a row [N, K] share one f16 scale, laid out for matmul.wgsl,
// or in strips for matmul_texture.wgsl.
//
// One invocation packs one block of 4 rows. The rounded scale is what divides, so that the error is half a step.
// Prelude (linear.ts): BITS (8: q8_0, signed bytes; 4: q4_0, nibbles around 8, two k in a byte); fn place.

struct Params {
  K: u32,
  N: u32,
  columns: u32, // words of a packed row: 4 weights each (q4_0: 4 of k and 4 of k + 1); of strips, their rows
  first: u32, // column of the packed weight where this one begins
  across: u32, // words of n, and blocks of k, to pack
  down: u32,
  scale_columns: u32, // words pairs of a row of scales
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;
@group(0) @binding(3) var<storage, read_write> scales: array<vec2<u32>>;

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
  var most = vec4(0.0); // the value of largest magnitude, with its sign
  for (var j = 0u; j < 32; j++) {
    let v = at(n, k + j);
    most = select(most, v, abs(v) > abs(most));
  }
  let wanted = select(most / -8, abs(most) / 127, BITS == 8);
  let halves = vec2(pack2x16float(wanted.xy), pack2x16float(wanted.zw));
  let scale = vec4(unpack2x16float(halves.x), unpack2x16float(halves.y));
  let inverse = select(1 / scale, vec4(0.0), scale == vec4(0.0));
  let to = params.first / 4 + column;
  if (to < params.scale_columns && block < (params.K + 31) / 32) { scales[block * params.scale_columns + to] = halves; }
  if (BITS == 8) {
    for (var j = 0u; j < 32; j++) {
      let q = clamp(round(at(n, k + j) * inverse), vec4(-127.0), vec4(127.0));
      packed[place(k + j, to)] = bytes(vec4<u32>(vec4<i32>(q)) & vec4(0xffu));
    }
  } else {
    for (var j = 0u; j < 32; j += 2) {
      let low = clamp(round(at(n, k + j) * inverse) + 8, vec4(0.0), vec4(15.0));
      let high = clamp(round(at(n, k + j + 1) * inverse) + 8, vec4(0.0), vec4(15.0));
      packed[place((k + j) / 2, to)] = bytes(vec4<u32>(low) | (vec4<u32>(high) << vec4(4u)));
    }
  }
}

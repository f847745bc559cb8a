// y[m, n] = epilogue(sum_k x[row m, k] · w[k, n] + bias[n]) where a subgroup is one CPU vector register (lavapipe):
// linear layers, and convolutions, whose row m is the patch under pixel m.
//
// On such an adapter a storage load inside a loop is a scalar loop over the lanes, a sampled texture costs a hundred
// instructions of addressing, a storage texture less than half of that, and a shuffle from a constant lane is one
// instruction. Therefore a workgroup is one subgroup, both operands come from textures, and each lane loads one vec4
// of every row of x, which the lanes exchange. One invocation makes ROWS rows × 4 columns. Weights lie in strips as
// wide as a subgroup, k by k, so that they stream. Sums run over k in order with fma, as in matmul.wgsl and
// conv2d.wgsl.
//
// Prelude (matmul_texture.ts): X, W (the textures' types), Y, LANES, ROWS, STEP (texels of w in LANES vec4s of k),
// PLAIN (a matrix: no taps, no padding); pixels.wgsl, divide.wgsl; fns store_y, epilogue; unrolled over rows: struct
// Rows, struct Pixels, pixels, load_rows, multiply, drop_first.

struct Params {
  M: u32,
  K: u32, // vec4s of a row of x
  N: u32,
  height: u32, // row m of y is pixel m of images of this height and width
  width: u32,
  in_height: u32, // of the images in x
  in_width: u32,
  vectors: u32, // vec4s of a pixel of x
  size: u32, // taps along both axes
  stride: u32,
  pad_y: i32,
  pad_x: i32,
  upsample: u32,
  first: u32, // row of y where row 0 is stored
  strips: u32,
  rows_first: u32, // 1: the grid runs over rows, then strips; 0: over strips, then rows
  has_bias: u32,
  has_gate: u32,
  rows_per_gate: u32,
  gate_stride: u32,
  gate_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var x: X;
@group(0) @binding(2) var w: W;
@group(0) @binding(3) var<storage, read> scales: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<Y>;

// what one lane reads of every row: the tap (down, across) and the vec4 of channels
fn tap(k: u32) -> vec3<i32> {
  let tap = divide(k, params.vectors);
  let down = divide(tap, params.size);
  return vec3<i32>(vec3(down, tap - down * params.size, k - tap * params.vectors));
}

// where in x the patch under a pixel (image, row, column) begins: first row of the image; row and column in it
fn corner(p: vec3<u32>) -> vec3<i32> {
  let at = vec2<i32>(p.yz * params.stride) - vec2(params.pad_y, params.pad_x);
  return vec3(i32(p.x * params.in_height), at);
}

// the texel of a tap from there; zeros in the padding
fn load(p: vec3<i32>, tap: vec3<i32>) -> vec4<f32> {
  if (PLAIN) { return texel(p.z * i32(params.vectors) + tap.z); }
  let at = p.yz + tap.xy;
  let q = at >> vec2(params.upsample);
  // outside of the image this is some other texel, which is safe to read
  let v = texel(((p.x + q.x) * i32(params.in_width) + q.y) * i32(params.vectors) + tap.z);
  let size = vec2(params.in_height, params.in_width) << vec2(params.upsample);
  return select(vec4(0.0), v, all(vec2<u32>(at) < size)); // a negative index is large as u32
}

fn texel(i: i32) -> vec4<f32> { return textureLoad(x, vec2(i & 1023, i >> 10)); }

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tiles = (params.M + ROWS - 1) / ROWS;
  let i = group.y * groups.x + group.x;
  let strip = select(i % params.strips, i / tiles, params.rows_first != 0);
  let first = select(i / params.strips, i % tiles, params.rows_first != 0) * ROWS;
  if (first >= params.M || strip >= params.strips) { return; }
  let area = params.height * params.width;
  let at = pixels(vec3(first / area, first % area / params.width, first % params.width), params.M - first);
  let steps = (params.K + LANES - 1) / LANES;
  var texels = strip * steps * STEP;
  var sum = Rows();
  for (var k = 0u; k < params.K; k += LANES) {
    // lanes beyond K repeat the last vec4, where the weights are zeros
    let a = load_rows(at, tap(min(k + lane, params.K - 1)));
    sum = multiply(sum, a, vec2((texels & 1023) + lane, texels >> 10), k, strip * LANES + lane);
    texels += STEP;
  }
  let n = strip * LANES + lane;
  let columns = (params.N + 3) / 4;
  let b = select(vec4(0.0), bias[params.has_bias * min(n, columns - 1)], params.has_bias != 0);
  for (var r = 0u; r < ROWS; r++) {
    let m = first + r;
    let v = sum.r0 + b;
    sum = drop_first(sum);
    if (m < params.M && n < columns) { store_y(params.first + m, n, epilogue(params.first + m, n, v)); }
  }
}

// y[p, n] = bias[n] + sum over taps (ky, kx) and channels c of x[source(p, ky, kx), c] · w[tap, c, n] (+ y[p, n]):
// a 2-D convolution, channels last, as an implicit matrix product, without an unfolded copy of x.
//
// One invocation makes 8 consecutive pixels × 4 channels in registers, so it uses each loaded weight 8 times. Pixels
// are counted through rows and images, so small images waste nothing. Neighbouring invocations share their pixels and
// read neighbouring vec4s of weights. Kernel size, stride, padding and nearest-2x up-sampling are parameters: one
// pipeline serves them all. Sums run over taps, then channels, in order with fma, so the bits do not depend on the
// batch.
//
// Prelude (conv2d.ts): X, Y (element types as bound: scalar or vec4), W, WG; pixels.wgsl; fns load_x,
// load_y, store_y.

struct Params {
  pixels: u32, // to make: images · height · width
  height: u32, // of y, or of its strip
  width: u32,
  in_height: u32, // of x as stored
  in_width: u32,
  C: u32, // channels of x
  N: u32, // channels of y
  size: u32, // of the kernel, along both axes
  stride: u32,
  pad_y: i32, // rows of zeros above x; negative if a strip of x begins above what y needs
  pad_x: i32, // columns of zeros to the left of x
  upsample: u32, // 1: x is read as if each pixel were 2 × 2
  has_bias: u32, // 0: bias is not bound
  accumulate: u32, // 1: added to y
  first: u32, // pixel of y to begin with
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> w: array<vec4<W>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

// index of the pixel of x under one tap, or -1 in the padding
fn source(p: vec3<u32>, tap: vec2<u32>) -> i32 {
  // negative before the first row or column
  let at = vec2<i32>(p.yz * params.stride + tap) - vec2(params.pad_y, params.pad_x);
  let size = vec2<i32>(vec2(params.in_height, params.in_width) << vec2(params.upsample));
  let q = vec2<u32>(at) >> vec2(params.upsample);
  let index = i32((p.x * params.in_height + q.x) * params.in_width + q.y);
  return select(-1, index, all(at >= vec2(0)) && all(at < size));
}

// the pixel after p; beyond the last one p itself, so that no load leaves x
fn after(p: vec3<u32>, pixel: u32) -> vec3<u32> { return select(p, next(p), pixel < params.pixels); }

fn load(pixel: i32, c: u32) -> vec4<f32> {
  return select(vec4(0.0), load_x(u32(max(pixel, 0)), c), pixel >= 0);
}

fn madd(sum: vec4<f32>, a: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>) -> vec4<f32> {
  return fma(vec4(a.w), w3, fma(vec4(a.z), w2, fma(vec4(a.y), w1, fma(vec4(a.x), w0, sum))));
}

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let columns = (params.N + 3) / 4;
  let i = id.y * groups.x * WG + id.x;
  let n = i % columns;
  let first = i / columns * 8;
  if (first >= params.pixels) { return; }
  let area = params.height * params.width;
  let p0 = vec3(first / area, first % area / params.width, first % params.width);
  let p1 = after(p0, first + 1);
  let p2 = after(p1, first + 2);
  let p3 = after(p2, first + 3);
  let p4 = after(p3, first + 4);
  let p5 = after(p4, first + 5);
  let p6 = after(p5, first + 6);
  let p7 = after(p6, first + 7);
  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var s4 = vec4<f32>();
  var s5 = vec4<f32>();
  var s6 = vec4<f32>();
  var s7 = vec4<f32>();
  let steps = (params.C + 3) / 4;
  var at = n;
  for (var tap = 0u; tap < params.size * params.size; tap++) {
    let t = vec2(tap / params.size, tap % params.size);
    let q0 = source(p0, t);
    let q1 = source(p1, t);
    let q2 = source(p2, t);
    let q3 = source(p3, t);
    let q4 = source(p4, t);
    let q5 = source(p5, t);
    let q6 = source(p6, t);
    let q7 = source(p7, t);
    for (var c = 0u; c < steps; c++) {
      let w0 = vec4<f32>(w[at]);
      let w1 = vec4<f32>(w[at + columns]);
      let w2 = vec4<f32>(w[at + 2 * columns]);
      let w3 = vec4<f32>(w[at + 3 * columns]);
      at += 4 * columns;
      s0 = madd(s0, load(q0, c), w0, w1, w2, w3);
      s1 = madd(s1, load(q1, c), w0, w1, w2, w3);
      s2 = madd(s2, load(q2, c), w0, w1, w2, w3);
      s3 = madd(s3, load(q3, c), w0, w1, w2, w3);
      s4 = madd(s4, load(q4, c), w0, w1, w2, w3);
      s5 = madd(s5, load(q5, c), w0, w1, w2, w3);
      s6 = madd(s6, load(q6, c), w0, w1, w2, w3);
      s7 = madd(s7, load(q7, c), w0, w1, w2, w3);
    }
  }
  finish(first, n, s0);
  finish(first + 1, n, s1);
  finish(first + 2, n, s2);
  finish(first + 3, n, s3);
  finish(first + 4, n, s4);
  finish(first + 5, n, s5);
  finish(first + 6, n, s6);
  finish(first + 7, n, s7);
}

fn finish(pixel: u32, n: u32, sum: vec4<f32>) {
  if (pixel >= params.pixels) { return; }
  let p = params.first + pixel;
  var v = sum;
  if (params.has_bias != 0) { v += bias[n]; }
  if (params.accumulate != 0) { v += load_y(p, n); }
  store_y(p, n, v);
}

// conv2d.wgsl where a subgroup is one CPU vector register (lavapipe): the same sums in the same order.
//
// There a storage load inside a loop is a scalar loop over the lanes, a texture load is not, and a shuffle from a
// constant lane is one instruction (see matmul_texture.wgsl). So: a workgroup is one subgroup; weights come from a
// texture [taps · C, N / 4]; taps and channels are one axis of which each lane loads one vec4 per pixel, wherever in
// the image that is, and the lanes hand theirs round. One invocation makes 8 pixels × 4 channels.
//
// Prelude (conv2d.ts): X, Y, LANES; lanes.wgsl, pixels.wgsl; fns load_x, load_y, store_y, and multiply (LANES
// times 4 channels, unrolled).

struct Params {
  pixels: u32,
  height: u32,
  width: u32,
  in_height: u32,
  in_width: u32,
  C: u32,
  N: u32,
  size: u32,
  stride: u32,
  pad_y: i32,
  pad_x: i32,
  upsample: u32,
  accumulate: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var w: texture_2d<f32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

// a lane's own tap and channels of the pixel of x under it; zeros in the padding and beyond the last tap
fn load(p: vec3<u32>, tap: vec2<u32>, c: u32) -> vec4<f32> {
  let at = vec2<i32>(p.yz * params.stride + tap) - vec2(params.pad_y, params.pad_x);
  let size = vec2<i32>(vec2(params.in_height, params.in_width) << vec2(params.upsample));
  let inside = tap.x < params.size && all(at >= vec2(0)) && all(at < size);
  let q = vec2<u32>(clamp(at, vec2(0), size - 1)) >> vec2(params.upsample);
  return select(vec4(0.0), load_x((p.x * params.in_height + q.x) * params.in_width + q.y, c), inside);
}

@compute @workgroup_size(LANES)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let columns = (params.N + 3) / 4;
  let across = (columns + LANES - 1) / LANES;
  let i = group.y * groups.x + group.x;
  let n = i % across * LANES + lane;
  let first = i / across * 8;
  if (first >= params.pixels) { return; }
  let area = params.height * params.width;
  let p0 = vec3(first / area, first % area / params.width, first % params.width);
  let p1 = next(p0);
  let p2 = next(p1);
  let p3 = next(p2);
  let p4 = next(p3);
  let p5 = next(p4);
  let p6 = next(p5);
  let p7 = next(p6);
  let steps = (params.C + 3) / 4;
  let all_steps = params.size * params.size * steps;
  var sum = Rows();
  for (var k = 0u; k < all_steps; k += LANES) {
    let tap = vec2((k + lane) / steps / params.size, (k + lane) / steps % params.size);
    let c = (k + lane) % steps;
    var a: Rows;
    a.r0 = load(p0, tap, c);
    a.r1 = load(p1, tap, c);
    a.r2 = load(p2, tap, c);
    a.r3 = load(p3, tap, c);
    a.r4 = load(p4, tap, c);
    a.r5 = load(p5, tap, c);
    a.r6 = load(p6, tap, c);
    a.r7 = load(p7, tap, c);
    sum = multiply(sum, a, vec2(n, 4 * k));
  }
  finish(first, n, sum.r0);
  finish(first + 1, n, sum.r1);
  finish(first + 2, n, sum.r2);
  finish(first + 3, n, sum.r3);
  finish(first + 4, n, sum.r4);
  finish(first + 5, n, sum.r5);
  finish(first + 6, n, sum.r6);
  finish(first + 7, n, sum.r7);
}

fn finish(pixel: u32, n: u32, sum: vec4<f32>) {
  if (pixel >= params.pixels || 4 * n >= params.N) { return; }
  let p = params.first + pixel;
  var v = sum + bias[n];
  if (params.accumulate != 0) { v += load_y(p, n); }
  store_y(p, n, v);
}

// The convolution of conv2d.wgsl on tensor cores (subgroup matrices): an implicit matrix product whose rows are pixels
// of y and whose common axis runs over taps, then channels in vec4s.
//
// Tiles and sums are those of matmul_matrix.wgsl; only loads into x_tile differ. Where each pixel of the tile begins to
// read x is computed once and kept in workgroup memory. The bits of a pixel depend only on what its kernel covers.
//
// Prelude (conv2d.ts): X, Y, W; fns load_x, load_y, store_y. matrix.ts and matrix.wgsl, see
// matmul_matrix.wgsl.

struct Params {
  pixels: u32, // as in conv2d.wgsl
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
@group(0) @binding(2) var<storage, read> w: array<vec4<W>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

var<workgroup> corners: array<vec3<i32>, TILE_M>; // first row of the image in x; y and x of the corner of the kernel

fn corner(pixel: u32) -> vec3<i32> {
  let area = params.height * params.width;
  let p = vec3(pixel / area, pixel % area / params.width, pixel % params.width);
  let at = vec2<i32>(p.yz * params.stride) - vec2(params.pad_y, params.pad_x);
  return vec3(i32(p.x * params.in_height), at);
}

// vec4 c of the pixel of x under one tap, zeros in the padding
fn load(corner: vec3<i32>, tap: u32, c: u32) -> vec4<f32> {
  let at = corner.yz + vec2<i32>(vec2(tap / params.size, tap % params.size));
  let size = vec2<i32>(vec2(params.in_height, params.in_width) << vec2(params.upsample));
  let inside = all(at >= vec2(0)) && all(at < size);
  let q = vec2<u32>(clamp(at, vec2(0), size - 1)) >> vec2(params.upsample);
  return select(vec4(0.0), load_x((u32(corner.x) + q.x) * params.in_width + q.y, c), inside);
}

fn load_w(k: u32, n: u32, columns: u32) -> mat4x4<f32> {
  let at = 4 * k * columns + n;
  return mat4x4(vec4<f32>(w[at]), vec4<f32>(w[at + columns]), vec4<f32>(w[at + 2 * columns]), vec4<f32>(w[at + 3 * columns]));
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let m = (group.z * groups.y + group.y) * TILE_M;
  let n = group.x * TILE_N / 4;
  if (m >= params.pixels) { return; }
  let row = subgroup / (TILE_N / SUBGROUP_N) * SUBGROUP_M;
  let column = subgroup % (TILE_N / SUBGROUP_N) * SUBGROUP_N / 4;
  let columns = (params.N + 3) / 4;
  let channels = (params.C + 3) / 4;
  let steps = params.size * params.size * channels;
  for (var i = index; i < TILE_M; i += WG) { corners[i] = corner(min(m + i, params.pixels - 1)); }
  workgroupBarrier();
  var sums: Sums;
  for (var k = 0u; k < steps; k += TILE_K / 4) {
    for (var i = index; i < TILE_M * TILE_K / 4; i += WG) {
      let r = i / (TILE_K / 4);
      let c = i % (TILE_K / 4);
      let at = min(k + c, steps - 1);
      let v = load(corners[r], at / channels, at % channels);
      keep_x(r, c, select(vec4(0.0), v, k + c < steps));
    }
    for (var i = index; i < TILE_K / 4 * TILE_N / 4; i += WG) {
      let r = i / (TILE_N / 4);
      let c = i % (TILE_N / 4);
      keep_w(r, c, load_w(min(k + r, steps - 1), min(n + c, columns - 1), columns));
    }
    workgroupBarrier();
    sums = multiply(sums, row * PITCH_X, column);
    workgroupBarrier();
  }
  finish_all(sums, m + row, n + column, subgroup, lane);
}

fn store(pixel: u32, n: u32, sum: vec4<f32>) {
  if (pixel >= params.pixels || n >= (params.N + 3) / 4) { return; }
  let p = params.first + pixel;
  var v = sum + bias[n];
  if (params.accumulate != 0) { v += load_y(p, n); }
  store_y(p, n, v);
}

// The convolution of conv2d.wgsl on tensor cores, by the tiles of matrix.wgsl: an implicit matrix product whose rows
// are pixels of y, and whose common axis runs over taps, then channels.
//
// Where the kernel of each pixel begins in x is computed once. Units in the padding become zeros when they are loaded.
// The bits of a pixel depend only on what its kernel covers.
//
// Prelude (conv2d_matrix.ts): X, Y, W, WHOLE (C fills all tiles of a tap); load_y, store_y, and how to take units of x
// and w. matrix.ts: constants, types and unrolled functions. matrix.wgsl.

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
  has_bias: u32,
  accumulate: u32,
  first: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> w: array<W>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

struct Place {
  row: u32, // first row of the image in x
  corner: vec2<i32>, // y and x of the corner of the kernel
}

fn place(m: u32) -> Place {
  let pixel = min(m, params.pixels - 1);
  let area = params.height * params.width;
  let p = vec2(pixel % area / params.width, pixel % params.width);
  return Place(
    pixel / area * params.in_height,
    vec2<i32>(p * params.stride) - vec2(params.pad_y, params.pad_x),
  );
}

// index of the pixel of x under one tap; -1 in the padding, and for taps beyond the kernel
fn source(p: Place, tap: u32) -> i32 {
  let at = p.corner + vec2<i32>(vec2(tap / params.size, tap % params.size));
  let size = vec2<i32>(vec2(params.in_height, params.in_width) << vec2(params.upsample));
  let q = vec2<u32>(at) >> vec2(params.upsample);
  let inside = all(at >= vec2(0)) && all(at < size) && tap < params.size * params.size;
  return select(-1, i32((p.row + q.x) * params.in_width + q.y), inside);
}

// length of the common axis
fn depth() -> u32 { return params.size * params.size * ((params.C + 3) / 4 * 4); }

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_id) subgroup: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let m = (group.z * groups.y + group.y) * TILE_M;
  if (m >= params.pixels) { return; }
  let steps = (depth() + TILE_K - 1) / TILE_K;
  make_tile(m, group.x * TILE_N, 0, steps, index, subgroup, lane);
}

fn store(pixel: u32, n: u32, sum: vec4<f32>) {
  if (pixel >= params.pixels || n >= (params.N + 3) / 4) { return; }
  let p = params.first + pixel;
  var v = sum;
  if (params.has_bias != 0) { v += bias[n]; }
  if (params.accumulate != 0) { v += load_y(p, n); }
  store_y(p, n, v);
}

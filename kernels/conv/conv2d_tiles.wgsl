// The convolution of conv2d.wgsl by tiles in workgroup memory, for GPUs without tensor cores: an implicit matrix
// product whose rows are pixels of y and whose common axis runs over taps, then channels in vec4s.
//
// tiles.wgsl multiplies; only what an invocation fetches of x differs from matmul_tiles.wgsl. The kernel's size and the
// channels are constants, so that dividing by them is cheap. Where tiles are too few to fill a GPU, the common axis is
// shared by PARTS workgroups along z, whose sums are stored one below the other for sum_parts.wgsl. Otherwise the bits
// are those of conv2d.wgsl.
//
// Prelude (conv2d_tiles.ts): X, Y, W; SIZE, CHANNELS (vec4s of a pixel of x), PARTS, EXACT (the axis fills all steps);
// tiles.ts; fns tap_of, channel_of, fetch_x, fetch_w, unpack_w, load_y, store_y.

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
  first: u32, // with parts: pixel to begin with
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<X>;
@group(0) @binding(2) var<storage, read> w: array<W>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<Y>;

// the corner of the kernel over a pixel: y and x, and the first row of its image in x
struct Row {
  at: vec2<i32>,
  image: u32,
}

var<private> part: u32;

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) index: u32,
) {
  let down = (params.pixels + 63) / 64;
  let across = (params.N + 127) / 128;
  let i = group.y * groups.x + group.x;
  if (i >= down * across) { return; }
  let tile = tile_of(i, down, across);
  let depth: u32 = SIZE * SIZE * CHANNELS;
  let steps = (depth + 1) / 2;
  let first = group.z * steps / PARTS;
  let last = (group.z + 1) * steps / PARTS;
  part = group.z;
  let sums = multiply_tile(64 * tile.x, 32 * tile.y, first, last, depth, (params.N + 3) / 4, index);
  finish_all(sums, 64 * tile.x, 32 * tile.y, index);
}

fn row_at(m: u32) -> Row {
  let pixel = min(m, params.pixels - 1) + select(0, params.first, PARTS > 1);
  let area = params.height * params.width;
  let p = vec2(pixel % area / params.width, pixel % params.width);
  return Row(vec2<i32>(p * params.stride) - vec2(params.pad_y, params.pad_x), pixel / area * params.in_height);
}

// zeros in the padding
fn fetch(row: Row, step: u32, q: u32) -> Fetched {
  let c = channel_of(step, q);
  let tap = tap_of(step, q);
  let at = row.at + vec2<i32>(vec2(tap / SIZE, tap % SIZE));
  let size = vec2<i32>(vec2(params.in_height, params.in_width) << vec2(params.upsample));
  let inside = all(at >= vec2(0)) && all(at < size);
  let p = vec2<u32>(select(vec2(0), at, inside)) >> vec2(params.upsample);
  let pixel = select(0, (row.image + p.x) * params.in_width + p.y, inside);
  return select(Fetched(), fetch_x(pixel, c), inside);
}

fn finish(pixel: u32, n: u32, sum: vec4<f32>) {
  if (pixel >= params.pixels || n >= (params.N + 3) / 4) { return; }
  if (PARTS > 1) {
    store_y(part * params.pixels + pixel, n, sum);
    return;
  }
  let p = params.first + pixel;
  var v = sum;
  if (params.has_bias != 0) { v += bias[n]; }
  if (params.accumulate != 0) { v += load_y(p, n); }
  store_y(p, n, v);
}

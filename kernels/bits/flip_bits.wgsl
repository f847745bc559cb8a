// y = the bits of one scale, out of those of all scales, some of them flipped: the mistakes that the model learns to
// mend.
//
// One invocation makes four bits of a token, for which one call of Philox has random numbers.
//
// Prelude (flip_bits.ts): WG, fn divide, fn flips(image, token, quad) -> vec4<bool>, which may use `noise` and philox.wgsl.

struct Params {
  count: u32, // invocations
  rows: u32, // tokens of the scale
  width: u32, // bits of a token
  quads: u32, // invocations of a token
  first: u32, // first token of the scale
  all: u32, // tokens of all scales
  seed: u32,
  step: u32,
  image: u32, // number of the first image
  scale: u32,
  scales: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> noise: array<u32>; // probabilities as bits of f32, or which bits to flip
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.y * groups.x * WG + id.x;
  if (i >= params.count) { return; }
  let row = divide(i, params.quads);
  let quad = i - row * params.quads;
  let image = divide(row, params.rows);
  let token = row - image * params.rows;
  let flip = flips(image, token, quad);
  let source = (image * params.all + params.first + token) * params.width + 4 * quad;
  let to = row * params.width + 4 * quad;
  let bits = min(4, params.width - 4 * quad);
  y[to] = x[source] ^ u32(flip.x);
  if (bits > 1) { y[to + 1] = x[source + 1] ^ u32(flip.y); }
  if (bits > 2) { y[to + 2] = x[source + 2] ^ u32(flip.z); }
  if (bits > 3) { y[to + 3] = x[source + 3] ^ u32(flip.w); }
}
